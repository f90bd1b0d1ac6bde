package cashier

import (
	"sync"

	"github.com/lightningnetwork/lnd/lntypes"
)

// waiters are those who want to hear of one payment at once. The zero value has none.
type waiters struct {
	mu     sync.Mutex
	byHash map[lntypes.Hash]*waiting
}

// waiting is the payment that some wait for.
type waiting struct {
	settled chan struct{}
	count   int
}

// Await returns a channel that is closed when this cashier learns that the invoice was paid, from
// the wallet's own telling or from anybody's look-up. It asks nobody itself: call Standing after it,
// since the payment may have been learned of before. What it takes is given back by stop, which
// must be called once.
func (c *Cashier) Await(hash lntypes.Hash) (settled <-chan struct{}, stop func()) {
	c.waiters.mu.Lock()
	defer c.waiters.mu.Unlock()
	w := c.waiters.byHash[hash]
	if w == nil {
		w = &waiting{settled: make(chan struct{})}
		if c.waiters.byHash == nil {
			c.waiters.byHash = make(map[lntypes.Hash]*waiting)
		}
		c.waiters.byHash[hash] = w
	}
	w.count++
	return w.settled, func() { c.waiters.leave(hash, w) }
}

// leave forgets one who waited.
func (w *waiters) leave(hash lntypes.Hash, left *waiting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if left.count--; left.count == 0 && w.byHash[hash] == left {
		delete(w.byHash, hash)
	}
}

// tell wakes all who wait for a payment.
func (w *waiters) tell(hash lntypes.Hash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if told := w.byHash[hash]; told != nil {
		delete(w.byHash, hash)
		close(told.settled)
	}
}

// Blind tells whether the wallet answered its last look-up with ErrLookupUnsupported: then payments
// show only by their preimages, or by the wallet's own telling.
func (c *Cashier) Blind() bool { return c.blind.Load() }
