package wallets

import (
	"sync"

	"github.com/lightningnetwork/lnd/lntypes"
)

// MaxDuplicates is how many payment hashes Duplicates remembers at least.
const MaxDuplicates = 1 << 15

// Duplicates remembers the payment hashes of the latest invoices, so that a wallet that gives one
// twice is noticed: two clients would hold tokens that one payment opens, and an invoice that
// was paid before would be a gift. Memory is bounded, to about 5 MiB; the oldest are forgotten
// first. The zero value is ready. It is safe for concurrent use.
type Duplicates struct {
	mu sync.Mutex
	// Two generations: when the young one is full it becomes the old one, and what was old is
	// forgotten. That needs no list beside the map.
	young, old map[lntypes.Hash]struct{}
}

// Add remembers the hash and tells whether it is new.
func (d *Duplicates) Add(hash lntypes.Hash) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.young[hash]; ok {
		return false
	}
	if _, ok := d.old[hash]; ok {
		return false
	}
	if d.young == nil || len(d.young) >= MaxDuplicates {
		d.old, d.young = d.young, make(map[lntypes.Hash]struct{})
	}
	d.young[hash] = struct{}{}
	return true
}
