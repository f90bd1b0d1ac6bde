package redeem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

const sat = lnwire.MilliSatoshi(1000)

// above is for the tests that need no more than a threshold.
var above = Rules{Above: 100 * sat, FeePPM: 10_000, FeeBase: 10 * sat}

func TestThreshold(t *testing.T) {
	w := newWorld(t, minttest.Options{FeeReserve: 3, LightningFee: 1})
	p := w.open(above)
	w.fund(p, 64, 32, 4)
	if done, err := p.Run(t.Context(), p.job); len(done) != 0 || err != nil {
		t.Fatalf("100 is not above 100: %v, %v", done, err)
	}
	w.fund(p, 1)
	done, err := p.Run(t.Context(), p.job)
	if err != nil || len(done) != 1 {
		t.Fatalf("got %v, %v", done, err)
	}
	// 101 less 10 and one percent of the invoice.
	if got := done[0]; got.Amount != 90 || got.MaxFee != 10 || got.Fee != 1 || got.Why != "above" || got.Target != "node" {
		t.Errorf("got %+v", got)
	}
	if b := p.purse.Balance(); b.Available != 10 || b.Reserved != 0 || w.paid() != 90 {
		t.Errorf("left %+v, paid %d", b, w.paid())
	}
	w.conserved(p)
	s, err := p.State(t.Context(), p.job)
	if err != nil || s.Count != 1 || s.Amount != 90 || s.Fees != 1 || len(s.Last) != 1 || s.Current != nil {
		t.Errorf("state %+v, %v", s, err)
	}
	if len(w.told) != 1 || w.told[0] != nil {
		t.Errorf("told %v", w.told)
	}
}

