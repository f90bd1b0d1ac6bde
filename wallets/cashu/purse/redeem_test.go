package purse

import (
	"errors"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// What is said to be payable can be paid, and hardly more.
func TestPayable(t *testing.T) {
	for name, opts := range map[string]minttest.Options{
		"plain": {}, "fees": {FeePPK: 100}, "high fees": {FeePPK: 1700}, "few keys": {Keys: 4, FeePPK: 100},
	} {
		for _, amounts := range [][]uint64{{1}, {8, 8, 8}, {8, 4, 2, 1}, {8, 1, 1, 1, 1, 1, 1}} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, opts)
				p := w.open()
				had, err := p.Payable(t.Context())
				if err != nil || had != 0 {
					t.Errorf("nothing is %d, %v", had, err)
				}
				proofs := w.mint.Issue(t, nil, amounts...)
				if _, err := p.Receive(t.Context(), &token.Token{Mint: w.url, Unit: "sat", Proofs: proofs}, Terms{}); err != nil {
					if errors.Is(err, ErrTooLittle) {
						return // the fee takes it all
					}
					t.Fatal(err)
				}
				n, err := p.Payable(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					return
				}
				if got, err := p.Pay(t.Context(), w.mint.Invoice(t, n), 0); err != nil || !got.Paid {
					t.Errorf("%d of %d: got %+v, %v", n, p.Balance().Available, got, err)
				}
				if left := p.Balance().Available; opts.FeePPK == 0 && left != 0 {
					t.Errorf("left %d", left)
				}
				w.conserved(p)
			})
		}
	}
}

func TestMerge(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	for range 20 {
		w.fund(p, 1)
	}
	if err := p.Merge(t.Context(), 20); err != nil || p.Balance().Proofs != 20 {
		t.Fatalf("%d proofs, %v", p.Balance().Proofs, err)
	}
	w.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.LoseAnswer, Times: 1})
	if err := p.Merge(t.Context(), 4); err != nil && !errors.Is(err, ErrUnsettled) {
		t.Fatal(err)
	}
	if _, err := p.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := p.Balance(); b.Proofs != 2 || b.Available != 20 || b.Reserved != 0 {
		t.Errorf("balance %+v", b)
	}
	if err := p.Merge(t.Context(), 1); err != nil || p.Balance().Proofs != 2 {
		t.Errorf("%d proofs, %v", p.Balance().Proofs, err) // 16 and 4 cannot be fewer
	}
	w.conserved(w.open())
}

func TestPayment(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 64)
	invoice := w.mint.Invoice(t, 10)
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		t.Fatal(err)
	}
	none := func() {
		t.Helper()
		if _, err := p.Payment(d.PaymentHash); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
	none()
	w.mint.SetPayment(minttest.Fail)
	if _, err := p.Pay(t.Context(), invoice, 0); !errors.Is(err, ErrPaymentFailed) {
		t.Fatal(err)
	}
	none()
	w.mint.SetPayment(minttest.Stall)
	if _, err := p.Pay(t.Context(), invoice, 0); !errors.Is(err, ErrUnsettled) {
		t.Fatal(err)
	}
	if got, err := w.open().Payment(d.PaymentHash); err != nil || got.Paid || got.Amount != 10 {
		t.Errorf("got %+v, %v", got, err)
	}
	w.mint.Settle(t, true)
	if _, err := p.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Payment(d.PaymentHash); err != nil || !got.Paid || got.Preimage == nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Two purses of one seed do not both take what was restored.
func TestRestoreBesideAnother(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 16, 4)
	opts := p.opts
	opts.Store = newDisk()
	other, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := other.Restore(t.Context(), p); err != nil || found != 0 {
		t.Errorf("found %d, %v", found, err)
	}
	if found, err := other.Restore(t.Context()); err != nil || found != 20 {
		t.Errorf("found %d, %v", found, err)
	}
}

func TestSent(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 16)
	if p.Sent("a") || p.Sent("") {
		t.Error("nothing was sent yet")
	}
	if _, err := p.Send(t.Context(), 4, "a"); err != nil {
		t.Fatal(err)
	}
	if !w.open().Sent("a") || p.Sent("b") || p.Sent("") {
		t.Error("what was sent is not known")
	}
}
