package keyring

import (
	"sync"
	"time"

	"github.com/caddy-l402/caddy-l402/l402"
)

// negatives remembers for a while which key ids do not exist. When it is full it starts anew:
// that costs a few look-ups and keeps its memory bounded.
type negatives struct {
	max int
	ttl time.Duration

	mu   sync.Mutex
	seen map[l402.KeyID]time.Time
}

func newNegatives(max int, ttl time.Duration) *negatives {
	return &negatives{max: max, ttl: ttl, seen: make(map[l402.KeyID]time.Time)}
}

func (n *negatives) has(id l402.KeyID, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, ok := n.seen[id]
	return ok && now.Sub(at) < n.ttl
}

func (n *negatives) add(id l402.KeyID, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.seen) >= n.max {
		clear(n.seen)
	}
	n.seen[id] = now
}
