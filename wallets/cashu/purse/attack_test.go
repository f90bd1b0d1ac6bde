package purse

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// loseStore makes the disk that of a server whose storage was lost, while the seed is still there.
func (w *world) loseStore() { w.disk = newDisk() }

// A purse that begins with a seed of which the mint has signed outputs before uses none of them again.
// The mint would refuse to sign, and show the old signatures when it is asked for them: ecash that is
// still the payer's would seem to have been taken.
func TestAttackUsedCounters(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	for range 3 {
		w.fund(p, 8, 2)
	}
	before := p.Balance().Available
	w.loseStore()
	p = w.open()
	in := w.token(8, 2)
	if _, err := p.Receive(t.Context(), in, Terms{Price: 10}); err != nil {
		t.Fatal(err)
	}
	if left := w.unspent(in); left != 0 {
		t.Errorf("the payer was served and still has %d", left)
	}
	inv, err := p.Bill(t.Context(), 10, "")
	if err != nil {
		t.Fatal(err)
	}
	w.mint.Pay(t, inv.Request)
	if _, err := p.Collect(t.Context(), inv.Hash); err != nil {
		t.Fatal(err)
	}
	if b := p.Balance(); b.Available != 20 {
		t.Errorf("balance %+v", b)
	}
	if found, err := p.Restore(t.Context()); err != nil || found != before {
		t.Errorf("%d of %d restored, %v", found, before, err)
	}
	w.conserved(p)
}

// Another server with the same seed has used counters in the meantime, which no look before tells.
func TestAttackSeedInTwoPlaces(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	one := w.open()
	w.fund(one, 1)
	w.loseStore()
	two := w.open()
	w.fund(two, 1)
	for range 2 {
		w.fund(one, 8, 2)
	}
	in := w.token(8, 2)
	for range 50 {
		_, err := two.Receive(t.Context(), in, Terms{Price: 10})
		switch left := w.unspent(in); {
		case err == nil && left != 0:
			t.Fatalf("the payer was served and still has %d", left)
		case err != nil && left != 10:
			t.Fatalf("the payer was not served and has only %d: %v", left, err)
		case err == nil:
			return
		}
	}
	t.Error("the payer was never served")
}

// Ecash that was taken without the mint is not taken so a second time, however long ago it was.
func TestAttackOfflineReplay(t *testing.T) {
	for name, offline := range map[string]bool{"taken offline": true, "taken online": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minttest.Options{})
			p := w.open()
			in := w.locked(8, 2)
			var err error
			if offline {
				_, err = p.ReceiveOffline(t.Context(), in, Terms{}, Offline{MaxValue: 100})
			} else {
				_, err = p.Receive(t.Context(), in, Terms{})
			}
			if err != nil {
				t.Fatal(err)
			}
			resume := func() {
				t.Helper()
				if _, err := p.Resume(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			resume()
			if _, err := p.Send(t.Context(), 10, ""); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				w.forward(DefaultRetention + time.Hour)
				resume()
			}
			if n := len(p.ops); n != 0 {
				t.Fatalf("%d operations are left: nothing is tested", n)
			}
			part := *in
			part.Proofs = in.Proofs[1:]
			for range 2 { // as it is, and after a restart
				for _, tok := range []*token.Token{in, &part} {
					if r, err := p.ReceiveOffline(t.Context(), tok, Terms{}, Offline{MaxValue: 100}); !errors.Is(err, ErrSpent) {
						t.Fatalf("taken again: %+v, %v", r, err)
					}
				}
				p = w.open()
			}
		})
	}
}

// What one purse has taken without the mint no other one takes, and all have one bound together.
func TestAttackOfflineAtTwoPurses(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	one := w.open()
	var both []*Purse
	two := w.openNamed("another", func() []*Purse { return both })
	one.opts.Others = func() []*Purse { return both }
	both = []*Purse{one, two}
	in := w.locked(8)
	if _, err := one.ReceiveOffline(t.Context(), in, Terms{}, Offline{MaxValue: 20}); err != nil {
		t.Fatal(err)
	}
	if r, err := two.ReceiveOffline(t.Context(), in, Terms{}, Offline{MaxValue: 20}); !errors.Is(err, ErrBound) {
		t.Errorf("the same ecash twice: %+v, %v", r, err)
	}
	if r, err := two.ReceiveOffline(t.Context(), w.locked(16), Terms{}, Offline{MaxValue: 20}); !errors.Is(err, ErrBound) {
		t.Errorf("beyond the bound together: %+v, %v", r, err)
	}
	if _, err := two.ReceiveOffline(t.Context(), w.locked(8), Terms{}, Offline{MaxValue: 20}); err != nil {
		t.Error(err)
	}
	if _, err := one.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := two.ReceiveOffline(t.Context(), in, Terms{}, Offline{MaxValue: 20}); !errors.Is(err, ErrBound) {
		t.Errorf("the same ecash after the swap: %+v, %v", r, err)
	}
	if r, err := two.Receive(t.Context(), in, Terms{}); !errors.Is(err, ErrSpent) {
		t.Errorf("at the mint: %+v, %v", r, err)
	}
}

// What was taken without the mint and turns out to be spent, by someone who has the key or with the mint's
// help, goes on to count against the bound.
func TestAttackOfflineBoundForgets(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	other := w.openNamed("who has the key too", nil)
	w.fund(other, 1)
	p := w.open()
	bounds := Offline{MaxValue: 10, MaxAge: time.Hour}
	in := w.locked(8)
	if _, err := p.ReceiveOffline(t.Context(), in, Terms{}, bounds); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Receive(t.Context(), in, Terms{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Resume(t.Context()); !errors.Is(err, ErrDisputed) {
		t.Fatalf("got %v", err)
	}
	for range 2 {
		if r, err := p.ReceiveOffline(t.Context(), w.locked(8), Terms{}, bounds); !errors.Is(err, ErrBound) {
			t.Errorf("got %+v, %v", r, err)
		}
		if _, err := p.ReceiveOffline(t.Context(), w.locked(2), Terms{}, bounds); err != nil {
			t.Errorf("within the bound: %v", err)
		}
		if _, err := p.Resume(t.Context()); err != nil {
			t.Error(err)
		}
		p = w.open()
		w.forward(2 * time.Hour)
	}
}

// Made-up ecash leaves no gap in the counters over which the seed could not find what comes after.
func TestAttackGapInCounters(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	for range 110 {
		made := w.token(1, 2, 4)
		for i := range made.Proofs {
			made.Proofs[i].DLEQ = nil
			key, err := ecash.NewBlindingFactor()
			if err != nil {
				t.Fatal(err)
			}
			made.Proofs[i].C = key.PubKey()
		}
		if _, err := p.Receive(t.Context(), made, Terms{}); err == nil {
			t.Fatal("made-up ecash was taken")
		}
	}
	w.fund(p, 64)
	w.loseStore()
	p = w.open()
	if found, err := p.Restore(context.Background()); err != nil || found != 64 {
		t.Errorf("%d restored, %v", found, err)
	}
}
