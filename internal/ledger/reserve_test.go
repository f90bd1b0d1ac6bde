package ledger_test

import (
	"context"
	enchex "encoding/hex"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

func hex(h [32]byte) string { return enchex.EncodeToString(h[:]) }

func TestReserveRefusesNonsense(t *testing.T) {
	l := ledgertest.Open(t, ledgertest.Fast(ledgertest.NewMemory(ledgertest.Behavior{})))
	good := ledgertest.Uses(ledgertest.Hash(), 3)
	for name, change := range map[string]func(*ledger.UseRequest){
		"no hash":          func(r *ledger.UseRequest) { r.Hash = [32]byte{} },
		"no limit":         func(r *ledger.UseRequest) { r.Limit = ledger.Amount{} },
		"negative limit":   func(r *ledger.UseRequest) { r.Limit.Uses = -1 },
		"negative cost":    func(r *ledger.UseRequest) { r.Cost.Bytes = -1 },
		"free use":         func(r *ledger.UseRequest) { r.Cost.Uses = 0 },
		"cost above limit": func(r *ledger.UseRequest) { r.Cost.Uses = 4 },
		"huge limit":       func(r *ledger.UseRequest) { r.Limit.Uses = 1 << 62 },
	} {
		req := good
		change(&req)
		if _, err := l.Reserve(t.Context(), req); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := spend(l, good); err != nil {
		t.Errorf("the refusals cost something: %v", err)
	}
	three := good
	three.Cost.Uses = 3
	if err := spend(l, three); !errors.Is(err, ledger.ErrExhausted) {
		t.Errorf("three of two: %v", err)
	}
	if err := spend(l, good); err != nil {
		t.Errorf("one of two after that: %v", err)
	}
}

func TestIdempotency(t *testing.T) {
	var now atomic.Int64
	opts := ledgertest.Fast(ledgertest.NewMemory(ledgertest.Behavior{}))
	start := time.Now()
	opts.Now = func() time.Time { return start.Add(time.Duration(now.Load())) }
	opts.LeaseTTL = time.Hour
	l := ledgertest.Open(t, opts)
	req := ledgertest.Uses(ledgertest.Hash(), 3)
	req.IdempotencyKey = "GET /a key-1"
	r, err := l.Reserve(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve(t.Context(), req); !errors.Is(err, ledger.ErrRepeatedRequest) {
		t.Errorf("while under way: %v", err)
	}
	r.Release()
	if r, err = l.Reserve(t.Context(), req); err != nil || r.Replay() {
		t.Fatalf("after release it is a new request: %v", err)
	}
	if err := r.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	replays := 0
	for {
		r, err := l.Reserve(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Replay() {
			r.Release()
			break
		}
		if err := r.Commit(t.Context()); err != nil || r.Remaining().Uses != 2 {
			t.Fatalf("replay %d: %v, remaining %v", replays, err, r.Remaining())
		}
		if err := r.SpendBytes(t.Context(), 5); err != nil {
			t.Fatalf("bytes of replay %d: %v", replays, err)
		}
		if replays++; replays > 100 {
			t.Fatal("a key is a free pass")
		}
	}
	if replays == 0 {
		t.Error("a retry is charged")
	}
	other := req
	other.IdempotencyKey = "GET /b key-1"
	if r, err := l.Reserve(t.Context(), other); err != nil || r.Replay() {
		t.Errorf("another key: %v", err)
	} else if err := r.Commit(t.Context()); err != nil || r.Remaining().Uses != 1 {
		t.Errorf("another key: %v, remaining %v", err, r.Remaining())
	}
	now.Add(int64(2 * time.Minute))
	if r, err := l.Reserve(t.Context(), other); err != nil || r.Replay() {
		t.Errorf("after the window: %v", err)
	} else {
		r.Release()
	}
}

// TestNarrowedTokens shares a payment between tokens of different limits.
func TestNarrowedTokens(t *testing.T) {
	l := ledgertest.Open(t, ledgertest.Fast(ledgertest.NewMemory(ledgertest.Behavior{})))
	whole := ledgertest.Uses(ledgertest.Hash(), 10)
	narrow := whole
	narrow.Limit.Uses = 3
	for range 2 {
		if err := spend(l, whole); err != nil {
			t.Fatal(err)
		}
	}
	if err := spend(l, narrow); err != nil {
		t.Errorf("third use by the narrowed token: %v", err)
	}
	if err := spend(l, narrow); err == nil {
		t.Error("fourth use by a token of three")
	}
	for i := range 7 {
		if err := spend(l, whole); err != nil {
			t.Fatalf("use %d of the whole: %v", i+4, err)
		}
	}
	if err := spend(l, whole); !errors.Is(err, ledger.ErrExhausted) {
		t.Error(err)
	}
}

func TestRemaining(t *testing.T) {
	s := ledgertest.NewMemory(ledgertest.Behavior{})
	l := ledgertest.Open(t, ledgertest.Fast(s))
	req := ledgertest.Uses(ledgertest.Hash(), 10)
	if _, ok := l.Remaining(req.Hash); ok {
		t.Error("an unknown payment has something left")
	}
	for i := range int64(10) {
		r, err := l.Reserve(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Remaining().Uses; got != 9-i {
			t.Errorf("use %d: %d remaining", i, got)
		}
		if err := r.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		left, held, err := l.RemainingStored(t.Context(), req.Hash, req.Limit)
		if err != nil || left.Uses != 9-i || held.Uses != 0 {
			t.Errorf("use %d: stored %v, held %v, %v", i, left, held, err)
		}
	}
}

// TestIdleTokensLeaveMemory bounds the memory and gives unspent uses back.
func TestIdleTokensLeaveMemory(t *testing.T) {
	opts := ledgertest.Fast(ledgertest.NewMemory(ledgertest.Behavior{}))
	opts.IdleAfter, opts.IdempotencyWindow = 50*time.Millisecond, 50*time.Millisecond
	opts.LeaseTTL = time.Minute
	a := ledgertest.Open(t, opts)
	var reqs []ledger.UseRequest
	for i := range 50 {
		reqs = append(reqs, ledgertest.Uses(ledgertest.Hash(), int64(1+i%3)))
		if err := spend(a, reqs[i]); err != nil {
			t.Fatal(err)
		}
	}
	held, err := a.Reserve(t.Context(), ledgertest.Uses(ledgertest.Hash(), 2))
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "forgetting", func() bool { return a.Stats().Tokens == 1 })
	held.Release()
	for i, req := range reqs {
		for range i % 3 {
			if err := spend(a, req); err != nil {
				t.Fatalf("token %d: %v", i, err)
			}
		}
		if err := spend(a, req); !errors.Is(err, ledger.ErrExhausted) {
			t.Fatalf("token %d has too many uses: %v", i, err)
		}
	}
}

func TestTooManyTokens(t *testing.T) {
	opts := ledgertest.Fast(ledgertest.NewMemory(ledgertest.Behavior{}))
	opts.MaxTokens = 10
	l := ledgertest.Open(t, opts)
	for range 10 {
		if err := spend(l, ledgertest.Uses(ledgertest.Hash(), 2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := spend(l, ledgertest.Uses(ledgertest.Hash(), 2)); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("the eleventh: %v", err)
	}
	wait(t, "making room", func() bool { return spend(l, ledgertest.Uses(ledgertest.Hash(), 2)) == nil })
}

// TestPausedInstance stops an instance's beats until another takes its uses over; then it wakes.
func TestPausedInstance(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	var paused atomic.Bool
	slow := &gate{Memory: m, closed: &paused}
	opts := ledgertest.Fast(slow)
	opts.LeaseTTL, opts.ReserveTimeout = 400*time.Millisecond, time.Second
	a := ledgertest.Open(t, opts)
	opts.Storage = m
	b := ledgertest.Open(t, opts)
	single := ledgertest.Uses(ledgertest.Hash(), 1)
	many := ledgertest.Uses(ledgertest.Hash(), 8)
	r1, err := a.Reserve(t.Context(), single)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := spend(a, many); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := a.Instance()
	paused.Store(true)
	time.Sleep(opts.LeaseTTL * 6 / 10)
	if _, err := a.Reserve(t.Context(), many); !errors.Is(err, ledger.ErrFenced) && !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("an instance without a lease spends: %v", err)
	}
	wait(t, "taking over", func() bool { return spend(b, single) == nil })
	spent := 2
	wait(t, "spending the rest", func() bool {
		err := spend(b, many)
		if err == nil {
			spent++
		}
		return errors.Is(err, ledger.ErrExhausted)
	})
	if spent != 8 {
		t.Errorf("%d uses of 8", spent)
	}
	paused.Store(false)
	if err := r1.Commit(t.Context()); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("the single use passes twice: %v", err)
	}
	for _, req := range []ledger.UseRequest{single, many} {
		wait(t, "learning that nothing is left", func() bool {
			err := spend(a, req)
			if err == nil {
				t.Fatal("a use passes twice")
			}
			return errors.Is(err, ledger.ErrExhausted)
		})
	}
	if a.Instance() == name {
		t.Error("the instance kept the name under which it was buried")
	}
	if err := spend(a, ledgertest.Uses(ledgertest.Hash(), 1)); err != nil {
		t.Errorf("it does not work any more: %v", err)
	}
}

// gate is a storage that refuses writes while it is closed.
type gate struct {
	*ledgertest.Memory
	closed *atomic.Bool
}

func (g *gate) Store(ctx context.Context, key string, value []byte) error {
	if g.closed.Load() {
		return ledgertest.ErrInjected
	}
	return g.Memory.Store(ctx, key, value)
}

// TestContendedClaims makes claims slow, so that instances claim at
// the same moment again and again, with and without a lock that works.
func TestContendedClaims(t *testing.T) {
	for name, b := range map[string]ledgertest.Behavior{
		"lock works":        {},
		"lock does nothing": {LockDoesNothing: true},
		"lock fails":        {LockFails: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := ledgertest.NewMemory(b)
			m.BeforeStore = func(key string) error {
				if strings.HasSuffix(key, ".claim") {
					time.Sleep(time.Millisecond) // claims overlap
				}
				return nil
			}
			opts := ledgertest.Fast(m)
			opts.LeaseTTL = time.Minute
			var ls []*ledger.Ledger
			for range 4 {
				ls = append(ls, ledgertest.Open(t, opts))
			}
			for _, limit := range []int64{1, 1, 1, 5, 20} {
				req := ledgertest.Uses(ledgertest.Hash(), limit)
				var spent atomic.Int64
				var wg sync.WaitGroup
				for _, l := range ls {
					for range 4 {
						wg.Go(func() {
							for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
								err := spend(l, req)
								if err == nil {
									spent.Add(1)
								} else if errors.Is(err, ledger.ErrExhausted) {
									return
								}
								time.Sleep(time.Millisecond)
							}
							t.Error("no end")
						})
					}
				}
				wg.Wait()
				if spent.Load() != limit {
					t.Fatalf("%d of %d uses were spent", spent.Load(), limit)
				}
			}
			for _, k := range m.Keys() {
				if strings.HasSuffix(k, ".want") {
					t.Errorf("%s is left over", k)
				}
			}
		})
	}
}
