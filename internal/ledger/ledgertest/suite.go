// Package ledgertest holds what every storage must stand when a ledger works on it, and a storage
// in memory that misbehaves in the ways that real ones do.
package ledgertest

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

// Run runs the suite. fresh makes an empty storage; every call of one test's storage goes to the
// same data.
func Run(t *testing.T, fresh func() certmagic.Storage) {
	for _, c := range []struct {
		name string
		test func(*testing.T, certmagic.Storage)
	}{
		{"single use has one winner", testSingleUse},
		{"single use survives a restart", testSingleUseRestart},
		{"uses over two instances", testSharedUses},
		{"released uses come back", testRelease},
		{"an instance that ended without a word", testDeadInstance},
		{"closing gives uses back at once", testCloseReturns},
		{"bytes", testBytes},
		{"settlements", testSettlements},
		{"revocations", testRevocations},
		{"durable values", testDurable},
		{"notes", testNotes},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t, fresh())
		})
	}
}

// Hash makes a random payment hash.
func Hash() (h [32]byte) {
	_, _ = rand.Read(h[:])
	return h
}

// Fast are options whose time-outs suit tests.
func Fast(s certmagic.Storage) ledger.Options {
	return ledger.Options{
		Storage: s, CommitEvery: 2 * time.Millisecond, PollEvery: 20 * time.Millisecond,
		LeaseTTL: 2 * time.Second, ReserveTimeout: 20 * time.Second,
	}
}

// Open opens a ledger that the test closes.
func Open(t testing.TB, opts ledger.Options) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { closeLedger(t, l) })
	return l
}

func closeLedger(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil && !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("closing: %v", err)
	}
}

// Uses is a request for one use of n.
func Uses(hash [32]byte, n int64) ledger.UseRequest {
	return ledger.UseRequest{Hash: hash, Limit: ledger.Amount{Uses: n}, Cost: ledger.Amount{Uses: 1},
		ValidUntil: time.Now().Add(time.Hour)}
}

