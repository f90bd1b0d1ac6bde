package purses

import (
	"context"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// Alone tells whether no other process has a seat on the storage. Where one died on another machine
// that is known a few minutes later. Errors are ErrNotReady and those of the storage.
func (h *House) Alone(ctx context.Context) (bool, error) {
	t, err := h.current(ctx)
	if err != nil {
		return false, err
	}
	recs, err := t.seats(ctx)
	if err != nil {
		return false, err
	}
	for _, rec := range recs {
		if _, here := owners.Load(rec.Owner); !here && !rec.Left && !rec.Process.Ended() {
			return false, nil
		}
	}
	return true, nil
}

// noteAlone notes whether another process may have a seat. One that was never seen before may live.
func (t *term) noteAlone(recs map[int]seatRecord, now time.Time) {
	for n, rec := range recs {
		if _, here := owners.Load(rec.Owner); !here && !t.dead(rec, t.look(n, rec, now), now) {
			t.alone.Store(nil)
			return
		}
	}
	t.alone.Store(&now)
}

// MayTakeOffline tells whether ecash may be taken without asking the mint: no other process has a
// seat, as far as was seen a moment ago. Another one has the same keys, so that a payer could bring
// to it what this one has taken. It asks nobody.
func (h *House) MayTakeOffline() bool {
	h.mu.Lock()
	t := h.term
	h.mu.Unlock()
	if t == nil {
		return false
	}
	seen := t.alone.Load()
	return seen != nil && time.Since(*seen) < h.timing.ttl
}

// Store keeps values beside those of the purses, for whoever needs that. It works as long as the
// ledger is open.
func (h *House) Store() purse.Store { return store{books: h.books} }
