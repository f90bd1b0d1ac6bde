package purses

import (
	"context"

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

// Store keeps values beside those of the purses, for whoever needs that. It works as long as the
// ledger is open.
func (h *House) Store() purse.Store { return store{books: h.books} }
