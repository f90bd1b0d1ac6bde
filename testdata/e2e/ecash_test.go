package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/mints"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// ecashShop runs a shop that takes ecash of the mint for ten satoshi.
func ecashShop(t testing.TB, m *mints.Mint, settings string, lines ...string) (*gateway.Gateway, *upstream.Server) {
	t.Helper()
	up := upstream.Start(t)
	return gateway.Start(t, gateway.Options{
		Binary: caddy, Site: shop(up, lines...),
		Global: "l402 {\n\twallet play sandbox\n\tcashu {\n\t\tmint " + m.URL + "\n\t\t" + settings + "\n\t}\n}",
	}), up
}

// TestPayWithEcash has a customer pay with ecash of mints of each kind, with change and again, while
// gateway and mint are killed in between.
func TestPayWithEcash(t *testing.T) {
	t.Parallel()
	t.Run("made up", func(t *testing.T) {
		t.Parallel()
		payWithEcash(t, startMint(t, nil, 0), 0, nil)
	})
	t.Run("LND and fees", func(t *testing.T) {
		t.Parallel()
		net := network(t)
		payWithEcash(t, startMint(t, net.Bob, 100), 1, func(ctx context.Context, invoice string) error {
			_, err := net.Alice.Pay(ctx, invoice)
			return err
		})
	})
}

func payWithEcash(t *testing.T, m *mints.Mint, fee int64, pay func(context.Context, string) error) {
	w := m.NewWallet(t)
	if err := w.Buy(t.Context(), 128, pay); err != nil {
		t.Fatal(err)
	}
	token := func(sat int64) string {
		t.Helper()
		text, err := w.Send(t.Context(), sat, "--no-fees")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	gw, up := ecashShop(t, m, "timeout 6s", "uses 2")
	first := token(32)
	paid := gw.Want(t, http.StatusOK, "/premium/a", client.With("X-Cashu", first))
	if got := up.Last(t).Header.Get("X-Cashu") + up.Last(t).Header.Get("Authorization"); got != "" {
		t.Errorf("the upstream saw %q", got)
	}
	line, change := paid.Header.Get("X-L402-Token"), paid.Header.Get("X-Cashu")
	gw.Secret(change)
	before, err := w.Balance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	friend := m.NewWallet(t)
	if err := friend.Receive(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	// The mint takes a fee for what is swapped, here and by the friend.
	if got, err := friend.Balance(t.Context()); err != nil || got != 22-2*fee {
		t.Errorf("the change is %d, %v; want %d", got, err, 22-2*fee)
	}

	// The process dies, and the same ecash still buys the same two uses.
	gw.Kill()
	if err := gw.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := gw.Want(t, http.StatusOK, "/premium/a", client.With("X-Cashu", first))
	if again.Header.Get("X-L402-Token") != line || again.Header.Get("X-Cashu") != change {
		t.Error("the same ecash got something else after a crash")
	}
	gw.Want(t, http.StatusPaymentRequired, "/premium/a", client.With("Authorization", line))
	gw.Want(t, http.StatusBadRequest, "/premium/a", client.With("X-Cashu", token(9)))

	// The mint dies: the payer gets 503, and his ecash is good when it is back.
	second := token(16)
	m.Kill()
	resp := gw.Want(t, http.StatusServiceUnavailable, "/premium/a", client.With("X-Cashu", second))
	if resp.Header.Get("Retry-After") == "" {
		t.Error("the payer does not learn when to come again")
	}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	gw.Want(t, http.StatusOK, "/premium/a", client.With("X-Cashu", second))
	if err := friend.Receive(t.Context(), second); err == nil {
		t.Error("the payer still has what he paid with")
	}
	if n := up.Count(); n != 3 {
		t.Errorf("%d requests reached the upstream, want 3", n)
	}
	if after, err := w.Balance(t.Context()); err != nil || after > before {
		t.Errorf("the customer has %d after %d, %v", after, before, err)
	}
}

// TestEcashAtTwoInstances sends the same ecash to two gateways on one storage, as a payer does who lost
// the first one's answer: it pays once, and buys the same.
func TestEcashAtTwoInstances(t *testing.T) {
	t.Parallel()
	m := startMint(t, nil, 0)
	first, up := ecashShop(t, m, "", "uses 2", "limit off")
	options := first.Options
	second := gateway.Start(t, options)
	w := customer(t, m, 64)
	token := coins(t, first, w, 16)
	second.Secret(token)
	paid := first.Want(t, http.StatusOK, "/premium/a", client.With("X-Cashu", token))
	again := second.Want(t, http.StatusOK, "/premium/a", client.With("X-Cashu", token))
	line, change := paid.Header.Get("X-L402-Token"), paid.Header.Get("X-Cashu")
	first.Secret(change)
	second.Secret(change)
	if line == "" || change == "" || again.Header.Get("X-L402-Token") != line || again.Header.Get("X-Cashu") != change {
		t.Error("the same ecash got something else at the other instance")
	}
	// Both uses are gone, wherever it is shown.
	for _, gw := range []*gateway.Gateway{first, second} {
		gw.Want(t, http.StatusPaymentRequired, "/premium/a", client.With("Authorization", line))
		gw.Want(t, http.StatusPaymentRequired, "/premium/a", client.With("X-Cashu", token))
	}
	if n := up.Count(); n != 2 {
		t.Errorf("%d requests reached the upstream, want 2", n)
	}
	wantEcash(t, first, 10)
	wantEcash(t, second, 0)
	second.Want(t, http.StatusBadRequest, "/premium/a", client.With("X-Cashu", coins(t, second, w, 9)))
}

// TestCashuTS lets the JavaScript library for ecash, which was not written for this gateway, pay at the
// gate: with change, and with ecash that is locked to the gateway and taken without asking the mint.
func TestCashuTS(t *testing.T) {
	dir := npm(t)
	for _, kind := range []string{"plain", "locked"} {
		t.Run(kind, func(t *testing.T) {
			var node *lightning.Node
			m := startMint(t, node, 0)
			gw, up := ecashShop(t, m, "p2pk {\n\t\t\tmax_value 100 sat\n\t\t}")
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "cashu-ts.mjs", kind, m.URL, gw.Base+"/premium/a")
			cmd.Dir = dir
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.Bytes())
			}
			var result struct {
				Offered, Amount, Sent, Left int
				Answers                     [][2]any
			}
			if err := json.Unmarshal(out, &result); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			if result.Offered != 402 || result.Amount != 10 || result.Left != 54 || len(result.Answers) != 2 {
				t.Errorf("got %+v", result)
			}
			for _, a := range result.Answers {
				if a[0] != 200.0 || a[1] != "GET /premium/a" {
					t.Errorf("answer %v", a)
				}
			}
			if n := up.Count(); n != 2 {
				t.Errorf("%d requests reached the upstream, want 2", n)
			}
		})
	}
}

