package purse

import (
	"errors"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
)

// What somebody else with the same words has spent is written off, and nothing else.
func TestSpentBehindOurBack(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 16, 4)
	opts := p.opts
	opts.Store = newDisk()
	thief, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := thief.Restore(t.Context()); err != nil || found != 20 {
		t.Fatalf("found %d, %v", found, err)
	}
	stolen, err := thief.Send(t.Context(), 16, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newWorldAt(w).Receive(t.Context(), stolen, Terms{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), 18, ""); !errors.Is(err, ErrSpent) {
		t.Errorf("got %v", err)
	}
	for _, purse := range []*Purse{p, w.open()} {
		if b := purse.Balance(); b.Available != 4 || b.Reserved != 0 {
			t.Errorf("balance %+v", b)
		}
	}
	sent, err := p.Send(t.Context(), 3, "")
	if err != nil || w.unspent(sent) != 3 {
		t.Errorf("sent %d, %v", w.unspent(sent), err)
	}
}

// A payer who comes back after the keys were rotated is served with new outputs, and gets his change.
func TestKeysRotateBeforeRetry(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	in := w.token(8)
	w.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.Drop, Times: 1})
	if _, err := p.Receive(t.Context(), in, Terms{Price: 5}); !errors.Is(err, ErrUnsettled) {
		t.Fatalf("got %v", err)
	}
	w.mint.Rotate(0)
	p = w.open()
	r, err := p.Receive(t.Context(), in, Terms{Price: 5})
	if err != nil || r.Amount != 5 || w.unspent(r.Change) != 3 {
		t.Fatalf("got %+v, %v", r, err)
	}
	w.conserved(p, r.Change)
}

// A payment that the store may have or not is made once, and its ecash is not lost.
func TestStoreFailsOnSpending(t *testing.T) {
	for step := range 4 {
		w := newWorld(t, minttest.Options{FeeReserve: 1})
		p := w.open()
		w.fund(p, 64)
		flaky := &flakyStore{Store: p.opts.Store, fail: step}
		p.opts.Store = flaky
		invoice := w.mint.Invoice(t, 10)
		_, err := p.Pay(t.Context(), invoice, 1)
		if failed := flaky.fail < 0; failed && err != nil && !errors.Is(err, ErrStore) && !errors.Is(err, ErrUnsettled) {
			t.Errorf("step %d: %v", step, err)
		}
		if _, err := p.Resume(t.Context()); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
		if got, err := p.Pay(t.Context(), invoice, 1); err != nil || !got.Paid {
			t.Errorf("step %d: got %+v, %v", step, got, err)
		}
		w.conserved(p)
		w.conserved(w.open())
	}
}

// Made-up tokens leave nothing behind where a DLEQ is required.
func TestRequireDLEQ(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	p.opts.RequireDLEQ = true
	in := w.token(8)
	in.Proofs[0].DLEQ = nil
	if _, err := p.Receive(t.Context(), in, Terms{}); !errors.Is(err, ecash.ErrDLEQ) {
		t.Errorf("got %v", err)
	}
	if w.disk.count(p.kind)+w.disk.count(p.counterKind) != 0 || w.mint.Calls("/v1/swap") != 0 {
		t.Error("something was written or sent")
	}
	w.fund(p, 8)
}

// Gaps of any size are searched where the store still has the counter.
func TestRestoreOverGaps(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 1)
	k, err := p.opts.Mint.Active(t.Context(), "sat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.counters(t.Context(), k.ID, 500); err != nil {
		t.Fatal(err)
	}
	w.fund(p, 8)
	w.disk.mu.Lock()
	clear(w.disk.values[p.kind])
	w.disk.mu.Unlock()
	p = w.open()
	if found, err := p.Restore(t.Context()); err != nil || found != 9 {
		t.Errorf("found %d, %v", found, err)
	}
	w.fund(p, 2)
	w.conserved(p)
}
