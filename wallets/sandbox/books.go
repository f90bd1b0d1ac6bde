package sandbox

import (
	"container/heap"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxPending and maxSettled bound the memory, at some 200 bytes an invoice. The text of an
	// invoice is not kept: its signature is proof enough of where it comes from.
	maxPending = 1 << 16
	maxSettled = 1 << 16
	// keepExpired is how long an expired invoice is still known, to tell why it cannot be paid.
	keepExpired = time.Hour
)

// entry is one invoice.
type entry struct {
	hash     lntypes.Hash
	preimage lntypes.Preimage
	amount   lnwire.MilliSatoshi
	expires  time.Time
	// settled is zero while the invoice is pending.
	settled time.Time
	// place is the index in the heap, for pending ones.
	place int
}

// books is the memory of a sandbox. It is safe for concurrent use.
type books struct {
	// run tells this process's cursors from those of an earlier one.
	run string

	mu       sync.Mutex
	invoices map[lntypes.Hash]*entry
	pending  byExpiry
	// settlements are in order; the first has the number first, counted since the start.
	settlements []*entry
	first       uint64
	// changed is closed at the next settlement.
	changed chan struct{}
}

func newBooks(random io.Reader) (*books, error) {
	var run [8]byte
	if _, err := io.ReadFull(random, run[:]); err != nil {
		return nil, fmt.Errorf("drawing the sandbox's run number: %w", err)
	}
	return &books{
		run:      hex.EncodeToString(run[:]),
		invoices: make(map[lntypes.Hash]*entry),
		changed:  make(chan struct{}),
	}, nil
}

// add keeps a new pending invoice, and forgets others where there are too many.
func (b *books) add(now time.Time, e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.pending) > 0 {
		if len(b.pending) < maxPending && now.Before(b.pending[0].expires.Add(keepExpired)) {
			break
		}
		gone := heap.Pop(&b.pending).(*entry)
		delete(b.invoices, gone.hash)
	}
	b.invoices[e.hash] = e
	heap.Push(&b.pending, e)
}

// settle pays a pending invoice; a settled one is left as it is.
func (b *books) settle(now time.Time, hash lntypes.Hash) (lntypes.Preimage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.invoices[hash]
	switch {
	case !ok:
		return lntypes.Preimage{}, fmt.Errorf("%w: the sandbox has forgotten this invoice; ask the gate for a fresh one",
			wallets.ErrNotFound)
	case !e.settled.IsZero():
		return e.preimage, nil
	case !now.Before(e.expires):
		return lntypes.Preimage{}, fmt.Errorf("%w: the invoice expired %s ago; ask the gate for a fresh one",
			wallets.ErrPaymentFailed, now.Sub(e.expires).Truncate(time.Second))
	}
	e.settled = now
	heap.Remove(&b.pending, e.place)
	if len(b.settlements) >= maxSettled {
		// Half at once, so that the copying costs little for each settlement.
		for _, gone := range b.settlements[:maxSettled/2] {
			delete(b.invoices, gone.hash)
		}
		b.settlements = append([]*entry(nil), b.settlements[maxSettled/2:]...)
		b.first += maxSettled / 2
	}
	b.settlements = append(b.settlements, e)
	close(b.changed)
	b.changed = make(chan struct{})
	return e.preimage, nil
}

// status tells what is known of an invoice.
func (b *books) status(now time.Time, hash lntypes.Hash) (*wallets.Status, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.invoices[hash]
	if !ok {
		return nil, false
	}
	switch {
	case !e.settled.IsZero():
		preimage := e.preimage
		return &wallets.Status{
			State: wallets.StateSettled, AmountPaid: e.amount, SettledAt: e.settled, Preimage: &preimage,
		}, true
	case !now.Before(e.expires):
		return &wallets.Status{State: wallets.StateExpired}, true
	}
	return &wallets.Status{State: wallets.StatePending}, true
}

// byExpiry is a heap of pending invoices, the one that expires first on top.
type byExpiry []*entry

// Len implements heap.Interface.
func (h byExpiry) Len() int { return len(h) }

// Less implements heap.Interface.
func (h byExpiry) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }

// Swap implements heap.Interface.
func (h byExpiry) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *byExpiry) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *byExpiry) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

var _ heap.Interface = (*byExpiry)(nil)