// TestEcashRacesAtTwoInstances brings the same ecash fifty times at once to two instances on one storage: it
// buys one use. Asked by many for the seed, they show it once.
func TestEcashRacesAtTwoInstances(t *testing.T) {
	t.Parallel()
	m := startMint(t, nil, 0)
	w := m.NewWallet(t)
	if err := w.Buy(t.Context(), 128, nil); err != nil {
		t.Fatal(err)
	}
	up := upstream.Start(t)
	options := gateway.Options{
		Binary: caddy, Site: shop(up, "uses 1", "limit off"), Storage: t.TempDir(),
		Global: "l402 {\n\twallet play sandbox\n\tcashu {\n\t\tmint " + m.URL + "\n\t\tp2pk {\n\t\t\tmax_value 100 sat\n\t\t}\n\t}\n}",
	}
	gateways := []*gateway.Gateway{gateway.Start(t, options), gateway.Start(t, options)}
	for round := range 3 {
		text, err := w.Send(t.Context(), 10, "--no-fees")
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var passed atomic.Int32
		for i := range 50 {
			all.Go(func() {
				resp, err := gateways[i%2].Try(t.Context(), http.MethodGet, "/premium/a", client.With("X-Cashu", text))
				if err != nil {
					t.Error(err)
				} else if resp.StatusCode == http.StatusOK {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		if n := passed.Load(); n != 1 || up.Count() != round+1 {
			t.Fatalf("round %d: %d passed, and %d requests went on", round, n, up.Count())
		}
	}
	var shown atomic.Int32
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if _, err := gateways[i%2].Admin(t.Context(), http.MethodPost, "/l402/cashu/seed", "application/json", []byte(`{"of":"payments"}`)); err == nil {
				shown.Add(1)
			}
		})
	}
	all.Wait()
	if n := shown.Load(); n != 1 {
		t.Errorf("the seed was shown %d times", n)
	}
}
