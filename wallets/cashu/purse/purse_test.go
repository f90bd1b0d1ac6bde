package purse

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

func TestBuy(t *testing.T) {
	w := newWorld(t, minttest.Options{Bare: true})
	p := w.open()
	inv, err := p.Bill(t.Context(), 21, "a thing")
	if err != nil || inv.Amount != 21 || inv.Paid || inv.Expiry.Before(w.now()) {
		t.Fatalf("got %+v, %v", inv, err)
	}
	d, err := wallets.DecodeInvoice(inv.Request)
	if err != nil || d.PaymentHash != inv.Hash || d.Amount != 21000 {
		t.Fatalf("got %+v, %v", d, err)
	}
	if got, err := p.Collect(t.Context(), inv.Hash); err != nil || got.Paid {
		t.Errorf("unpaid: got %+v, %v", got, err)
	}
	if _, err := p.Collect(t.Context(), [32]byte{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
	w.mint.Pay(t, inv.Request)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if got, err := p.Collect(context.Background(), inv.Hash); err != nil || !got.Collected {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if p.Balance().Available != 21 || w.mint.Calls("/v1/mint/bolt11") != 1 {
		t.Errorf("balance %+v", p.Balance())
	}
	// Without anybody asking, Resume collects.
	second, err := p.Bill(t.Context(), 9, "")
	if err != nil {
		t.Fatal(err)
	}
	third, err := p.Bill(t.Context(), 10, "")
	if err != nil {
		t.Fatal(err)
	}
	w.mint.Pay(t, second.Request)
	p = w.open()
	if open, err := p.Resume(t.Context()); open != 1 || err != nil || p.Balance().Available != 30 {
		t.Errorf("%d open, %v, %+v", open, err, p.Balance())
	}
	// One that was never paid is forgotten in the end.
	w.forward(time.Hour + DefaultGrace + time.Minute)
	if open, err := p.Resume(t.Context()); open != 0 || err != nil {
		t.Errorf("%d open, %v", open, err)
	}
	if _, err := p.Collect(t.Context(), third.Hash); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	p.opts.Network = wallets.Mainnet
	if _, err := p.Bill(t.Context(), 1, ""); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("another chain: %v", err)
	}
	p.opts.Network = ""
	if _, err := p.Bill(t.Context(), 1, ""); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("another chain than the default: %v", err)
	}
}

// The keys may rotate between payment and collection.
func TestBuyAndKeysRotate(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	inv, err := p.Bill(t.Context(), 21, "")
	if err != nil {
		t.Fatal(err)
	}
	w.mint.Pay(t, inv.Request)
	w.fund(p, 1) // the old keys are cached
	w.mint.Rotate(0)
	for try := range 3 {
		if got, err := p.Collect(t.Context(), inv.Hash); err == nil {
			if !got.Collected || p.Balance().Available != 22 || try == 2 {
				t.Errorf("got %+v at try %d, balance %+v", got, try, p.Balance())
			}
			return
		}
	}
	t.Error("it was not collected")
}

func TestPay(t *testing.T) {
	w := newWorld(t, minttest.Options{FeePPK: 100, FeeReserve: 10, LightningFee: 3})
	p := w.open()
	w.fund(p, 64, 64, 32, 1)
	had := p.Balance().Available
	invoice := w.mint.Invoice(t, 100)
	if _, err := p.Pay(t.Context(), invoice, 9); !errors.Is(err, ErrFee) {
		t.Errorf("fee: %v", err)
	}
	if _, err := p.Pay(t.Context(), w.mint.Invoice(t, 1000), 10); !errors.Is(err, ErrTooLittle) {
		t.Errorf("too much: %v", err)
	}
	if _, err := p.Pay(t.Context(), "lnbc1", 10); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("no invoice: %v", err)
	}
	if p.Balance().Available != had {
		t.Errorf("refusals cost something: %+v", p.Balance())
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := p.Pay(context.Background(), invoice, 10); err != nil && !errors.Is(err, ErrUnsettled) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := p.Pay(t.Context(), invoice, 10)
	if err != nil || !got.Paid || got.Amount != 100 || got.Preimage == nil || got.Fee < 3 || got.Fee > 5 {
		t.Errorf("got %+v, %v", got, err)
	}
	if n := w.mint.Calls("/v1/melt/bolt11"); n != 1 {
		t.Errorf("paid %d times", n)
	}
	if b := p.Balance(); b.Reserved != 0 || b.Available > had-103 || b.Available < had-106 {
		t.Errorf("had %d, now %+v", had, b)
	}
	w.conserved(p)
	w.conserved(w.open())
}

func TestPayFailsStallsAndSettles(t *testing.T) {
	w := newWorld(t, minttest.Options{FeeReserve: 2})
	p := w.open()
	w.fund(p, 64)
	w.mint.SetPayment(minttest.Fail)
	invoice := w.mint.Invoice(t, 20)
	if _, err := p.Pay(t.Context(), invoice, 2); !errors.Is(err, ErrPaymentFailed) {
		t.Fatalf("got %v", err)
	}
	if b := p.Balance(); b.Available != 64 || b.Reserved != 0 {
		t.Errorf("balance %+v", b)
	}
	for _, paid := range []bool{false, true} {
		w.mint.SetPayment(minttest.Stall)
		if got, err := p.Pay(t.Context(), invoice, 2); !errors.Is(err, ErrUnsettled) || got == nil || got.Paid {
			t.Fatalf("got %+v, %v", got, err)
		}
		if b := p.Balance(); b.Reserved != 22 {
			t.Errorf("balance %+v", b)
		}
		p = w.open()
		if open, err := p.Resume(t.Context()); open != 1 || err != nil {
			t.Errorf("%d open, %v", open, err)
		}
		w.mint.Settle(t, paid)
		w.mint.SetPayment(minttest.Fail)
		if open, err := p.Resume(t.Context()); err != nil || open > 1 {
			t.Errorf("%d open, %v", open, err)
		}
		if !paid {
			// The mint says unpaid; the payment is tried again until its quote ends.
			w.forward(2 * time.Hour)
			if open, err := p.Resume(t.Context()); open != 0 || err != nil || p.Balance().Available != 64 {
				t.Errorf("%d open, %v, %+v", open, err, p.Balance())
			}
		}
	}
	if got, err := p.Pay(t.Context(), invoice, 2); err != nil || !got.Paid || p.Balance().Available != 44 {
		t.Errorf("got %+v, %v, %+v", got, err, p.Balance())
	}
	w.conserved(p)
}

func TestSend(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 8, 4)
	if _, err := p.Send(t.Context(), 0, ""); !errors.Is(err, token.ErrAmount) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := p.Send(t.Context(), 13, ""); !errors.Is(err, ErrTooLittle) {
		t.Errorf("too much: %v", err)
	}
	swaps := w.mint.Calls("/v1/swap")
	exact, err := p.Send(t.Context(), 4, "")
	if err != nil || w.unspent(exact) != 4 || w.mint.Calls("/v1/swap") != swaps {
		t.Errorf("sent %d, %v", w.unspent(exact), err)
	}
	part, err := p.Send(t.Context(), 3, "")
	if err != nil || w.unspent(part) != 3 || p.Balance().Available != 5 {
		t.Errorf("sent %d, %v, %+v", w.unspent(part), err, p.Balance())
	}
	w.conserved(p, exact, part)
	// A token that nobody took is taken back.
	if r, err := p.Receive(t.Context(), part, Terms{}); err != nil || r.Amount != 3 || p.Balance().Available != 8 {
		t.Errorf("got %+v, %v", r, err)
	}
	w.conserved(p, exact)
}

