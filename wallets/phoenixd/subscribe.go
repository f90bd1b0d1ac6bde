package phoenixd

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
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// page is how many payments one call lists.
const page = 100

// SubscribeSettlements follows phoenixd's websocket, and lists what was received after each
// reconnect and now and then, so that nothing is lost. The cursor is the time of settlement in
// milliseconds. Errors other than ctx.Err() wrap ErrUnauthorized or net.ErrClosed.
func (w *Wallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	return w.peer.Follow(ctx, cursor, restpeer.Feed{
		Path:   func() (string, error) { return "websocket", nil },
		Event:  parseEvent,
		Lookup: w.LookupInvoice,
		List: func(ctx context.Context, since time.Time, _ bool) ([]wallets.Settlement, error) {
			return w.list(ctx, since)
		},
	}, found)
}

// parseEvent gives the payment hash of an event "payment_received".
func parseEvent(message []byte) (lntypes.Hash, bool) {
	var event struct {
		Type        string `json:"type"`
		PaymentHash string `json:"paymentHash"`
	}
	if json.Unmarshal(message, &event) != nil || event.Type != "payment_received" {
		return lntypes.Hash{}, false
	}
	hash, err := lntypes.MakeHashFromStr(event.PaymentHash)
	return hash, err == nil
}

// list gives the gate's payments that were received since then. phoenixd lists the newest first, so
// that one that comes while the pages are read shifts the others back: one may be seen twice, none
// is missed.
func (w *Wallet) list(ctx context.Context, since time.Time) ([]wallets.Settlement, error) {
	var out []wallets.Settlement
	for offset := 0; offset < restpeer.MaxBacklog; offset += page {
		var payments *[]incoming
		err := w.call(ctx, httpjson.Request{Path: "payments/incoming", Query: url.Values{
			"from":       {strconv.FormatInt(since.UnixMilli(), 10)},
			"to":         {strconv.FormatInt(1<<50, 10)}, // else it is phoenixd's now
			"limit":      {strconv.Itoa(page)},
			"offset":     {strconv.Itoa(offset)},
			"externalId": {externalID},
		}}, &payments)
		if err == nil && payments == nil {
			err = fmt.Errorf("%w: no list of payments", wallets.ErrBadAnswer)
		}
		if err != nil {
			return nil, w.peer.Fail("listing payments", err)
		}
		for _, p := range *payments {
			// What is about no invoice is left out; a broken entry must not hide the others.
			hash, err := lntypes.MakeHashFromStr(p.PaymentHash)
			if err != nil {
				continue
			}
			if st, err := p.status(hash); err == nil && st.State == wallets.StateSettled {
				out = append(out, wallets.Settlement{
					PaymentHash: hash, AmountPaid: st.AmountPaid, SettledAt: st.SettledAt,
				})
			}
		}
		if len(*payments) < page {
			break
		}
	}
	slices.Reverse(out)
	return out, nil
}