// A mint that takes the ecash and pays nobody has no preimage to show, and the target has not been paid.
func TestMintPretendsToPay(t *testing.T) {
	for name, v := range map[string]struct {
		payment  minttest.Payment
		arrives  wallets.State
		unproven bool
	}{
		"pretends":           {minttest.Pretend, wallets.StatePending, true},
		"pays, and no proof": {minttest.Pretend, wallets.StateSettled, false},
		"pays, with proof":   {minttest.Succeed, wallets.StatePending, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minttest.Options{FeeReserve: 3, LightningFee: 1})
			p := w.open(above)
			asked := 0
			p.job.Target.Lookup = func(context.Context, [32]byte) (*wallets.Status, error) {
				asked++
				return &wallets.Status{State: v.arrives}, nil
			}
			w.fund(p, 128)
			w.mint.SetPayment(v.payment)
			done, err := p.Run(t.Context(), p.job)
			if err != nil || len(done) != 1 || done[0].Unproven != v.unproven {
				t.Errorf("got %+v, %v", done, err)
			}
			if (asked > 0) != (v.payment == minttest.Pretend) {
				t.Errorf("the target was asked %d times", asked)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	rules := Rules{Every: 24 * time.Hour, Min: 20 * sat}
	p := w.open(rules)
	w.fund(p, 16)
	run := func(want uint64) {
		t.Helper()
		done, err := p.Run(t.Context(), p.job)
		if err != nil {
			t.Fatal(err)
		}
		var sum uint64
		for _, d := range done {
			sum += d.Amount
		}
		if sum != want {
			t.Fatalf("redeemed %d, not %d", sum, want)
		}
	}
	run(0) // less than the smallest payment
	w.fund(p, 16)
	run(32)
	w.fund(p, 32)
	w.forward(23 * time.Hour)
	run(0)
	p = w.open(rules) // a restart does not begin the day anew
	run(0)
	w.forward(time.Hour)
	run(32)
	if w.paid() != 64 {
		t.Errorf("paid %d", w.paid())
	}
	w.conserved(p)
}

func TestKeep(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open(Rules{Above: 50 * sat, Keep: 40 * sat})
	w.fund(p, 64, 32)
	if done, err := p.Run(t.Context(), p.job); err != nil || len(done) != 1 || done[0].Amount != 56 {
		t.Fatalf("got %v, %v", done, err)
	}
	if done, err := p.Redeem(t.Context(), p.job); !errors.Is(err, ErrTooLittle) {
		t.Errorf("what is kept went too: %v, %v", done, err)
	}
	if got := p.purse.Balance().Available; got != 40 {
		t.Errorf("kept %d", got)
	}
}

func TestAsked(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open(Rules{Above: 1000 * sat, Min: 10 * sat})
	w.fund(p, 8)
	if _, err := p.Redeem(t.Context(), p.job); !errors.Is(err, ErrTooLittle) || !strings.Contains(err.Error(), "the purse has 8 sat") {
		t.Errorf("got %v", err)
	}
	w.fund(p, 16)
	done, err := p.Redeem(t.Context(), p.job)
	if err != nil || len(done) != 1 || done[0].Amount != 24 || done[0].Why != "asked" {
		t.Errorf("got %v, %v", done, err)
	}
}

// Fees that the operator does not allow are not paid, and everything stays where it is.
func TestFeeTooHigh(t *testing.T) {
	w := newWorld(t, minttest.Options{FeeReserve: 11})
	p := w.open(Rules{Above: 100 * sat, FeeBase: 10 * sat})
	w.fund(p, 128)
	for range 2 {
		if _, err := p.Run(t.Context(), p.job); !errors.Is(err, purse.ErrFee) {
			t.Fatalf("got %v", err)
		}
		if done, err := p.Run(t.Context(), p.job); done != nil || err != nil {
			t.Errorf("it is tried again at once: %v, %v", done, err)
		}
		w.forward(lastRetry)
	}
	if p.purse.Balance().Available != 128 || w.paid() != 0 {
		t.Errorf("paid %d", w.paid())
	}
	s, err := p.State(t.Context(), p.job)
	if err != nil || s.Failures != 2 || s.Refused != 0 || s.Current != nil || s.Problem == "" {
		t.Errorf("state %+v, %v", s, err)
	}
	p.job.Rules.FeeBase = 11 * sat
	if done, err := p.Run(t.Context(), p.job); err != nil || len(done) != 1 {
		// The clock went on in the loop, so it is due.
		t.Errorf("got %v, %v", done, err)
	}
}

// Input fees of the swap before and of the payment itself are left room for, whatever is in the purse.
func TestInputFees(t *testing.T) {
	for _, ppk := range []uint64{100, 1000, 2500} {
		for _, amounts := range [][]uint64{{128}, {64, 32, 16, 8, 4, 2, 1}, {1024, 1, 1, 1, 1, 1}, {256, 256, 256, 256}} {
			t.Run(fmt.Sprint(ppk, amounts), func(t *testing.T) {
				w := newWorld(t, minttest.Options{FeePPK: ppk, FeeReserve: 2, LightningFee: 2})
				p := w.open(Rules{Above: 50 * sat, FeeBase: 2 * sat})
				w.fund(p, amounts...)
				had := p.purse.Balance().Available
				done, err := p.Run(t.Context(), p.job)
				if err != nil || len(done) == 0 {
					t.Fatalf("got %v, %v", done, err)
				}
				if left := p.purse.Balance().Available; left > 50 || done[0].Amount+100 < had {
					t.Errorf("%d of %d redeemed, %d left", done[0].Amount, had, left)
				}
				w.paid()
				w.conserved(p)
			})
		}
	}
}

// A purse of many small coins is redeemed too, though a payment takes only so many of them.
func TestManyProofs(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open(Rules{Above: 290 * sat})
	for range 300 {
		w.fund(p, 1)
	}
	if n := p.purse.Balance().Proofs; n <= 256 {
		t.Fatalf("%d coins are too few for this test", n)
	}
	had := p.purse.Balance().Available
	done, err := p.Run(t.Context(), p.job)
	if err != nil || len(done) == 0 {
		t.Fatalf("got %v, %v", done, err)
	}
	if left := p.purse.Balance().Available; left != 0 || w.paid() != had {
		t.Errorf("had %d, paid %d, left %d", had, w.paid(), left)
	}
	w.conserved(p)
}

// A payee that takes only small amounts is paid in parts.
func TestPayeeTakesLess(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	w.refuse, w.most = fmt.Errorf("too much: %w", wallets.ErrAmount), 100
	p := w.open(Rules{Above: 400 * sat, Min: 10 * sat})
	w.fund(p, 512)
	done, err := p.Run(t.Context(), p.job)
	if err != nil || len(done) != 8 || w.paid() != 512 {
		t.Errorf("%d parts, %d paid, %v", len(done), w.paid(), err)
	}
	w.conserved(p)
}

func TestPayeeFails(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	w.refuse = wallets.ErrUnavailable
	p := w.open(above)
	w.fund(p, 128)
	if _, err := p.Run(t.Context(), p.job); !errors.Is(err, ErrTarget) || !errors.Is(err, wallets.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	w.refuse = nil
	if done, err := p.Run(t.Context(), p.job); done != nil || err != nil {
		t.Errorf("it is tried again at once: %v, %v", done, err)
	}
	w.forward(firstRetry)
	if done, err := p.Run(t.Context(), p.job); len(done) != 1 || err != nil {
		t.Errorf("got %v, %v", done, err)
	}
	s, err := p.State(t.Context(), p.job)
	if err != nil || s.Failures != 0 || s.Problem != "" {
		t.Errorf("state %+v, %v", s, err)
	}
}

func TestMintDown(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open(above)
	w.fund(p, 128)
	w.mint.Break(minttest.Fault{Path: "/v1/melt/quote/bolt11", Kind: minttest.Unavailable})
	if _, err := p.Run(t.Context(), p.job); !errors.Is(err, ErrFailed) {
		t.Fatalf("got %v", err)
	}
	if p.purse.Balance().Available != 128 {
		t.Errorf("balance %+v", p.purse.Balance())
	}
	w.mint.Repair()
	s := w.settle(w.open(above))
	if s.Amount != w.paid() || s.Count != 1 || w.invoices != 2 {
		t.Errorf("state %+v, paid %d, %d invoices", s, w.paid(), w.invoices)
	}
}