// spend reserves and commits one use. Where the storage fails it tries again, as a client does that
// is answered 503.
func spend(ctx context.Context, l *ledger.Ledger, req ledger.UseRequest) (err error) {
	for range 10 {
		var r *ledger.Reservation
		if r, err = l.Reserve(ctx, req); err == nil {
			err = r.Commit(ctx)
		}
		if !errors.Is(err, ledger.ErrUnavailable) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

func testSingleUse(t *testing.T, s certmagic.Storage) {
	a, b := Open(t, Fast(s)), Open(t, Fast(s))
	for round := range 8 {
		req := Uses(Hash(), 1)
		var won atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 50 {
			l := []*ledger.Ledger{a, b}[i%2]
			wg.Go(func() {
				<-start
				err := spend(t.Context(), l, req)
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, ledger.ErrExhausted), errors.Is(err, ledger.ErrInUse),
					errors.Is(err, ledger.ErrElsewhere), errors.Is(err, ledger.ErrBusy):
				default:
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		close(start)
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("round %d: %d winners of 50", round, n)
		}
		for _, l := range []*ledger.Ledger{a, b} {
			if err := spend(t.Context(), l, req); !errors.Is(err, ledger.ErrExhausted) {
				t.Errorf("round %d: spending again: %v", round, err)
			}
		}
	}
}

func testSingleUseRestart(t *testing.T, s certmagic.Storage) {
	a := Open(t, Fast(s))
	req := Uses(Hash(), 1)
	if err := spend(t.Context(), a, req); err != nil {
		t.Fatal(err)
	}
	closeLedger(t, a)
	b := Open(t, Fast(s))
	if err := spend(t.Context(), b, req); !errors.Is(err, ledger.ErrExhausted) {
		t.Fatalf("spending after a restart: %v", err)
	}
	if left, held, err := b.RemainingStored(t.Context(), req.Hash, req.Limit); err != nil || left.Uses != 0 || held.Uses != 0 {
		t.Fatalf("left %v, held %v, %v", left, held, err)
	}
}

// testSharedUses spends n uses from two instances at once: all of them, and not one more.
func testSharedUses(t *testing.T, s certmagic.Storage) {
	const n = 60
	a, b := Open(t, Fast(s)), Open(t, Fast(s))
	req := Uses(Hash(), n)
	var spent atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		l := []*ledger.Ledger{a, b}[i%2]
		wg.Go(func() {
			for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
				err := spend(t.Context(), l, req)
				switch {
				case err == nil:
					spent.Add(1)
				case errors.Is(err, ledger.ErrExhausted):
					return
				case errors.Is(err, ledger.ErrInUse), errors.Is(err, ledger.ErrElsewhere), errors.Is(err, ledger.ErrBusy):
					time.Sleep(5 * time.Millisecond)
				default:
					t.Errorf("spending: %v", err)
					return
				}
			}
			t.Error("no end after 30 s")
		})
	}
	wg.Wait()
	if got := spent.Load(); got != n {
		t.Fatalf("spent %d of %d", got, n)
	}
}

func testRelease(t *testing.T, s certmagic.Storage) {
	a, b := Open(t, Fast(s)), Open(t, Fast(s))
	req := Uses(Hash(), 1)
	r, err := a.Reserve(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Reserve(t.Context(), req); !errors.Is(err, ledger.ErrInUse) {
		t.Fatalf("second reservation: %v", err)
	}
	r.Release()
	r.Release()
	if err := r.Commit(t.Context()); err != nil {
		t.Fatalf("committing after release: %v", err)
	}
	// The other instance gets it when it asks.
	if err := spend(t.Context(), b, req); err != nil {
		t.Fatalf("spending at the other instance: %v", err)
	}
	if err := spend(t.Context(), a, req); !errors.Is(err, ledger.ErrExhausted) {
		t.Fatalf("spending once more: %v", err)
	}
}

// testDeadInstance loses an instance without Close by taking its storage away.
func testDeadInstance(t *testing.T, s certmagic.Storage) {
	cut := &Cut{Storage: s}
	opts := Fast(cut)
	opts.LeaseTTL = 300 * time.Millisecond
	a, err := ledger.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	req := Uses(Hash(), 10)
	for range 3 {
		if err := spend(t.Context(), a, req); err != nil {
			t.Fatal(err)
		}
	}
	held, err := a.Reserve(t.Context(), req) // under way when it ends
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut.Off.Store(true)

	opts.Storage = s
	b := Open(t, opts)
	spent := 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		err := spend(t.Context(), b, req)
		if err == nil {
			spent++
		} else if errors.Is(err, ledger.ErrExhausted) {
			break
		} else if !errors.Is(err, ledger.ErrElsewhere) && !errors.Is(err, ledger.ErrBusy) {
			t.Fatal(err)
		}
	}
	if spent != 7 {
		t.Errorf("the second instance spent %d uses, want the 7 that were not committed", spent)
	}
	// The first one learns that it is out.
	if _, err := a.Reserve(t.Context(), req); err == nil {
		t.Error("an instance without storage still spends")
	}
	held.Release()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = a.Close(ctx) // its storage is gone: it can only fail
}

func testCloseReturns(t *testing.T, s certmagic.Storage) {
	a := Open(t, Fast(s))
	reqs := make([]ledger.UseRequest, 20)
	for i := range reqs {
		reqs[i] = Uses(Hash(), 10)
		for range 1 + i%3 {
			if err := spend(t.Context(), a, reqs[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeLedger(t, a)
	b := Open(t, Fast(s))
	for i, req := range reqs {
		for n := 1 + i%3; n < 10; n++ {
			if err := spend(t.Context(), b, req); err != nil {
				t.Fatalf("token %d, use %d after the restart: %v", i, n+1, err)
			}
		}
		if err := spend(t.Context(), b, req); !errors.Is(err, ledger.ErrExhausted) {
			t.Fatalf("token %d, use 11: %v", i, err)
		}
	}
}

func testBytes(t *testing.T, s certmagic.Storage) {
	a := Open(t, Fast(s))
	req := ledger.UseRequest{Hash: Hash(), Limit: ledger.Amount{Bytes: 1 << 20}}
	total := int64(0)
	for {
		r, err := a.Reserve(t.Context(), req)
		if errors.Is(err, ledger.ErrExhausted) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.SpendBytes(t.Context(), 100<<10); err != nil && !errors.Is(err, ledger.ErrExhausted) {
			t.Fatal(err)
		}
		total += 100 << 10
		if total > 2<<20 {
			t.Fatal("no end")
		}
	}
	if over := total - 1<<20; over < 0 || over >= 100<<10 {
		t.Fatalf("%d bytes went through, limit %d", total, 1<<20)
	}
	closeLedger(t, a)
	b := Open(t, Fast(s))
	if _, err := b.Reserve(t.Context(), req); !errors.Is(err, ledger.ErrExhausted) {
		t.Fatalf("after a restart: %v", err)
	}
}
