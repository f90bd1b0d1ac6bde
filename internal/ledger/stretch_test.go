package ledger_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

const piece = 32 << 10

// stream begins a response to a payment of a number of bytes.
func stream(t testing.TB, l *ledger.Ledger, hash [32]byte, limit int64) *ledger.Reservation {
	t.Helper()
	r, err := l.Reserve(t.Context(), ledger.UseRequest{Hash: hash, Limit: ledger.Amount{Bytes: limit}})
	if err == nil {
		err = r.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOneResponseSpendsAllBytes sends in one response all that was bought, which is more than an
// instance claims at first.
func TestOneResponseSpendsAllBytes(t *testing.T) {
	l := ledgertest.Open(t, ledgertest.Fast(ledgertest.NewMemory(ledgertest.Behavior{})))
	const pieces = 100
	hash := ledgertest.Hash()
	r := stream(t, l, hash, pieces*piece)
	for i := range pieces {
		if err := r.SpendBytes(t.Context(), piece); err != nil {
			t.Fatalf("after %d of %d pieces: %v", i, pieces, err)
		}
	}
	if err := r.SpendBytes(t.Context(), 1); !errors.Is(err, ledger.ErrExhausted) {
		t.Errorf("one byte too many: %v", err)
	}
	if _, err := l.Reserve(t.Context(), ledger.UseRequest{Hash: hash, Limit: ledger.Amount{Bytes: pieces * piece}}); !errors.Is(err, ledger.ErrExhausted) {
		t.Errorf("a further response: %v", err)
	}
}

// TestResponsesShareBytes sends several responses at once, also from two instances.
func TestResponsesShareBytes(t *testing.T) {
	storage := ledgertest.NewMemory(ledgertest.Behavior{})
	a, b := ledgertest.Open(t, ledgertest.Fast(storage)), ledgertest.Open(t, ledgertest.Fast(storage))
	const pieces = 200
	hash := ledgertest.Hash()
	var sent atomic.Int64
	var all sync.WaitGroup
	var responses []*ledger.Reservation
	for _, l := range []*ledger.Ledger{a, a, a, b} {
		responses = append(responses, stream(t, l, hash, pieces*piece))
	}
	for _, r := range responses {
		all.Go(func() { // ends with the payment
			for r.SpendBytes(t.Context(), piece) == nil {
				sent.Add(1)
			}
		})
	}
	all.Wait()
	if n := sent.Load(); n > pieces || n < pieces*9/10 {
		t.Errorf("%d pieces of %d were sent", n, pieces)
	}
}

func TestSpendBytesRefusals(t *testing.T) {
	cut := &ledgertest.Cut{Storage: ledgertest.NewMemory(ledgertest.Behavior{})}
	l := ledgertest.Open(t, ledgertest.Fast(cut))
	r, err := l.Reserve(t.Context(), ledger.UseRequest{Hash: ledgertest.Hash(), Limit: ledger.Amount{Bytes: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SpendBytes(t.Context(), 2<<20); err != nil {
		t.Errorf("before Commit nothing is spent: %v", err)
	}
	if err := r.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.SpendBytes(gone, 600<<10); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("of a client that is gone: %v", err)
	}
	if err := r.SpendBytes(t.Context(), 2<<20); !errors.Is(err, ledger.ErrExhausted) {
		t.Errorf("more than was bought: %v", err)
	}
	other := stream(t, l, ledgertest.Hash(), 1<<20)
	cut.Off.Store(true)
	defer cut.Off.Store(false)
	if err := other.SpendBytes(t.Context(), 600<<10); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("without storage: %v", err)
	}
}
