package cashier

import (
	"context"
	"testing"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAwait(t *testing.T) {
	c, _, _ := newToy(t)
	paid, other := lntypes.Hash{1}, lntypes.Hash{2}
	first, stopFirst := c.Await(paid)
	second, stopSecond := c.Await(paid)
	third, stopThird := c.Await(other)
	stopSecond()
	c.Settle(paid)
	if !isClosed(first) || !isClosed(second) {
		t.Error("those who wait are not told")
	}
	if isClosed(third) {
		t.Error("told of another payment")
	}
	// A payment that is awaited again after it was told is a new wait, which the first one's
	// leaving must not end.
	again, stopAgain := c.Await(paid)
	stopFirst()
	c.Settle(paid)
	if !isClosed(again) {
		t.Error("the second wait is not told")
	}
	stopAgain()
	stopThird()
	if n := len(c.waiters.byHash); n != 0 {
		t.Errorf("%d payments are awaited by nobody", n)
	}
}

func TestAwaitHearsOfALookUp(t *testing.T) {
	c, w, _ := newToy(t)
	inv, err := c.Invoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	settled, stop := c.Await(inv.PaymentHash)
	defer stop()
	if _, err := w.Wallet.(wallets.Payer).Pay(t.Context(), inv.PaymentRequest, 0); err != nil {
		t.Fatal(err)
	}
	if isClosed(settled) {
		t.Fatal("told before anybody asked the wallet")
	}
	if _, err := c.Standing(t.Context(), inv.PaymentHash); err != nil || !isClosed(settled) {
		t.Error("a look-up of another does not tell those who wait", err)
	}
}

// blindWallet has no look-ups.
type blindWallet struct{ wallets.Wallet }

func (blindWallet) LookupInvoice(context.Context, lntypes.Hash) (*wallets.Status, error) {
	return nil, wallets.ErrLookupUnsupported
}

func TestBlind(t *testing.T) {
	c, w, _ := newToy(t)
	inv, err := c.Invoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Standing(t.Context(), inv.PaymentHash); err != nil || c.Blind() {
		t.Error("a wallet that answers is blind", err)
	}
	sighted := w.Wallet
	w.Wallet = blindWallet{sighted}
	if s, err := c.Standing(t.Context(), lntypes.Hash{9}); err == nil || !c.Blind() {
		t.Error("a wallet without look-ups is not blind", s, err)
	}
	w.Wallet = sighted
	if _, err := c.Standing(t.Context(), lntypes.Hash{8}); err != nil || c.Blind() {
		t.Error("an answer does not end the blindness", err)
	}
}
