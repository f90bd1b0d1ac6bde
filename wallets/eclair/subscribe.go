package eclair

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

const (
	// page is how many payments one call lists.
	page = 200
	// firstReach and reach are how long before its settlement an invoice may have been made to
	// be listed, at the first list and at later ones.
	firstReach, reach = 7 * 24 * time.Hour, 24 * time.Hour
)

// SubscribeSettlements follows Eclair's websocket, and lists what was received after each reconnect
// and now and then, so that nothing is lost; Eclair drops events when many come at once. The cursor
// is the time of settlement in milliseconds. Errors other than ctx.Err() wrap ErrUnauthorized or
// net.ErrClosed.
//
// Eclair lists payments by the time at which their invoices were made. A settlement that no event
// told of is found if its invoice was made within the last day (the last week at the start), or
// within the longest life that the wallet has given to an invoice.
func (w *Wallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	return w.peer.Follow(ctx, cursor, restpeer.Feed{
		Path:   func() (string, error) { return "ws", nil },
		Event:  parseEvent,
		Lookup: w.LookupInvoice,
		List:   w.list,
	}, found)
}

// parseEvent gives the payment hash of an event "payment-received".
func parseEvent(message []byte) (lntypes.Hash, bool) {
	var event struct {
		Type        string `json:"type"`
		PaymentHash string `json:"paymentHash"`
	}
	if json.Unmarshal(message, &event) != nil || event.Type != "payment-received" {
		return lntypes.Hash{}, false
	}
	hash, err := lntypes.MakeHashFromStr(event.PaymentHash)
	return hash, err == nil
}

// list gives what was received since then, in the order of settlement.
func (w *Wallet) list(ctx context.Context, since time.Time, first bool) ([]wallets.Settlement, error) {
	back := reach
	if first {
		back = firstReach
	}
	from := since.Add(-max(back, time.Duration(w.longest.Load())))
	var out []wallets.Settlement
	for skip := 0; skip < restpeer.MaxBacklog; skip += page {
		var payments *[]received
		err := w.call(ctx, "listreceivedpayments", url.Values{
			"from": {strconv.FormatInt(max(from.Unix(), 0), 10)},
			// By itself Eclair ends the list at its own now.
			"to":    {strconv.FormatInt(w.peer.Now().Add(24*time.Hour).Unix(), 10)},
			"count": {strconv.Itoa(page)},
			"skip":  {strconv.Itoa(skip)},
		}, &payments)
		if err == nil && payments == nil {
			err = fmt.Errorf("%w: no list of payments", wallets.ErrBadAnswer)
		}
		if err != nil {
			return nil, w.peer.Fail("listing payments", err)
		}
		for _, r := range *payments {
			hash, err := lntypes.MakeHashFromStr(r.Invoice.PaymentHash)
			if err != nil {
				continue
			}
			// A broken entry must not hide the others.
			st, err := r.read(hash)
			if err == nil && st.State == wallets.StateSettled && !st.SettledAt.Before(since) {
				out = append(out, wallets.Settlement{
					PaymentHash: hash, AmountPaid: st.AmountPaid, SettledAt: st.SettledAt,
				})
			}
		}
		if len(*payments) < page {
			break
		}
	}
	slices.SortStableFunc(out, func(a, b wallets.Settlement) int { return a.SettledAt.Compare(b.SettledAt) })
	return out, nil
}
