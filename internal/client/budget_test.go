package client

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// limited makes a client with a token file and a budget for everything.
func (w *world) limited(text string) (*Client, *budget.File) {
	w.t.Helper()
	limit, err := budget.ParseLimit(text)
	if err != nil {
		w.t.Fatal(err)
	}
	c, path := w.keeping()
	book := &budget.File{Path: path + ".spending", Rules: []budget.Rule{{Limit: limit}}}
	c.Budget = book
	return c, book
}

func spent(t *testing.T, book *budget.File) lnwire.MilliSatoshi {
	t.Helper()
	left, err := book.Left(wallets.Regtest, "")
	if err != nil || len(left) != 1 {
		t.Fatal(left, err)
	}
	return left[0].Spent
}

func TestBudgetEnds(t *testing.T) {
	for _, keeping := range []bool{true, false} {
		w := newWorld(t)
		c, book := w.limited("25 sat/day")
		if !keeping {
			c.Tokens = nil
		}
		for n, allowed := range []bool{true, true, false} {
			s := w.shop()
			result, _, err := get(t, c, s.URL)
			if (err == nil) != allowed || !allowed && !errors.Is(err, budget.ErrOverBudget) {
				t.Errorf("purchase %d: %v", n, err)
			}
			if result.Offer == nil || result.Offer.Decoded.Amount != price {
				t.Error("the price is not told")
			}
		}
		if w.payments() != 2 || spent(t, book) != 2*price {
			t.Errorf("%d payments, %d msat", w.payments(), spent(t, book))
		}
		if keeping {
			if stored, err := c.Tokens.Load(); err != nil || len(stored) != 2 {
				t.Errorf("what was not paid lies in the token file: %v, %v", stored, err)
			}
		}
	}
}

// TestBudgetOfFailures shows that failed payments cost nothing and that unknown ones count, once.
func TestBudgetOfFailures(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	c, book := w.limited("100 sat/day")
	c.MaxFee = 1000
	w.payErr = func(int) error { return wallets.ErrPaymentFailed }
	if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrPayment) || spent(t, book) != 0 {
		t.Errorf("failed: %v, %d msat", err, spent(t, book))
	}
	w.payErr = func(int) error { return wallets.ErrUnavailable }
	for range 3 { // the same invoice is taken up again
		if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrPayment) || spent(t, book) != price+1000 {
			t.Errorf("unknown: %v, %d msat", err, spent(t, book))
		}
	}
	w.payErr = nil
	if _, _, err := get(t, c, s.URL); err != nil || spent(t, book) != price+1000 {
		t.Errorf("paid: %v, %d msat; the wallet tells no fee", err, spent(t, book))
	}
}

// feeWorld tells fees.
type feeWorld struct{ *world }

func (w feeWorld) PayWithFee(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, lnwire.MilliSatoshi, error) {
	p, err := w.Pay(ctx, invoice, maxFee)
	return p, 7, err
}

func TestBudgetKnowsTheFee(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	c, book := w.limited("100 sat/day")
	c.MaxFee, c.Wallet.Payer = 1000, feeWorld{w}
	result, _, err := get(t, c, s.URL)
	if err != nil || result.Purchase.Fee == nil || *result.Purchase.Fee != 7 || spent(t, book) != price+7 {
		t.Errorf("%+v, %v, %d msat", result.Purchase, err, spent(t, book))
	}
}

// TestBudgetThatCannotBeKept shows that nothing is paid then.
func TestBudgetThatCannotBeKept(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	c, _ := w.keeping()
	c.Budget = &budget.File{Path: filepath.Join("/dev/null", "spending")}
	if _, _, err := get(t, c, s.URL); !errors.Is(err, budget.ErrBook) || w.payments() != 0 {
		t.Errorf("%v, %d payments", err, w.payments())
	}
}