func TestConcurrentSend(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 64)
	var mu sync.Mutex
	var sent []*token.Token
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			tok, err := p.Send(context.Background(), 7, "")
			if errors.Is(err, ErrTooLittle) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			sent = append(sent, tok)
		})
	}
	wg.Wait()
	if len(sent) != 9 || p.Balance().Available != 1 {
		t.Errorf("%d sent, %+v", len(sent), p.Balance())
	}
	w.conserved(p, sent...)
}

// Old records go, and with them nothing that is worth something.
func TestPrune(t *testing.T) {
	w := newWorld(t, minttest.Options{FeeReserve: 1})
	p := w.open()
	w.fund(p, 64)
	w.fund(p, 32)
	for range 3 {
		if _, err := p.Pay(t.Context(), w.mint.Invoice(t, 10), 1); err != nil {
			t.Fatal(err)
		}
	}
	before, records := p.Balance().Available, w.disk.count(p.kind)
	w.forward(DefaultRetention + time.Hour)
	if _, err := p.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.disk.count(p.kind) >= records {
		t.Errorf("%d records of %d", w.disk.count(p.kind), records)
	}
	for _, purse := range []*Purse{p, w.open()} {
		if purse.Balance().Available != before {
			t.Errorf("had %d, now %+v", before, purse.Balance())
		}
		w.conserved(purse)
	}
	// Pruning that a crash interrupts brings nothing back.
	for step := range 5 {
		l := &life{left: step}
		dying := w.start(l)
		w.forward(DefaultRetention + time.Hour)
		_, _ = dying.Resume(context.Background())
		if p := w.open(); p.Balance().Available != before {
			t.Errorf("step %d: had %d, now %+v", step, before, p.Balance())
		}
	}
}

