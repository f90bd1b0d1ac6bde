package cashier

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

// pairGuest stands for two wallets, of which the one that is asked for payments is away.
type pairGuest struct{ sandbox.Guest }

func (*pairGuest) Members() []string           { return []string{"away", "here"} }
func (*pairGuest) Bind([]wallets.Member) error { return nil }

func (g *pairGuest) Open(env wallets.Env) (wallets.Wallet, error) {
	w, err := g.Guest.Open(env)
	return halfAway{w}, err
}

type halfAway struct{ wallets.Wallet }

func (halfAway) LookupInvoice(context.Context, lntypes.Hash) (*wallets.Status, error) {
	return nil, fmt.Errorf("%w: no connection", wallets.ErrUnavailable)
}

// TestCompositeSellsOn asks again and again for payments at a wallet that is away: the others go on
// selling.
func TestCompositeSellsOn(t *testing.T) {
	c, err := New(new(pairGuest))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 3 * tripAfter {
		if _, err := c.Standing(t.Context(), lntypes.Hash{byte(i + 1)}); err == nil {
			t.Fatal("a wallet that is away told of a payment")
		}
	}
	if !c.Healthy() {
		t.Error("all wallets are left alone because one of them is away")
	}
	if _, err := c.Invoice(t.Context(), wallets.InvoiceRequest{Amount: 1000, Expiry: time.Minute}); err != nil {
		t.Errorf("the wallet that works makes no invoice: %v", err)
	}
}

// Interface guards.
var _ wallets.Composite = (*pairGuest)(nil)
