package purses

import (
	"context"
	"errors"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// instanceOf names a seat's purses, and its records with them.
func instanceOf(seat int) string { return "seat " + seatName(seat) }

// ReceivedElsewhere gives the receipt for a token that another process on the storage has received:
// for a payer who lost the answer and whose repetition comes to this one. It reads the other seats'
// records and changes nothing. It is for tokens that were spent, since it asks the storage for each
// seat. Errors are purse.ErrNotFound where nobody knows the token, ErrNotReady, and those of
// purse.ReceivedBy.
func (h *House) ReceivedElsewhere(ctx context.Context, key Key, tok *token.Token) (*purse.Receipt, error) {
	t, err := h.current(ctx)
	if err != nil {
		return nil, err
	}
	e, err := t.entry(ctx, t.own, key)
	if err != nil {
		return nil, err
	}
	recs, err := t.seats(ctx)
	if err != nil {
		return nil, err
	}
	for n := range recs {
		if n == t.own.number {
			continue
		}
		r, err := e.purse.ReceivedBy(ctx, instanceOf(n), tok)
		if !errors.Is(err, purse.ErrNotFound) {
			return r, err
		}
	}
	return nil, purse.ErrNotFound
}
