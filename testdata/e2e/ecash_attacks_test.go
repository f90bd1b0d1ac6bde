package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/mints"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// customer has ecash of a mint whose Lightning node is made up.
func customer(t testing.TB, m *mints.Mint, sat int64) *mints.Wallet {
	t.Helper()
	w := m.NewWallet(t)
	if err := w.Buy(t.Context(), sat, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// coins takes a token out of a customer's wallet.
func coins(t testing.TB, gw *gateway.Gateway, w *mints.Wallet, sat int64) string {
	t.Helper()
	token, err := w.Send(t.Context(), sat, "--no-fees")
	if err != nil {
		t.Fatal(err)
	}
	gw.Secret(token)
	return token
}

// TestEcashTwiceAtOnce shows one token to one gate fifty times at the same time; it buys one request.
func TestEcashTwiceAtOnce(t *testing.T) {
	t.Parallel()
	m := startMint(t, nil, 0)
	gw, up := ecashShop(t, m, "", "uses 1", "limit off")
	w := customer(t, m, 64)
	token := coins(t, gw, w, 10)
	var passed, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			resp, err := gw.Try(t.Context(), "GET", "/premium/a", client.With("X-Cashu", token))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case resp.StatusCode == 200:
				passed++
			case resp.StatusCode >= 400 && resp.StatusCode != 500:
				refused++
			default:
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	all.Wait()
	if passed != 1 || refused != 49 || up.Count() != 1 {
		t.Errorf("%d passed, %d refused, %d reached the upstream; want one", passed, refused, up.Count())
	}
}

// TestEcashSurvivesKills kills gateway and mint around payments; every payment is served in the end,
// and the gateway has exactly what was paid.
func TestEcashSurvivesKills(t *testing.T) {
	t.Parallel()
	m := startMint(t, nil, 0)
	gw, up := ecashShop(t, m, "", "limit off")
	w := customer(t, m, 200)
	const rounds = 6
	for round := range rounds {
		token := coins(t, gw, w, 10)
		ended := make(chan struct{})
		go func() { // ends with the gateway
			defer close(ended)
			_, _ = gw.Try(t.Context(), "GET", "/premium/a", client.With("X-Cashu", token))
		}()
		// Early rounds die before the mint is asked, late ones after it answered.
		time.Sleep(time.Duration(round*round) * time.Millisecond)
		gw.Kill()
		<-ended
		if round%2 == 1 {
			m.Kill()
			if err := m.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := gw.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		ecashPassesSoon(t, gw, up, token)
	}
	wantEcash(t, gw, rounds*10)
}

// TestMintAway takes no ecash while the mint is away, loses none, and takes it when it is back.
func TestMintAway(t *testing.T) {
	t.Parallel()
	m := startMint(t, nil, 0)
	gw, up := ecashShop(t, m, "timeout 6s")
	w := customer(t, m, 64)
	token := coins(t, gw, w, 10)
	m.Kill()
	answer := gw.Want(t, 503, "/premium/a", client.With("X-Cashu", token))
	if answer.Header.Get("Retry-After") == "" || !strings.Contains(answer.Text, `"ecash_unavailable"`) {
		t.Errorf("without the mint: %v %s", answer.Header, answer.Text)
	}
	// Lightning goes on.
	passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, gw.Sandbox(), "/premium/a")))
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ecashPassesSoon(t, gw, up, token)
}

// ecashPassesSoon shows a token until it is taken; a purse that has just lost its process takes a
// moment to open.
func ecashPassesSoon(t testing.TB, gw *gateway.Gateway, up *upstream.Server, token string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := proc.Poll(ctx, "ecash to be taken", func() error {
		resp, err := gw.Try(ctx, "GET", "/premium/a", client.With("X-Cashu", token))
		if err == nil && resp.StatusCode != 200 {
			err = fmt.Errorf("status %d: %s", resp.StatusCode, resp.Text)
			if resp.StatusCode != 503 && resp.StatusCode != 429 {
				t.Fatal(err)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	passes(t, gw, up, "/premium/a", client.With("X-Cashu", token))
}

// wantEcash waits until the gateway has an amount of ecash, all of it to be spent.
func wantEcash(t testing.TB, gw *gateway.Gateway, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := proc.Poll(ctx, "the ecash", func() error {
		body, err := gw.Admin(ctx, "GET", "/l402/cashu/balance", "", nil)
		if err != nil {
			return err
		}
		var list struct{ Purses []struct{ Available int } }
		if err := json.Unmarshal(body, &list); err != nil {
			return err
		}
		got := 0
		for _, p := range list.Purses {
			got += p.Available
		}
		if got != want {
			return fmt.Errorf("%d sat of %d are there: %s", got, want, body)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
