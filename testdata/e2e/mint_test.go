package e2e

import (
	"context"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/mints"
)

// TestMints has a customer buy, send and take back ecash at mints of each kind, so that the stories
// that build on them know their counterparts work.
func TestMints(t *testing.T) {
	t.Parallel()
	t.Run("made up", func(t *testing.T) {
		t.Parallel()
		tradeEcash(t, startMint(t, nil, 0), 0, nil)
	})
	t.Run("LND and fees", func(t *testing.T) {
		t.Parallel()
		net := network(t)
		tradeEcash(t, startMint(t, net.Bob, 100), 1, func(ctx context.Context, invoice string) error {
			_, err := net.Alice.Pay(ctx, invoice)
			return err
		})
	})
}

func tradeEcash(t *testing.T, m *mints.Mint, fee int64, pay func(context.Context, string) error) {
	t.Helper()
	w := m.NewWallet(t)
	if err := w.Buy(t.Context(), 64, pay); err != nil {
		t.Fatal(err)
	}
	token, err := w.Send(t.Context(), 20, "--no-fees")
	if err != nil {
		t.Fatal(err)
	}
	m.Kill()
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	friend := m.NewWallet(t)
	if err := friend.Receive(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if got, err := friend.Balance(t.Context()); err != nil || got != 20-fee {
		t.Errorf("20 sat became %d, %v; want %d", got, err, 20-fee)
	}
	if err := friend.Receive(t.Context(), token); err == nil {
		t.Error("a token was taken twice")
	}
}
