package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

// indexFirst is a storage that lists a name before it stores what belongs to it, as one on Redis
// does. Names may stay behind without anything.
type indexFirst struct {
	*ledgertest.Memory
	mu    sync.Mutex
	names []string
}

func (s *indexFirst) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	keys, err := s.Memory.List(ctx, folder, recursive)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.names {
		if rest, ok := strings.CutPrefix(n, folder+"/"); ok && (recursive || !strings.Contains(rest, "/")) {
			keys, err = append(keys, n), nil
		}
	}
	return keys, err
}

// dying is the storage of a process that ends, once it is told to, between the two steps of its
// next Store.
type dying struct {
	*indexFirst
	mu   sync.Mutex
	now  bool
	over chan struct{}
}

var errProcessEnded = errors.New("the process ended")

func (d *dying) Store(ctx context.Context, key string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.now {
		return d.indexFirst.Store(ctx, key, value)
	}
	select {
	case <-d.over:
	default:
		if strings.HasSuffix(key, ".seg") || strings.HasSuffix(key, ".kv") {
			d.indexFirst.mu.Lock()
			d.names = append(d.names, key)
			d.indexFirst.mu.Unlock()
			close(d.over)
		}
	}
	return errProcessEnded
}

func (d *dying) Delete(ctx context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now {
		return errProcessEnded
	}
	return d.indexFirst.Delete(ctx, key)
}

func (d *dying) die() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = true
}

// TestNameWithoutSegment ends an instance between the listing of a segment's name and its storing:
// its uses come back all the same, and settlements can be read.
func TestNameWithoutSegment(t *testing.T) {
	shared := &indexFirst{Memory: ledgertest.NewMemory(ledgertest.Behavior{})}
	storage := &dying{indexFirst: shared, over: make(chan struct{})}
	opts := ledgertest.Fast(storage)
	opts.LeaseTTL = 300 * time.Millisecond
	a, err := ledger.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	req := ledgertest.Uses(ledgertest.Hash(), 10)
	for range 3 {
		if err := spend(a, req); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.RecordSettlement(ledger.Settlement{PaymentHash: req.Hash, AmountMsat: 7}); err != nil {
		t.Fatal(err)
	}
	if err := a.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	storage.die()
	if err := spend(a, req); err != nil { // in memory; it is never stored
		t.Fatal(err)
	}
	<-storage.over

	opts.Storage = shared
	b := ledgertest.Open(t, opts)
	spent := 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		err := spend(b, req)
		if err == nil {
			spent++
		} else if errors.Is(err, ledger.ErrExhausted) {
			break
		} else if !errors.Is(err, ledger.ErrElsewhere) && !errors.Is(err, ledger.ErrBusy) {
			t.Fatal(err)
		}
	}
	if spent != 7 {
		t.Errorf("the second instance spent %d uses, want the 7 that were not stored", spent)
	}
	rows, err := b.Report(t.Context(), ledger.ByDay, ledger.Filter{})
	if err != nil || len(rows) != 1 || rows[0].AmountMsat != 7 {
		t.Errorf("report %+v, %v; want the settlement that was stored", rows, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = a.Close(ctx) // its storage is gone: it can only fail
}

// TestNameWithoutValue does the same to a durable value: the version before it stands.
func TestNameWithoutValue(t *testing.T) {
	shared := &indexFirst{Memory: ledgertest.NewMemory(ledgertest.Behavior{})}
	storage := &dying{indexFirst: shared, over: make(chan struct{})}
	a, err := ledger.Open(t.Context(), ledgertest.Fast(storage))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.PutDurable(t.Context(), "proof", "x", []byte("first")); err != nil {
		t.Fatal(err)
	}
	storage.die()
	for id, want := range map[string]string{"x": "first", "y": ""} {
		storage.mu.Lock()
		storage.over = make(chan struct{})
		storage.mu.Unlock()
		if err := a.PutDurable(t.Context(), "proof", id, []byte("second")); err == nil {
			t.Fatal("a value was stored that was not")
		}
		b := ledgertest.Open(t, ledgertest.Fast(shared))
		got, err := b.GetDurable(t.Context(), "proof", id)
		if want == "" && !errors.Is(err, ledger.ErrNotFound) || string(got.Value) != want {
			t.Errorf("value of %s is %q, %v; want %q", id, got.Value, err, want)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = a.Close(ctx)
}
