package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestExpiry shows a token that opens until its end and not a moment longer, and that the answer
// says why.
func TestExpiry(t *testing.T) {
	net, gw, up := lndShop(t, "valid 3s")
	challengeSoon(t, gw)
	var token client.Token
	var end time.Time
	for try := 1; ; try++ {
		token = gw.Buy(t, net.Alice, "/premium/a")
		end = validUntil(t, token)
		resp := gw.Get(t, "/premium/a", client.Auth(token))
		if resp.StatusCode == http.StatusOK {
			break
		}
		// A machine under load may not get here in time; an early end is never right.
		if time.Now().Before(end) || try == 5 {
			t.Fatalf("%s before its end a token got %d: %s", time.Until(end), resp.StatusCode, resp.Text)
		}
	}
	time.Sleep(time.Until(end))
	resp := refused(t, gw, up, "/premium/a", client.Auth(token), client.With("Accept", "application/problem+json"))
	if !strings.Contains(resp.Text, "expired") {
		t.Errorf("the answer does not say that the token is expired: %s", resp.Text)
	}
}

// validUntil reads the token's end from its caveats.
func validUntil(t testing.TB, token client.Token) time.Time {
	t.Helper()
	caveats, err := token.Caveats()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range caveats {
		if name, value, _ := strings.Cut(c, "="); strings.HasSuffix(name, "_valid_until") {
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return time.Unix(seconds, 0)
		}
	}
	t.Fatalf("the token has no end: %q", caveats)
	return time.Time{}
}

// TestOtherService shows two services of one gateway: neither's token opens the other.
func TestOtherService(t *testing.T) {
	net, up := network(t), upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Global: lndOptions(net.Bob),
		Site: fmt.Sprintf(`l402 /cheap/* 1 sat {
	service cheap
	limit off
}
l402 /dear/* 5000 sat {
	service dear
	limit off
}
reverse_proxy %s`, up.Addr),
	})
	cheap, dear := gw.Buy(t, net.Alice, "/cheap/a"), gw.Buy(t, net.Alice, "/dear/a")
	passes(t, gw, up, "/cheap/a", client.Auth(cheap))
	passes(t, gw, up, "/dear/a", client.Auth(dear))
	refused(t, gw, up, "/dear/a", client.Auth(cheap))
	refused(t, gw, up, "/cheap/a", client.Auth(dear))
	for _, target := range []string{"/cheap/../dear/a", "/cheap/%2e%2e/dear/a", "/cheap//../dear/a"} {
		refused(t, gw, up, target, client.Auth(cheap))
	}
	// A holder may name another service in a caveat; that grants nothing.
	widened, err := cheap.Narrow("services=dear:0")
	if err != nil {
		t.Fatal(err)
	}
	refused(t, gw, up, "/dear/a", client.Auth(widened))
}

// TestTier shows that a token of the basic tier does not open a higher one.
func TestTier(t *testing.T) {
	up := upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Global: sandboxOptions,
		Site: fmt.Sprintf(`l402 /basic/* 1 sat {
	service shop 0
	limit off
}
l402 /plus/* 100 sat {
	service shop 1
	limit off
}
reverse_proxy %s`, up.Addr),
	})
	token := gw.Buy(t, gw.Sandbox(), "/basic/a")
	passes(t, gw, up, "/basic/a", client.Auth(token))
	refused(t, gw, up, "/plus/a", client.Auth(token))
	passes(t, gw, up, "/plus/a", client.Auth(gw.Buy(t, gw.Sandbox(), "/plus/a")))
}

// TestOtherHost shows that a token is bound to the host it was bought at, as long as the operator
// names no service.
func TestOtherHost(t *testing.T) {
	gw, up := sandboxShop(t, "limit off")
	token := gw.Buy(t, gw.Sandbox(), "/premium/a", client.Host("one.test"))
	passes(t, gw, up, "/premium/a", client.Host("one.test"), client.Auth(token))
	for _, host := range []string{"two.test", "one.test.two.test", "xone.test"} {
		refused(t, gw, up, "/premium/a", client.Host(host), client.Auth(token))
	}
}

// TestPathScope shows tokens that open the path they were bought for and no other.
func TestPathScope(t *testing.T) {
	gw, up := sandboxShop(t, "scope path", "limit off")
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	passes(t, gw, up, "/premium/a", client.Auth(token))
	for _, path := range []string{"/premium/b", "/premium/ab", "/premium/a/../b", "/premium/%62", "/premium/b?x=/premium/a"} {
		refused(t, gw, up, path, client.Auth(token))
	}
}

// TestNarrowedToken shows what a holder can do to a token: take away, never add.
func TestNarrowedToken(t *testing.T) {
	net, up := network(t), upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: lndOptions(net.Bob), Site: shop(up, "service shop", "limit off")})
	token := gw.Buy(t, net.Alice, "/premium/a")
	now := time.Now()
	until := func(d time.Duration) string { return fmt.Sprintf("shop_valid_until=%d", now.Add(d).Unix()) }
	many := make([]string, 1000)
	for i := range many {
		many[i] = "a=b"
	}
	for _, tc := range []struct {
		name    string
		caveats []string
		status  int
	}{
		{"an earlier end", []string{until(time.Hour)}, http.StatusOK},
		{"an end that has passed", []string{until(-time.Second)}, http.StatusPaymentRequired},
		{"a later end than was bought", []string{until(1000 * time.Hour)}, http.StatusPaymentRequired},
		{"an end that grows again", []string{until(time.Minute), until(time.Hour)}, http.StatusPaymentRequired},
		{"the same service", []string{"services=shop:0"}, http.StatusOK},
		{"another service", []string{"services=other:0"}, http.StatusPaymentRequired},
		{"a higher tier", []string{"services=shop:1"}, http.StatusPaymentRequired},
		{"an unknown condition", []string{"color=blue"}, http.StatusPaymentRequired},
		{"a condition without a value", []string{"nothing"}, http.StatusPaymentRequired},
		{"a thousand conditions", many, http.StatusPaymentRequired},
	} {
		t.Run(tc.name, func(t *testing.T) {
			narrowed, err := token.Narrow(tc.caveats...)
			if err != nil {
				t.Fatal(err)
			}
			if tc.status == http.StatusOK {
				passes(t, gw, up, "/premium/a", client.Auth(narrowed))
			} else {
				refused(t, gw, up, "/premium/a", client.Auth(narrowed))
			}
		})
	}
}
