package redeem

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

var mints = map[string]minttest.Options{
	"plain":        {},
	"fees":         {FeePPK: 100, FeeReserve: 7, LightningFee: 2},
	"no change":    {FeeReserve: 3, NoChange: true, Bare: true},
	"cached, fees": {FeePPK: 600, Cached: true},
}

// Wherever the process dies, before or after a step takes effect, no invoice is paid twice, and each
// payment is accounted for to the last satoshi.
func TestKill(t *testing.T) {
	stride := 1
	if testing.Short() {
		stride = 3
	}
	rules := Rules{Above: 100 * sat, FeeBase: 10 * sat}
	for name, opts := range mints {
		t.Run(name, func(t *testing.T) {
			for _, after := range []bool{false, true} {
				for step := 0; ; step += stride {
					w := newWorld(t, opts)
					w.fund(w.open(rules), 64, 64, 16, 1)
					l := &life{left: step, after: after}
					p := w.start(l, rules)
					_, err := p.Run(context.Background(), p.job)
					if !l.over() && err != nil {
						t.Fatalf("step %d, after %t: %v", step, after, err)
					}
					p = w.open(rules)
					s := w.settle(p)
					if w.paid() != s.Amount || s.Count != 1 {
						t.Errorf("%d paid, %+v", w.paid(), s)
					}
					if b := p.purse.Balance(); b.Reserved != 0 || b.Available > 100 {
						t.Errorf("left %+v", b)
					}
					if !opts.NoChange {
						w.conserved(p)
					}
					if t.Failed() {
						t.Fatalf("step %d, after %t", step, after)
					}
					if !l.over() {
						if step < 5 {
							t.Fatal("nothing was tested")
						}
						break
					}
					if step > 100 {
						t.Fatal("the process does not end")
					}
				}
			}
		})
	}
}

// A store that fails once loses nothing either, within the life of the process.
func TestStoreFails(t *testing.T) {
	for step := 0; ; step++ {
		w := newWorld(t, minttest.Options{FeeReserve: 3, LightningFee: 1})
		w.fund(w.open(above), 64, 64, 16, 1)
		fail := step
		p := w.startNamed(&life{left: -1}, above, "", &fail, nil)
		_, err := p.Run(t.Context(), p.job)
		failed := fail < 0
		if failed && !errors.Is(err, ErrStore) && !errors.Is(err, purse.ErrStore) || !failed && err != nil {
			t.Errorf("step %d: got %v", step, err)
		}
		s := w.settle(p)
		if w.paid() != s.Amount || s.Count != 1 {
			t.Errorf("step %d: %d paid, %+v", step, w.paid(), s)
		}
		w.conserved(p)
		w.conserved(w.open(above))
		if t.Failed() {
			t.FailNow()
		}
		if !failed {
			if step < 4 {
				t.Fatal("nothing was tested")
			}
			return
		}
	}
}

// While a payment is in flight nothing else is paid, and the mint is asked less and less often.
func TestInFlight(t *testing.T) {
	for name, paid := range map[string]bool{"then it succeeds": true, "then it fails": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minttest.Options{FeeReserve: 3, LightningFee: 1})
			p := w.open(above)
			w.fund(p, 128)
			w.mint.SetPayment(minttest.Stall)
			if _, err := p.Run(t.Context(), p.job); !errors.Is(err, ErrInFlight) {
				t.Fatalf("got %v", err)
			}
			w.fund(p, 512)
			if done, err := p.Run(t.Context(), p.job); done != nil || err != nil {
				t.Errorf("asked again at once: %v, %v", done, err)
			}
			if _, err := p.Redeem(t.Context(), p.job); !errors.Is(err, ErrInFlight) {
				t.Errorf("another one is begun: %v", err)
			}
			p = w.open(above) // and a restart changes nothing
			for range 3 {
				w.forward(lastAsk)
				if _, err := p.Run(t.Context(), p.job); !errors.Is(err, ErrInFlight) {
					t.Errorf("got %v", err)
				}
			}
			if w.invoices != 1 || len(w.mint.Payments()) != 0 || len(w.told) != 0 {
				t.Errorf("%d invoices, %v, told %v", w.invoices, w.mint.Payments(), w.told)
			}
			w.mint.SetPayment(minttest.Succeed)
			w.mint.Settle(t, paid)
			s := w.settle(p)
			if s.Amount != w.paid() || paid && s.Last[len(s.Last)-1].Amount != 116 {
				t.Errorf("state %+v, %d paid", s, w.paid())
			}
			w.conserved(p)
		})
	}
}

