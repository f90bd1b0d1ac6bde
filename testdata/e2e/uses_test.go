package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
)

// refusals are the right answers beside 200: used up, held by other requests, and held by an
// instance that has not given back yet or is in the way.
var refusals = []int{http.StatusPaymentRequired, http.StatusTooManyRequests, http.StatusServiceUnavailable}

// TestSingleUse shows a payment of one request to fifty at the same time at two instances: one
// passes.
func TestSingleUse(t *testing.T) {
	onStorages(t, "uses 1", func(t *testing.T, c *counted) {
		one, two := c.instance(), c.instance()
		total := make(answers)
		for round := range 10 {
			buyer := []*gateway.Gateway{one, two}[round%2]
			token := buyer.Buy(t, buyer.Sandbox(), "/premium/a")
			before := c.up.Count()
			got := asOne(t, 50, "/premium/a", token, one, two)
			got.only(t, append(refusals, http.StatusOK)...)
			if reached := c.up.Count() - before; got[http.StatusOK] != 1 || reached != 1 {
				t.Fatalf("round %d: answers by status are %v and %d requests reached the upstream, want one", round, got, reached)
			}
			for status, n := range got {
				total[status] += n
			}
			for _, gw := range []*gateway.Gateway{one, two} {
				refused(t, gw, c.up, "/premium/a", client.Auth(token))
			}
		}
		t.Logf("answers by status: %v", total)
	})
}

// TestTwentyUses shows a payment of twenty requests to sixty at two instances, and then until both
// say that it is used up: twenty pass, no more and no less.
func TestTwentyUses(t *testing.T) {
	onStorages(t, "uses 20", func(t *testing.T, c *counted) {
		one, two := c.instance(), c.instance()
		token := one.Buy(t, one.Sandbox(), "/premium/a")
		got := asOne(t, 60, "/premium/a", token, one, two)
		got.only(t, append(refusals, http.StatusOK)...)
		rest, took := useUp(t, token, one, two)
		t.Logf("answers by status at once: %v; the other %d within %s", got, rest, took)
		if reached := c.up.Count(); got[http.StatusOK]+rest != 20 || reached != 20 {
			t.Fatalf("%d requests passed and %d reached the upstream, want 20", got[http.StatusOK]+rest, reached)
		}
	})
}

// useUp uses a token until all gateways refuse it as used up, and gives the number of requests that
// passed and the time until the last of them.
func useUp(t *testing.T, token client.Token, gateways ...*gateway.Gateway) (passed int, took time.Duration) {
	t.Helper()
	begin := time.Now()
	for usedUp := 0; usedUp < len(gateways); {
		if time.Since(begin) > time.Minute {
			t.Fatal("after a minute the token is neither used up nor good")
		}
		usedUp = 0
		for _, gw := range gateways {
			resp := gw.Get(t, "/premium/a", client.Auth(token))
			switch resp.StatusCode {
			case http.StatusOK:
				passed++
				took = time.Since(begin).Round(time.Millisecond)
			case http.StatusPaymentRequired:
				usedUp++
			case http.StatusServiceUnavailable, http.StatusTooManyRequests:
				if resp.Header.Get("Retry-After") == "" {
					t.Fatalf("%d without Retry-After", resp.StatusCode)
				}
			default:
				t.Fatalf("status %d: %s", resp.StatusCode, resp.Text)
			}
		}
	}
	return passed, took
}

// TestCrashedInstance kills one of two instances that hold uses of the same payment: what it had
// not spent comes back to the other one.
func TestCrashedInstance(t *testing.T) {
	onStorages(t, "uses 20", func(t *testing.T, c *counted) {
		one, two := c.instance(), c.instance()
		token := one.Buy(t, one.Sandbox(), "/premium/a")
		passes(t, one, c.up, "/premium/a", client.Auth(token))
		passes(t, two, c.up, "/premium/a", client.Auth(token))
		passes(t, one, c.up, "/premium/a", client.Auth(token))
		// What was spent is written within 20 ms and the time of one write; a crash before that is
		// in the payer's favor.
		time.Sleep(time.Second)
		one.Kill()
		rest, took := useUp(t, token, two)
		t.Logf("the other %d uses came within %s of the crash", rest, took)
		if rest != 17 {
			t.Fatalf("after 3 of 20 uses and a crash, %d more passed, want 17", rest)
		}
		if err := one.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		refused(t, one, c.up, "/premium/a", client.Auth(token))
		again := one.Buy(t, one.Sandbox(), "/premium/a")
		passes(t, two, c.up, "/premium/a", client.Auth(again))
		// In an orderly end uses are given back before the process is gone.
		if err := two.Stop(); err != nil {
			t.Fatal(err)
		}
		if rest, took := useUp(t, again, one); rest != 19 {
			t.Fatalf("after 1 of 20 uses and an orderly end, %d more passed (within %s), want 19", rest, took)
		}
	})
}

// TestInstancesAgree shows what two instances tell each other: keys, revocations and payments.
func TestInstancesAgree(t *testing.T) {
	onStorages(t, "uses 1000", func(t *testing.T, c *counted) {
		one, two := c.instance(), c.instance()
		both := [][2]*gateway.Gateway{{one, two}, {two, one}}
		for _, pair := range both {
			here, there := pair[0], pair[1]
			adminCall(t, here, http.MethodPost, "/l402/keys/rotate", nil, nil)
			passes(t, there, c.up, "/premium/a", client.Auth(here.Buy(t, here.Sandbox(), "/premium/a")))

			revoked, good := here.Buy(t, here.Sandbox(), "/time/a"), here.Buy(t, here.Sandbox(), "/time/a")
			for _, gw := range pair {
				passes(t, gw, c.up, "/time/a", client.Auth(revoked))
			}
			id, err := revoked.TokenID()
			if err != nil {
				t.Fatal(err)
			}
			adminCall(t, here, http.MethodPost, "/l402/revoke", map[string]string{"kind": "token", "value": fmt.Sprintf("%x", id)}, nil)
			begin := time.Now()
			refused(t, here, c.up, "/time/a", client.Auth(revoked))
			for there.Get(t, "/time/a", client.Auth(revoked)).StatusCode == http.StatusOK {
				if time.Since(begin) > 10*time.Second {
					t.Fatal("ten seconds after a revocation the other instance accepts the token")
				}
				time.Sleep(50 * time.Millisecond)
			}
			t.Logf("the other instance knew of a revocation after %s", time.Since(begin).Round(time.Millisecond))
			refused(t, there, c.up, "/time/a", client.Auth(revoked))
			passes(t, there, c.up, "/time/a", client.Auth(good))
		}
		for _, gw := range []*gateway.Gateway{one, two} {
			want := map[string]int64{"shop": 2, "time": 4}
			reports(t, gw, want)
		}
	})
}
