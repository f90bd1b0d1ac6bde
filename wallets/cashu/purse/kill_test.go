package purse

import (
	"context"
	"errors"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

var mints = map[string]minttest.Options{
	"plain":             {},
	"fees, version 1":   {FeePPK: 100, Version: 1},
	"fees, caches":      {FeePPK: 600, Cached: true},
	"fee reserve":       {FeePPK: 100, FeeReserve: 7, LightningFee: 2},
	"no change in melt": {FeeReserve: 3, NoChange: true, Bare: true},
}

// A payer who repeats the token is served, with the same change, wherever the process died.
func TestKillReceive(t *testing.T) {
	t.Parallel()
	for name, opts := range mints {
		t.Run(name, func(t *testing.T) {
			var paid *token.Token
			kill(t, opts, func(w *world) { paid = w.token(8, 4, 2, 1) },
				func(w *world, p *Purse) error {
					_, err := p.Receive(context.Background(), paid, Terms{Price: 5})
					return err
				},
				func(w *world, p *Purse) {
					r, err := p.Receive(context.Background(), paid, Terms{Price: 5})
					if err != nil {
						t.Fatal(err)
					}
					fee := (4*opts.FeePPK + 999) / 1000
					if r.Amount != 5 || p.Balance().Available != 5 || w.unspent(r.Change) != 15-5-fee || w.unspent(paid) != 0 {
						t.Errorf("kept %d of %d, change %d", r.Amount, p.Balance().Available, w.unspent(r.Change))
					}
					w.conserved(p, r.Change)
				})
		})
	}
}

// A payer who does not come back keeps his ecash, or the purse has it.
func TestKillReceiveAndPayerLeaves(t *testing.T) {
	var paid *token.Token
	kill(t, minttest.Options{FeePPK: 100}, func(w *world) { paid = w.token(8, 4, 2, 1) },
		func(w *world, p *Purse) error {
			_, err := p.Receive(context.Background(), paid, Terms{})
			return err
		},
		func(w *world, p *Purse) {
			if left, has := w.unspent(paid), p.Balance().Available; left != 15 && left != 0 || left == 15 && has != 0 || left == 0 && has != 14 {
				t.Errorf("the payer has %d, the purse %d", left, has)
			}
			w.conserved(p, paid)
			w.forward(DefaultRetention + 1)
			if open, err := p.Resume(context.Background()); err != nil || open != 0 {
				t.Errorf("%d open, %v", open, err)
			}
			w.conserved(p, paid)
		})
}

func TestKillOffline(t *testing.T) {
	var paid *token.Token
	kill(t, minttest.Options{FeePPK: 100}, func(w *world) { paid = w.locked(8, 4, 2, 1) },
		func(w *world, p *Purse) error {
			if _, err := p.ReceiveOffline(context.Background(), paid, Terms{Price: 10}, Offline{MaxValue: 100}); err != nil {
				return err
			}
			_, err := p.Resume(context.Background())
			return err
		},
		func(w *world, p *Purse) {
			// Whether it was served or not, the payer brings it again and it counts once.
			r, err := p.ReceiveOffline(context.Background(), paid, Terms{Price: 10}, Offline{MaxValue: 100})
			if err != nil || r.Amount != 14 {
				t.Fatalf("got %+v, %v", r, err)
			}
			if open, err := p.Resume(context.Background()); open != 0 || err != nil {
				t.Errorf("%d open, %v", open, err)
			}
			if b := p.Balance(); b.Available != 14 || b.Unswapped != 0 {
				t.Errorf("balance %+v", b)
			}
			w.conserved(p)
		})
}

func TestKillBuy(t *testing.T) {
	t.Parallel()
	for name, opts := range mints {
		t.Run(name, func(t *testing.T) {
			var invoice *Invoice
			kill(t, opts, func(w *world) { invoice = nil },
				func(w *world, p *Purse) error {
					var err error
					if invoice, err = p.Bill(context.Background(), 21, ""); err != nil {
						return err
					}
					w.mint.Pay(t, invoice.Request)
					_, err = p.Collect(context.Background(), invoice.Hash)
					return err
				},
				func(w *world, p *Purse) {
					if invoice == nil {
						return // nobody has seen it
					}
					got, err := p.Collect(context.Background(), invoice.Hash)
					if err != nil || !got.Paid || !got.Collected || p.Balance().Available != 21 {
						t.Errorf("got %+v, %v, balance %d", got, err, p.Balance().Available)
					}
					w.conserved(p)
				})
		})
	}
}

func TestKillSend(t *testing.T) {
	t.Parallel()
	for name, opts := range mints {
		t.Run(name, func(t *testing.T) {
			kill(t, opts, func(w *world) { w.fund(w.open(), 16, 16) },
				func(w *world, p *Purse) error {
					_, err := p.Send(context.Background(), 5, "a")
					return err
				},
				func(w *world, p *Purse) {
					before := p.Balance()
					sent, err := p.Send(context.Background(), 5, "a")
					if err != nil {
						t.Fatalf("%v, balance was %+v", err, before)
					}
					again, err := p.Send(context.Background(), 5, "a")
					if err != nil || w.unspent(sent) != 5 || again.Proofs[0].Secret != sent.Proofs[0].Secret {
						t.Errorf("sent %d, %v", w.unspent(sent), err)
					}
					w.conserved(p, sent)
				})
		})
	}
}

func TestKillPay(t *testing.T) {
	t.Parallel()
	for name, opts := range mints {
		t.Run(name, func(t *testing.T) {
			var invoice string
			kill(t, opts, func(w *world) {
				w.fund(w.open(), 64, 32, 1)
				invoice = w.mint.Invoice(t, 50)
			},
				func(w *world, p *Purse) error {
					_, err := p.Pay(context.Background(), invoice, 10)
					return err
				},
				func(w *world, p *Purse) {
					before := w.mint.Outstanding()
					w.conserved(p)
					paid, err := p.Pay(context.Background(), invoice, 10)
					if err != nil || !paid.Paid || paid.Preimage == nil {
						t.Fatalf("got %+v, %v; the mint owed %d", paid, err, before)
					}
					if b := p.Balance(); b.Reserved != 0 {
						t.Errorf("balance %+v", b)
					}
					if opts.NoChange {
						// The mint keeps the reserve.
						return
					}
					w.conserved(p)
				})
		})
	}
}

// After the loss of the whole store the seed has everything.
func TestKillRestore(t *testing.T) {
	t.Parallel()
	kill(t, minttest.Options{}, func(w *world) {
		p := w.open()
		w.fund(p, 16, 4)
		w.fund(p, 32)
		w.disk.mu.Lock()
		clear(w.disk.values)
		w.disk.mu.Unlock()
	},
		func(w *world, p *Purse) error {
			_, err := p.Restore(context.Background())
			return err
		},
		func(w *world, p *Purse) {
			if _, err := p.Restore(context.Background()); err != nil {
				t.Fatal(err)
			}
			if p.Balance().Available != 52 {
				t.Errorf("balance %+v", p.Balance())
			}
			w.conserved(p)
			w.fund(p, 8) // counters are beyond what was used
			w.conserved(p)
		})
}

// A store that fails loses nothing either, within the life of the process.
func TestStoreFails(t *testing.T) {
	for step := range 6 {
		w := newWorld(t, minttest.Options{})
		paid := w.token(8, 4)
		l := &life{left: -1}
		p := w.start(l)
		flaky := &flakyStore{Store: mortal{w.disk, l}, fail: step}
		p.opts.Store = flaky
		r, err := p.Receive(context.Background(), paid, Terms{Price: 5})
		if failed := flaky.fail < 0; failed != (err != nil) || failed && !errors.Is(err, ErrStore) {
			t.Errorf("step %d: %v", step, err)
		}
		if r, err = p.Receive(context.Background(), paid, Terms{Price: 5}); err != nil || r.Amount != 5 || w.unspent(r.Change) != 7 {
			t.Errorf("step %d: got %+v, %v", step, r, err)
		}
		w.conserved(p, r.Change)
		w.conserved(w.open(), r.Change)
	}
}

// flakyStore fails once, at a write.
type flakyStore struct {
	Store
	fail int
}

func (f *flakyStore) PutDurable(ctx context.Context, kind, id string, value []byte) error {
	f.fail--
	if f.fail == -1 {
		return errors.New("disk full")
	}
	return f.Store.PutDurable(ctx, kind, id, value)
}