// A payment that fails gives the ecash back; it is tried later, after a while with less.
func TestPaymentFails(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open(Rules{Above: 100 * sat, Min: 10 * sat})
	w.fund(p, 1024)
	w.mint.SetPayment(minttest.Fail)
	for range 4 {
		if _, err := p.Run(t.Context(), p.job); !errors.Is(err, purse.ErrPaymentFailed) {
			t.Fatalf("got %v", err)
		}
		if b := p.purse.Balance(); b.Available != 1024 || b.Reserved != 0 {
			t.Errorf("balance %+v", b)
		}
		w.forward(lastRetry)
	}
	s, err := p.State(t.Context(), p.job)
	if err != nil || s.Failures != 4 || s.Refused != 4 {
		t.Errorf("state %+v, %v", s, err)
	}
	w.mint.SetPayment(minttest.Succeed)
	done, err := p.Run(t.Context(), p.job)
	if err != nil || len(done) < 2 || done[0].Amount != 256 || w.paid() != 1024 {
		t.Errorf("got %v, %v", done, err)
	}
	w.conserved(p)
}

// The mint's answer to the melt is lost: what happened is asked for, and done once.
func TestAnswerLost(t *testing.T) {
	for _, kind := range []minttest.Kind{minttest.LoseAnswer, minttest.UnavailableAfter, minttest.Drop, minttest.Unavailable} {
		w := newWorld(t, minttest.Options{FeeReserve: 3, LightningFee: 1})
		p := w.open(above)
		w.fund(p, 128)
		w.mint.Break(minttest.Fault{Path: "/v1/melt/bolt11", Kind: kind, Times: 1})
		if _, err := p.Run(t.Context(), p.job); err != nil && !errors.Is(err, ErrInFlight) && !errors.Is(err, ErrFailed) {
			t.Errorf("kind %d: got %v", kind, err)
		}
		s := w.settle(p)
		if s.Count != 1 || s.Amount != w.paid() {
			t.Errorf("kind %d: state %+v, %d paid", kind, s, w.paid())
		}
		w.conserved(p)
	}
}

// The mint is away from the payment on, and for long.
func TestMintGoesAway(t *testing.T) {
	w := newWorld(t, minttest.Options{FeeReserve: 3, LightningFee: 1})
	p := w.open(above)
	w.fund(p, 128)
	w.mint.Break(minttest.Fault{Path: "/v1/melt/bolt11", Kind: minttest.LoseAnswer})
	w.mint.Break(minttest.Fault{Path: "/v1/melt/quote/bolt11/", Kind: minttest.Unavailable})
	for range 5 {
		if _, err := p.Run(t.Context(), p.job); !errors.Is(err, ErrInFlight) {
			t.Fatalf("got %v", err)
		}
		w.forward(12 * time.Hour)
		p = w.open(above)
	}
	w.mint.Repair()
	s := w.settle(p)
	if s.Count != 1 || s.Amount != w.paid() || w.invoices != 1 {
		t.Errorf("state %+v, %d paid, %d invoices", s, w.paid(), w.invoices)
	}
	w.conserved(p)
}

// Two instances with purses of their own redeem one after the other, and two calls in one process do
// not get in each other's way.
func TestTwoInstances(t *testing.T) {
	w := newWorld(t, minttest.Options{FeeReserve: 3, LightningFee: 1})
	var locks sync.Map
	inside := make(chan struct{}, 1)
	lock := func(ctx context.Context, name string) (func(), error) {
		v, _ := locks.LoadOrStore(name, make(chan struct{}, 1))
		select {
		case v.(chan struct{}) <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if name == "redeem-purse" {
			inside <- struct{}{}
		}
		return func() {
			if name == "redeem-purse" {
				<-inside
			}
			<-v.(chan struct{})
		}, nil
	}
	one := w.startNamed(&life{left: -1}, above, "one", nil, lock)
	two := w.startNamed(&life{left: -1}, above, "two", nil, lock)
	w.fund(one, 128)
	w.fund(two, 256)
	var group sync.WaitGroup
	for range 3 {
		for _, p := range []*process{one, two} {
			group.Go(func() { // ends with its run
				if _, err := p.Run(context.Background(), p.job); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	if w.invoices != 2 || len(w.mint.Payments()) != 2 {
		t.Errorf("%d invoices, %v", w.invoices, w.mint.Payments())
	}
	w.paid()
	w.conserved(one, two)
	two.job.Lock = func(context.Context, string) (func(), error) { return nil, errors.New("held elsewhere") }
	w.fund(two, 512)
	other := New(two.opts)
	if done, err := other.Run(t.Context(), two.job); done != nil || err != nil {
		t.Errorf("got %v, %v", done, err)
	}
	if _, err := other.Redeem(t.Context(), two.job); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
}
