package cashier

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

func TestMemberGoesThroughTheCashier(t *testing.T) {
	c, w, _ := newToy(t)
	m := c.Member("some")
	if m.Name != "some" || m.ID != c.id || m.Network != wallets.Regtest || !m.Healthy() {
		t.Errorf("%+v", m)
	}
	inv, err := m.Wallet.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if c.Pending(inv.PaymentHash, time.Now()) == nil {
		t.Error("the cashier does not know the invoice")
	}
	status, err := m.Wallet.LookupInvoice(t.Context(), inv.PaymentHash)
	if err != nil || status.State != wallets.StatePending || status.PaymentRequest != inv.PaymentRequest {
		t.Error(status, err)
	}
	// For the gate an unknown invoice is an expired one; whoever asks several must be told.
	if _, err := m.Wallet.LookupInvoice(t.Context(), lntypes.Hash{1}); !errors.Is(err, wallets.ErrNotFound) {
		t.Error(err)
	}
	w.before = func(context.Context) error { return errors.New("down") }
	for range tripAfter {
		if _, err := m.Wallet.CreateInvoice(t.Context(), request); err == nil || errors.Is(err, ErrBroken) {
			t.Error(err)
		}
	}
	calls := w.calls.Load()
	if _, err := m.Wallet.CreateInvoice(t.Context(), request); !errors.Is(err, ErrBroken) || w.calls.Load() != calls {
		t.Error("the breaker is passed by:", err)
	}
	if m.Healthy() {
		t.Error("healthy while it is left alone")
	}
}

func TestMemberTellsOfSettlements(t *testing.T) {
	c, w, guest := newToy(t)
	host := &Host{Name: "w", Logger: zap.NewNop(), Guest: guest}
	c.Attach(host)
	m := c.Member("some")
	source := m.Wallet.(wallets.Subscriber)
	if err := source.SubscribeSettlements(t.Context(), "7", nil); err == nil {
		t.Error("a cursor was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	found := make(chan wallets.Settlement, 1)
	done := make(chan error, 1)
	go func() { done <- source.SubscribeSettlements(ctx, "", func(s wallets.Settlement) { found <- s }) }() // ends by cancel
	var got wallets.Settlement
	for hash := byte(1); got.AmountPaid == 0; hash++ { // until it listens
		w.settlement <- wallets.Settlement{PaymentHash: lntypes.Hash{hash}, AmountPaid: 5, Cursor: "1"}
		select {
		case got = <-found:
		case <-time.After(20 * time.Millisecond):
		}
	}
	if got.Cursor != "" {
		t.Error("the cursor is the cashier's own")
	}
	// What was told before is known by look-up, without a call.
	w.before = func(context.Context) error { return errors.New("down") }
	status, err := m.Wallet.LookupInvoice(t.Context(), got.PaymentHash)
	if err != nil || status.State != wallets.StateSettled {
		t.Error(status, err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.settlement <- wallets.Settlement{PaymentHash: lntypes.Hash{200}, AmountPaid: 5}
	select {
	case s := <-found:
		t.Error("told after the end:", s)
	case <-time.After(50 * time.Millisecond):
	}

	go func() { done <- source.SubscribeSettlements(t.Context(), "", func(wallets.Settlement) {}) }() // ends by Close
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("no error after closing")
	}
}

func TestMemberOfAWalletThatDoesNotTell(t *testing.T) {
	guest := &muteGuest{}
	c, err := New(guest)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.Member("mute").Wallet.(wallets.Subscriber); ok {
		t.Error("a member tells what its wallet does not")
	}
}

// muteGuest is a sandbox that tells of no settlements and recalls what the test says.
type muteGuest struct {
	sandbox.Guest
	wallet *muteWallet
}

func (g *muteGuest) Open(env wallets.Env) (wallets.Wallet, error) {
	inner, err := g.Guest.Open(env)
	g.wallet = &muteWallet{wallet: inner}
	return g.wallet, err
}

type muteWallet struct {
	wallet   wallets.Wallet
	recalled func(lntypes.Hash) bool
}

func (w *muteWallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	return w.wallet.CreateInvoice(ctx, req)
}

func (w *muteWallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	return w.wallet.LookupInvoice(ctx, hash)
}

func (w *muteWallet) Recalled(hash lntypes.Hash) bool { return w.recalled != nil && w.recalled(hash) }

func TestRecalledInvoicesAreNotShown(t *testing.T) {
	guest := &muteGuest{Guest: sandbox.Guest{Name: "recalled"}}
	c, err := New(guest)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if _, err := c.Take(t.Context(), request, 4); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(5 * time.Second); c.Premade() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing was made beforehand")
		}
	}
	old := make(map[lntypes.Hash]bool)
	for _, s := range c.shelves.Values() {
		s.mu.Lock()
		for _, inv := range s.invoices {
			old[inv.PaymentHash] = true
		}
		s.mu.Unlock()
	}
	guest.wallet.recalled = func(hash lntypes.Hash) bool { return old[hash] }
	for range 4 {
		inv, err := c.Take(t.Context(), request, 4)
		if err != nil {
			t.Fatal(err)
		}
		if old[inv.PaymentHash] {
			t.Error("an invoice that was taken back is shown")
		}
	}
	if (member{c}).Recalled(lntypes.Hash{1}) || !(member{c}).Recalled(anyOf(old)) {
		t.Error("the member does not pass it on")
	}
}

func anyOf(hashes map[lntypes.Hash]bool) lntypes.Hash {
	for hash := range hashes {
		return hash
	}
	return lntypes.Hash{}
}