// Two processes on one store never use a counter twice.
func TestTwoInstances(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	var lock sync.Mutex
	var instances []*Purse
	for _, name := range []string{"a", "b"} {
		p := w.open()
		opts := p.opts
		opts.Instance = name
		if _, err := Open(t.Context(), opts); err == nil {
			t.Error("several processes without a lock")
		}
		opts.Lock = func(context.Context, string) (func(), error) { lock.Lock(); return lock.Unlock, nil }
		p, err := Open(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		instances = append(instances, p)
	}
	var wg sync.WaitGroup
	var tokens []*token.Token
	for range 12 {
		tokens = append(tokens, w.token(64, 32, 16, 8, 4, 2, 1))
	}
	for i, tok := range tokens {
		wg.Go(func() {
			if _, err := instances[i%2].Receive(context.Background(), tok, Terms{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := make(map[slot]bool)
	for _, p := range instances {
		for _, o := range p.ops {
			for _, s := range o.rec.Outputs {
				key := slot{Keyset: s.Keyset, Counter: s.Counter}
				if seen[key] {
					t.Errorf("counter %d was used twice", s.Counter)
				}
				seen[key] = true
			}
		}
	}
	if sum := instances[0].Balance().Available + instances[1].Balance().Available; sum != 12*127 {
		t.Errorf("together %d", sum)
	}
}

func TestOpenRefuses(t *testing.T) {
	w := newWorld(t, minttest.Options{})
	p := w.open()
	w.fund(p, 8)
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("nothing was given")
	}
	list, _ := w.disk.ListDurable(t.Context(), p.kind)
	_ = w.disk.PutDurable(t.Context(), p.kind, list[0].ID, []byte("{"))
	if _, err := Open(t.Context(), p.opts); !errors.Is(err, ErrStore) {
		t.Errorf("a damaged record: %v", err)
	}
	_ = w.disk.DeleteDurable(t.Context(), p.kind, list[0].ID)
	for _, counter := range []string{"x", "", "-1"} {
		list, _ := w.disk.ListDurable(t.Context(), p.counterKind)
		_ = w.disk.PutDurable(t.Context(), p.counterKind, list[0].ID, []byte(counter))
		fresh, err := Open(t.Context(), p.opts)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fresh.Receive(t.Context(), w.token(8), Terms{}); !errors.Is(err, ErrStore) {
			t.Errorf("counter %q: %v", counter, err)
		}
		if _, err := fresh.Restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := fresh.Receive(t.Context(), w.token(8), Terms{}); err != nil {
			t.Errorf("after restoring: %v", err)
		}
	}
}

func TestLoadSeed(t *testing.T) {
	d := newDisk()
	a, err := LoadSeed(t.Context(), d, "x")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := LoadSeed(t.Context(), d, "x"); err != nil || a != b {
		t.Errorf("another seed: %v", err)
	}
	if c, err := LoadSeed(t.Context(), d, "y"); err != nil || a == c {
		t.Errorf("one seed for two: %v", err)
	}
	_ = d.PutDurable(t.Context(), seedKind, "x", []byte("broken"))
	if _, err := LoadSeed(t.Context(), d, "x"); !errors.Is(err, ecash.ErrSeed) {
		t.Errorf("a damaged seed was replaced: %v", err)
	}
}
