package ledger_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

func logged() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return zap.New(core), logs
}

func spend(l *ledger.Ledger, req ledger.UseRequest) error {
	r, err := l.Reserve(context.Background(), req)
	if err != nil {
		return err
	}
	return r.Commit(context.Background())
}

func wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen within 10 s", what)
		}
	}
}

// TestStorageFailsAndComesBack takes writes away under load in three ways: metered tokens fail
// closed, settlements wait, each change is logged once, and nothing is lost when it is back.
func TestStorageFailsAndComesBack(t *testing.T) {
	for name, fault := range map[string]func(*ledgertest.Memory) *atomic.Bool{
		"read-only": func(m *ledgertest.Memory) *atomic.Bool { return &m.ReadOnly },
		"full":      func(m *ledgertest.Memory) *atomic.Bool { return &m.Full },
		"down":      func(m *ledgertest.Memory) *atomic.Bool { return &m.Down },
	} {
		t.Run(name, func(t *testing.T) {
			m := ledgertest.NewMemory(ledgertest.Behavior{})
			opts := ledgertest.Fast(m)
			var logs *observer.ObservedLogs
			opts.Logger, logs = logged()
			opts.DegradeAfter = 50 * time.Millisecond
			opts.ReserveTimeout = 300 * time.Millisecond
			opts.LeaseTTL = time.Minute // the lease is another test's matter
			l := ledgertest.Open(t, opts)
			req := ledgertest.Uses(ledgertest.Hash(), 1000)
			single := ledgertest.Uses(ledgertest.Hash(), 1)
			if err := spend(l, req); err != nil {
				t.Fatal(err)
			}
			held, err := l.Reserve(t.Context(), single)
			if err != nil {
				t.Fatal(err)
			}
			bad := fault(m)
			bad.Store(true)
			if _, err := l.RecordSettlement(ledger.Settlement{PaymentHash: ledgertest.Hash()}); err != nil {
				t.Errorf("a settlement is refused at once: %v", err)
			}
			wait(t, "degrading", func() bool { return l.Stats().Degraded })
			for range 1000 {
				if err := spend(l, req); !errors.Is(err, ledger.ErrUnavailable) {
					t.Fatalf("spending while degraded: %v", err)
				}
			}
			if err := held.Commit(t.Context()); !errors.Is(err, ledger.ErrUnavailable) {
				t.Errorf("a single use is spent without being stored: %v", err)
			}
			if _, err := l.RecordSettlement(ledger.Settlement{PaymentHash: ledgertest.Hash()}); err != nil {
				t.Errorf("a settlement is refused: %v", err)
			}
			if s := l.Stats(); s.Pending == 0 || s.Lag == 0 || s.LastError == "" || s.Failing == "" {
				t.Errorf("stats tell nothing: %+v", s)
			}
			bad.Store(false)
			wait(t, "coming back", func() bool { return !l.Stats().Degraded && l.Stats().Pending == 0 })
			if err := spend(l, req); err != nil {
				t.Errorf("after it is back: %v", err)
			}
			if err := spend(l, single); err != nil {
				t.Errorf("the single use that was not answered: %v", err)
			}
			if err := spend(l, single); !errors.Is(err, ledger.ErrExhausted) {
				t.Errorf("the single use again: %v", err)
			}
			rows, err := l.Report(t.Context(), ledger.ByDay, ledger.Filter{})
			if err != nil || len(rows) != 1 || rows[0].Payments != 2 {
				t.Errorf("report %+v, %v", rows, err)
			}
			wait(t, "all to be well", func() bool { return l.Stats().Failing == "" })
			steps := make(map[any]int)
			for _, e := range logs.FilterMessage("ledger storage is failing").All() {
				steps[e.ContextMap()["step"]]++
			}
			back := logs.FilterMessage("ledger storage is back").Len()
			if len(steps) == 0 || back != len(steps) {
				t.Errorf("%v failing, %d back", steps, back)
			}
			for step, n := range steps {
				if n != 1 {
					t.Errorf("%q was logged %d times", step, n)
				}
			}
			if logs.Len() > 20 {
				t.Errorf("%d log lines", logs.Len())
			}
		})
	}
}

