package purse

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// What was taken without the mint is swapped though the keys rotate before.
func TestOfflineThenKeysRotate(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	if _, err := p.ReceiveOffline(t.Context(), w.locked(8), Terms{}, Offline{MaxValue: 8}); err != nil {
		t.Fatal(err)
	}
	w.mint.Rotate(0)
	p = w.open()
	if open, err := p.Resume(t.Context()); open != 0 || err != nil || p.Balance().Available != 8 {
		t.Errorf("%d open, %v, %+v", open, err, p.Balance())
	}
	w.conserved(p)
}

func TestOffline(t *testing.T) {
	payer, err := ecash.NewBlindingFactor()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, minttest.Options{FeePPK: 100})
	p := w.open()
	w.fund(p, 2) // the keys are known from here on
	calls := w.mint.Calls("/v1/swap")
	near := w.now().Add(time.Minute).Unix()
	bounds := Offline{MaxValue: 20, MaxAge: time.Hour}
	refund := [][]string{{"locktime", decimal(near)}, {"refund", hexKey(payer)}}
	noDLEQ := w.locked(8)
	noDLEQ.Proofs[0].DLEQ = nil
	forged := w.locked(8)
	forged.Proofs[0].DLEQ.E[0] ^= 1
	larger := w.locked(8)
	larger.Proofs[0].Amount = 16
	for name, v := range map[string]struct {
		token *token.Token
		want  error
	}{
		"no lock":            {w.token(8), token.ErrNotLocked},
		"no DLEQ":            {noDLEQ, ecash.ErrDLEQ},
		"forged DLEQ":        {forged, ecash.ErrDLEQ},
		"larger amount":      {larger, ecash.ErrDLEQ},
		"the payer's lock":   {w.lockedTo(payer, nil, 8), token.ErrNotOurs},
		"ours or the payer":  {w.lockedTo(w.key, [][]string{{"pubkeys", hexKey(payer)}}, 8), token.ErrTakeBack},
		"refund to come":     {w.lockedTo(w.key, refund, 8), token.ErrTakeBack},
		"refund due":         {w.lockedTo(w.key, [][]string{{"locktime", "1"}, {"refund", hexKey(payer)}}, 8), token.ErrTakeBack},
		"opens to all":       {w.lockedTo(w.key, [][]string{{"locktime", decimal(near)}}, 8), token.ErrTakeBack},
		"SIG_ALL":            {w.lockedTo(w.key, [][]string{{"sigflag", "SIG_ALL"}}, 8), token.ErrLock},
		"more than allowed":  {w.locked(16, 8), ErrBound},
		"less than is asked": {w.locked(4), ErrTooLittle},
	} {
		if r, err := p.ReceiveOffline(t.Context(), v.token, Terms{Price: 5, MaxFee: 1}, bounds); !errors.Is(err, v.want) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	in := w.locked(8, 8)
	first, err := p.ReceiveOffline(t.Context(), in, Terms{Price: 5}, bounds)
	if err != nil || !first.Owed || first.Amount != 15 || first.Change != nil {
		t.Fatalf("got %+v, %v", first, err)
	}
	if r, err := p.ReceiveOffline(t.Context(), w.locked(8), Terms{}, bounds); !errors.Is(err, ErrBound) {
		t.Errorf("beyond the bound: got %+v, %v", r, err)
	}
	w.forward(2 * time.Hour)
	if r, err := p.ReceiveOffline(t.Context(), w.locked(1), Terms{}, bounds); !errors.Is(err, ErrBound) {
		t.Errorf("beyond the age: got %+v, %v", r, err)
	}
	part := *in
	part.Proofs = in.Proofs[1:]
	if r, err := p.ReceiveOffline(t.Context(), &part, Terms{}, Offline{MaxValue: 100}); !errors.Is(err, ErrSpent) {
		t.Errorf("a part of it: got %+v, %v", r, err)
	}
	if r, err := p.Receive(t.Context(), in, Terms{}); err != nil || !r.Replayed || r.ID != first.ID {
		t.Errorf("again: got %+v, %v", r, err)
	}
	if w.mint.Calls("/v1/swap") != calls {
		t.Error("the mint was asked")
	}
	if b := p.Balance(); b.Unswapped != 16 {
		t.Errorf("balance %+v", b)
	}
	p = w.open()
	if open, err := p.Resume(t.Context()); open != 0 || err != nil || p.Balance().Available != 16 || p.Balance().Unswapped != 0 {
		t.Errorf("%d open, %v, %+v", open, err, p.Balance())
	}
	if r, err := p.ReceiveOffline(t.Context(), in, Terms{}, bounds); err != nil || !r.Replayed || r.Owed {
		t.Errorf("after the swap: got %+v, %v", r, err)
	}
}

// Two at a time see one another's value.
func TestConcurrentOffline(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	var tokens []*token.Token
	for range 20 {
		tokens = append(tokens, w.locked(8))
	}
	var wg sync.WaitGroup
	for _, tok := range tokens {
		wg.Go(func() {
			if _, err := p.ReceiveOffline(context.Background(), tok, Terms{}, Offline{MaxValue: 40}); err != nil && !errors.Is(err, ErrBound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if b := p.Balance(); b.Unswapped > 40 || b.Unswapped == 0 {
		t.Errorf("balance %+v", b)
	}
}
