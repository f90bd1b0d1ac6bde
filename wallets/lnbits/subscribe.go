package lnbits

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

const (
	// page is how many payments one call lists.
	page = 100
	// oldest is how long before its settlement an invoice may have been made, where the list
	// can only be had in the order of making.
	oldest = 24 * time.Hour
)

// SubscribeSettlements follows the wallet's websocket, and lists what was received after each
// reconnect and now and then, so that nothing is lost. The cursor is the time of settlement in
// milliseconds. Errors other than ctx.Err() wrap ErrUnauthorized or net.ErrClosed.
//
// LNbits before version 1.4 cannot list payments in the order of settlement; there, a settlement
// that no event told of is found if its invoice was made within the last day.
func (w *Wallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	return w.peer.Follow(ctx, cursor, restpeer.Feed{
		// The key stands in the address: LNbits wants it so.
		Path: func() (string, error) {
			key, err := w.peer.Secret()
			return "api/v1/ws/" + url.PathEscape(key), err
		},
		Event:  parseEvent,
		Lookup: w.LookupInvoice,
		List: func(ctx context.Context, since time.Time, _ bool) ([]wallets.Settlement, error) {
			return w.list(ctx, since)
		},
	}, found)
}

// parseEvent gives the payment hash of an event about a payment to the wallet. Anyone who has the
// key can send one, so it proves nothing.
func parseEvent(message []byte) (lntypes.Hash, bool) {
	var event struct {
		Payment payment `json:"payment"`
	}
	if json.Unmarshal(message, &event) != nil || event.Payment.Amount <= 0 {
		return lntypes.Hash{}, false
	}
	hash, err := event.Payment.hash()
	return hash, err == nil
}

// errSort says that LNbits cannot sort as it was asked to.
var errSort = errors.New("unknown order")

// list gives what was received since then, in the order of settlement.
func (w *Wallet) list(ctx context.Context, since time.Time) ([]wallets.Settlement, error) {
	out, err := w.pages(ctx, "updated_at", since)
	if errors.Is(err, errSort) {
		out, err = w.pages(ctx, "time", since.Add(-oldest))
	}
	if err != nil {
		return nil, w.peer.Fail("listing payments", err)
	}
	slices.SortStableFunc(out, func(a, b wallets.Settlement) int { return a.SettledAt.Compare(b.SettledAt) })
	return out, nil
}

// pages reads the list from the newest payment down to the time. A payment that changes meanwhile
// moves to the front and shifts others back: one may be seen twice, none is missed.
func (w *Wallet) pages(ctx context.Context, order string, down time.Time) ([]wallets.Settlement, error) {
	var out []wallets.Settlement
	for offset := 0; offset < restpeer.MaxBacklog; offset += page {
		answer, err := w.peer.Do(ctx, httpjson.Request{Path: "api/v1/payments", Query: url.Values{
			"status": {stateSuccess}, "amount[gt]": {"0"}, "sortby": {order}, "direction": {"desc"},
			"limit": {strconv.Itoa(page)}, "offset": {strconv.Itoa(offset)},
		}})
		if err != nil {
			return nil, err
		}
		if answer.Status != http.StatusOK {
			err := refusal(answer)
			if s := answer.Status; s == http.StatusBadRequest || s == http.StatusUnprocessableEntity {
				err = fmt.Errorf("%w: %w", errSort, err)
			}
			return nil, err
		}
		var payments *[]payment
		if err := answer.Decode(&payments); err != nil {
			return nil, err
		}
		if payments == nil {
			return nil, fmt.Errorf("%w: no list of payments", wallets.ErrBadAnswer)
		}
		end := len(*payments) < page
		// The newest comes first; the reverse keeps the order of those with equal times.
		for _, p := range *payments {
			at := p.settledAt()
			if order == "time" {
				at = time.Time(p.Time)
			}
			if at.Before(down) {
				end = true
				continue
			}
			hash, err := p.hash()
			if err != nil || p.Status != stateSuccess || p.Amount <= 0 {
				continue
			}
			out = append(out, wallets.Settlement{PaymentHash: hash, AmountPaid: p.received(), SettledAt: p.settledAt()})
		}
		if end {
			break
		}
	}
	slices.Reverse(out)
	return out, nil
}
