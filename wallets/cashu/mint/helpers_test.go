package mint_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const words = "half depart obvious quality work element tank gorilla view sugar picture humble"

func newClient(t testing.TB, m *minttest.Mint, change func(*mint.Config)) *mint.Client {
	t.Helper()
	cfg := mint.Config{URL: m.URL, Timeout: 5 * time.Second, MeltTimeout: 5 * time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := mint.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return c
}

// wallet makes outputs with the coins of a seed.
type wallet struct {
	seed    *ecash.Seed
	counter uint64
}

func newWallet(t testing.TB) *wallet {
	t.Helper()
	seed, err := ecash.NewSeed(words)
	if err != nil {
		t.Fatal(err)
	}
	return &wallet{seed: seed}
}

func (w *wallet) outputs(t testing.TB, id ecash.KeysetID, amounts ...uint64) []mint.Output {
	t.Helper()
	out := make([]mint.Output, len(amounts))
	for i, amount := range amounts {
		coin, err := w.seed.Derive(id, w.counter)
		if err != nil {
			t.Fatal(err)
		}
		w.counter++
		out[i] = mint.Output{Amount: amount, KeysetID: id, Coin: coin}
	}
	return out
}

func active(t testing.TB, c *mint.Client, unit string) mint.Keyset {
	t.Helper()
	k, err := c.Active(context.Background(), unit)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
