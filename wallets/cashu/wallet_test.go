package cashu

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func bill(t testing.TB, w *Wallet, sat uint64) *wallets.Invoice {
	t.Helper()
	inv, err := w.CreateInvoice(t.Context(), wallets.InvoiceRequest{Amount: w.msat(sat), Expiry: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func state(t testing.TB, w *Wallet, inv *wallets.Invoice) wallets.State {
	t.Helper()
	st, err := w.LookupInvoice(t.Context(), inv.PaymentHash)
	if err != nil {
		t.Fatal(err)
	}
	return st.State
}

func balance(t testing.TB, w *Wallet) uint64 {
	t.Helper()
	p, err := w.Purse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p.Balance().Available
}

// subscribe follows settlements until stop, and counts them.
func subscribe(t testing.TB, w *Wallet, cursor string) (told *atomic.Int64, last func() string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	told = new(atomic.Int64)
	var mu sync.Mutex
	var place string
	done := make(chan error, 1)
	// Ends with stop.
	go func() {
		done <- w.SubscribeSettlements(ctx, cursor, func(s wallets.Settlement) {
			mu.Lock()
			place = s.Cursor
			mu.Unlock()
			told.Add(1)
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the subscription ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return told, func() string { mu.Lock(); defer mu.Unlock(); return place }, stop
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// TestRestart kills the wallet between payment and minting: the next one makes the ecash, with the
// same seed.
func TestRestart(t *testing.T) {
	double, env := minttest.New(t, minttest.Options{FeePPK: 100}), wallettest.NewEnv(t)
	m := provision(t, double.URL, nil)
	w := open(t, env, m)
	one, two, never := bill(t, w, 21), bill(t, w, 100), bill(t, w, 5)
	double.Pay(t, one.PaymentRequest)
	double.Pay(t, two.PaymentRequest)
	double.Break(minttest.Fault{Path: "/v1/mint/bolt11", Kind: minttest.LoseAnswer, Times: 1})
	double.Break(minttest.Fault{Path: "/v1/restore", Kind: minttest.Unavailable})
	if s := state(t, w, one); s != wallets.StateSettled {
		t.Fatalf("an invoice that the mint has a payment for is %s though its ecash is late", s)
	}
	if got := balance(t, w); got != 0 {
		t.Fatalf("balance %d", got)
	}
	double.Repair()
	// The first process is gone with the answer.
	again := open(t, env, m)
	told, cursor, stop := subscribe(t, again, "")
	eventually(t, "the ecash of both", func() bool { return balance(t, again) == 121 })
	eventually(t, "both settlements", func() bool { return told.Load() >= 1 })
	if s := state(t, again, never); s != wallets.StatePending {
		t.Errorf("one that nobody paid is %s", s)
	}
	if double.Outstanding() != 121 {
		t.Errorf("the mint owes %d, want 121", double.Outstanding())
	}
	stop()
	// What was settled is told again from a cursor.
	if place := cursor(); place != "" {
		third := open(t, env, m)
		told, _, _ := subscribe(t, third, place)
		eventually(t, "settlements around the cursor", func() bool { return told.Load() >= 1 })
	}
}

// TestManySmallProofsAreMerged makes few proofs of many, whether they are redeemed or not.
func TestManySmallProofsAreMerged(t *testing.T) {
	double := minttest.New(t, minttest.Options{})
	w := open(t, wallettest.NewEnv(t), provision(t, double.URL, nil))
	w.many = 8
	for range 20 {
		fund(t, w, double, 1)
	}
	p, err := w.Purse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _, stop := subscribe(t, w, "")
	defer stop()
	eventually(t, "merged", func() bool { b := p.Balance(); return b.Proofs <= 8 && b.Available == 20 })
}

// TestUnpaidIsForgotten makes invoices that nobody pays: each is asked for a bounded number of times
// and then nothing of it is left.
func TestUnpaidIsForgotten(t *testing.T) {
	double, env := minttest.New(t, minttest.Options{}), wallettest.NewEnv(t)
	w := open(t, env, provision(t, double.URL, nil))
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	p, err := w.Purse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := env.Durables()
	var invoices []*wallets.Invoice
	for range 20 {
		invoices = append(invoices, bill(t, w, 3))
	}
	if n := env.Durables() - before; n != 20 {
		t.Fatalf("20 unpaid invoices are %d values", n)
	}
	quotes := func() (n int) {
		for _, inv := range p.Unpaid(100) {
			n += double.Calls("/v1/mint/quote/bolt11/" + inv.Quote)
		}
		return n
	}
	for elapsed := time.Duration(0); elapsed < time.Hour-10*time.Second; elapsed += 5 * time.Second {
		ahead.Store(int64(elapsed))
		if _, err := p.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := quotes(); n < 20 || n > 20*14 {
		t.Errorf("20 invoices were asked for %d times in an hour", n)
	}
	// While the mint is away nothing is forgotten, since a payment may have come.
	ahead.Store(int64(3 * time.Hour))
	double.Break(minttest.Fault{Kind: minttest.Unavailable})
	if open, _ := p.Resume(t.Context()); open != 20 {
		t.Errorf("%d of 20 are left while the mint is away", open)
	}
	double.Repair()
	double.Pay(t, invoices[0].PaymentRequest)
	ahead.Store(int64(4 * time.Hour))
	if open, err := p.Resume(t.Context()); open != 0 || err != nil {
		t.Errorf("%d are open, %v", open, err)
	}
	if got := balance(t, w); got != 3 {
		t.Errorf("balance %d: a late payment is lost", got)
	}
	if _, err := w.LookupInvoice(t.Context(), invoices[1].PaymentHash); !errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("a forgotten invoice: got %v", err)
	}
}