func TestBufferIsBounded(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	opts := ledgertest.Fast(m)
	opts.MaxPending = 10_000
	var logs *observer.ObservedLogs
	opts.Logger, logs = logged()
	l := ledgertest.Open(t, opts)
	m.Down.Store(true)
	var refused [32]byte
	n := 0
	for range 1000 {
		s := ledger.Settlement{PaymentHash: ledgertest.Hash()}
		first, err := l.RecordSettlement(s)
		if errors.Is(err, ledger.ErrBacklog) && !first {
			refused = s.PaymentHash
			n++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if s := l.Stats(); n < 800 || s.Pending > opts.MaxPending || s.Lost != int64(n) {
		t.Errorf("%d refused, %+v", n, s)
	}
	if got := logs.FilterMessageSnippet("buffer is full").Len(); got != 1 {
		t.Errorf("%d lines about the full buffer", got)
	}
	m.Down.Store(false)
	wait(t, "writing", func() bool { return l.Stats().Pending == 0 })
	if first, err := l.RecordSettlement(ledger.Settlement{PaymentHash: refused}); !first || err != nil {
		t.Errorf("a refused settlement is taken for noted: %t, %v", first, err)
	}
}

func TestOpensReadOnlyStorage(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	a := ledgertest.Open(t, ledgertest.Fast(m))
	token := ledgertest.Hash()
	if err := a.Revoke(t.Context(), ledger.KindPayment, hex(token), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.ReadOnly.Store(true)
	b := ledgertest.Open(t, ledgertest.Fast(m))
	if !b.Revoked([32]byte{}, token, "", time.Time{}) {
		t.Error("a revocation is not known")
	}
	if err := spend(b, ledgertest.Uses(ledgertest.Hash(), 5)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("spending: %v", err)
	}
	if err := b.PutDurable(t.Context(), "quote", "1", nil); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("PutDurable: %v", err)
	}
	if err := b.Revoke(t.Context(), ledger.KindService, "x", time.Time{}); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("Revoke: %v", err)
	}
}

func TestOpenFailsWhenStorageIsDown(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	m.Down.Store(true)
	if _, err := ledger.Open(t.Context(), ledgertest.Fast(m)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("revocations cannot be known, yet: %v", err)
	}
}

// TestWrites counts the storage's writes: time-boxed tokens and reading cause none, uses none but
// the group commit.
func TestWrites(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	opts := ledgertest.Fast(m)
	opts.CommitEvery, opts.LeaseTTL = 20*time.Millisecond, time.Minute
	l := ledgertest.Open(t, opts)
	hash := ledgertest.Hash()
	for range 100_000 {
		if l.Revoked(hash, hash, "s", time.Time{}) || l.Settled(hash) {
			t.Fatal("unknown")
		}
	}
	time.Sleep(60 * time.Millisecond)
	if n := m.Stores(); n != 0 {
		t.Errorf("%d writes by unpaid requests", n)
	}
	for range 100_000 {
		if _, err := l.RecordSettlement(ledger.Settlement{PaymentHash: hash}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := m.Stores(); n != 1 {
		t.Errorf("%d writes by one payment", n)
	}
	req := ledgertest.Uses(hash, 1<<40)
	if err := spend(l, req); err != nil {
		t.Fatal(err)
	}
	before, start := m.Stores(), time.Now()
	for range 100_000 {
		if err := spend(l, req); err != nil {
			t.Fatal(err)
		}
	}
	most := int64(time.Since(start)/opts.CommitEvery) + 3
	if n := m.Stores() - before; n > most {
		t.Errorf("%d writes for 100,000 uses in %s, want up to %d", n, time.Since(start), most)
	}
}

func TestSwitchStorage(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	old := &ledgertest.Cut{Storage: m}
	l := ledgertest.Open(t, ledgertest.Fast(old))
	req := ledgertest.Uses(ledgertest.Hash(), 50)
	if err := spend(l, req); err != nil {
		t.Fatal(err)
	}
	if err := l.SwitchStorage(nil); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("no storage: %v", err)
	}
	old.Off.Store(true) // as a storage module does in its Cleanup
	if _, err := l.RecordSettlement(ledger.Settlement{PaymentHash: req.Hash}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond)
	if err := l.SwitchStorage(m); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 49 {
		if err := spend(l, req); err != nil {
			t.Fatal(err)
		}
	}
	if err := spend(l, req); !errors.Is(err, ledger.ErrExhausted) {
		t.Fatal(err)
	}
}

// TestCloseEndsAllGoroutines also closes with a storage that is gone.
func TestCloseEndsAllGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, down := range []bool{false, true} {
		m := ledgertest.NewMemory(ledgertest.Behavior{})
		l, err := ledger.Open(t.Context(), ledgertest.Fast(m))
		if err != nil {
			t.Fatal(err)
		}
		req := ledgertest.Uses(ledgertest.Hash(), 5)
		if err := spend(l, req); err != nil {
			t.Fatal(err)
		}
		r, err := l.Reserve(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		m.Down.Store(down)
		if down {
			_, _ = l.RecordSettlement(ledger.Settlement{PaymentHash: req.Hash})
		} else {
			r.Release()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if err := l.Close(ctx); (err != nil) != down {
			t.Errorf("down %t: %v", down, err)
		}
		cancel()
		if err := l.Close(t.Context()); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("closing twice: %v", err)
		}
		if err := spend(l, req); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("spending after Close: %v", err)
		}
		if _, err := l.RecordSettlement(ledger.Settlement{PaymentHash: ledgertest.Hash()}); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("recording after Close: %v", err)
		}
		if err := l.Append(t.Context(), "x", nil); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("appending after Close: %v", err)
		}
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// panicking is a storage that panics when it claims.
type panicking struct{ certmagic.Storage }

func (p panicking) Store(ctx context.Context, key string, value []byte) error {
	if strings.HasSuffix(key, ".claim") {
		panic("storage module")
	}
	return p.Storage.Store(ctx, key, value)
}

func TestPanickingStorageRefuses(t *testing.T) {
	l := ledgertest.Open(t, ledgertest.Fast(panicking{ledgertest.NewMemory(ledgertest.Behavior{})}))
	if err := spend(l, ledgertest.Uses(ledgertest.Hash(), 1)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatal(err)
	}
}

// hanging is a storage of which Store of segments does not return, whatever its context says.
type hanging struct {
	*ledgertest.Memory
	hang chan struct{} // closed to let it go on
}

func (h *hanging) Store(ctx context.Context, key string, value []byte) error {
	if strings.HasSuffix(key, ".seg") {
		<-h.hang
	}
	return h.Memory.Store(ctx, key, value)
}

func TestHangingStorage(t *testing.T) {
	h := &hanging{Memory: ledgertest.NewMemory(ledgertest.Behavior{}), hang: make(chan struct{})}
	opts := ledgertest.Fast(h)
	opts.DegradeAfter, opts.ReserveTimeout, opts.LeaseTTL = 10*time.Millisecond, 100*time.Millisecond, time.Minute
	l, err := ledger.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	req := ledgertest.Uses(ledgertest.Hash(), 1000)
	if err := spend(l, req); err != nil {
		t.Fatal(err)
	}
	if err := spend(l, ledgertest.Uses(ledgertest.Hash(), 1)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("a single use: %v", err)
	}
	wait(t, "refusing", func() bool { return errors.Is(spend(l, req), ledger.ErrUnavailable) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := l.Close(ctx); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("closing took %s: %v", time.Since(start), err)
	}
	close(h.hang)
}
