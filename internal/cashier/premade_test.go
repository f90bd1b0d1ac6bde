package cashier

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// settled waits until no invoice is being made.
func (c *Cashier) stocked(t *testing.T, want int) {
	t.Helper()
	s := c.shelf(request)
	for range 1000 {
		s.mu.Lock()
		making, have := s.making, len(s.invoices)
		s.mu.Unlock()
		if making == 0 {
			if have != want {
				t.Errorf("%d invoices are ready, want %d", have, want)
			}
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("still making")
}

func TestOneDemandMakesNothingBeforehand(t *testing.T) {
	c, w, _ := newToy(t)
	for i := range 100 { // a hundred kinds, each asked for once
		req := request
		req.Memo = fmt.Sprint("host", i)
		if _, err := c.Take(t.Context(), req, 4); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond)
	if n := w.calls.Load(); n != 100 {
		t.Errorf("100 requests made %d invoices", n)
	}
	if n := c.shelves.Len(); n > maxShelves {
		t.Errorf("%d shelves", n)
	}
}

func TestDemandIsServedAtOnce(t *testing.T) {
	c, w, _ := newToy(t)
	seen := map[string]bool{}
	for i := range 5 {
		inv, err := c.Take(t.Context(), request, 4)
		if err != nil || seen[inv.PaymentRequest] {
			t.Fatal("failed or given twice", err)
		}
		seen[inv.PaymentRequest] = true
		c.stocked(t, min(i, 4))
	}
	w.before = func(ctx context.Context) error { // from now on the wallet is slow
		select {
		case <-time.After(300 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, err := c.Take(ctx, request, 4); err != nil {
			t.Error("it waits for the wallet:", err)
		}
		cancel()
	}
}

func TestOldInvoicesAreNotGiven(t *testing.T) {
	c, _, _ := newToy(t)
	for range 3 {
		if _, err := c.Take(t.Context(), request, 2); err != nil {
			t.Fatal(err)
		}
	}
	c.stocked(t, 2)
	s := c.shelf(request)
	if inv := s.take(time.Now().Add(request.Expiry/4+2*time.Second), request.Expiry*3/4); inv != nil {
		t.Error("an invoice with little life left was given")
	}
}

func TestAWalletThatFailsEmptiesTheShelf(t *testing.T) {
	c, w, _ := newToy(t)
	for range 4 {
		if _, err := c.Take(t.Context(), request, 2); err != nil {
			t.Fatal(err)
		}
	}
	c.stocked(t, 2)
	w.before = func(context.Context) error { return errors.New("down") }
	if _, err := c.Take(t.Context(), request, 2); err != nil {
		t.Fatal("the one that is ready:", err)
	}
	c.stocked(t, 0)
	if _, err := c.Take(t.Context(), request, 2); err == nil {
		t.Error("an invoice of a wallet that is down")
	}
}
