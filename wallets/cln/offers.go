package cln

import (
	"context"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// FetchInvoice asks the issuer of a BOLT 12 offer for an invoice over the amount, with the command
// fetchinvoice, and gives its text. The node waits for the issuer's answer for at most the time
// given, rounded up to whole seconds. It does not check the invoice. Errors wrap ErrOffer where the
// issuer is the cause.
func (c *Client) FetchInvoice(ctx context.Context, offer string, amount lnwire.MilliSatoshi, wait time.Duration) (string, error) {
	const step = "fetching invoice"
	wait = (wait + time.Second - 1).Truncate(time.Second)
	in := struct {
		Offer   string `json:"offer"`
		Amount  uint64 `json:"amount_msat"`
		Timeout uint64 `json:"timeout"`
	}{offer, uint64(amount), uint64(wait / time.Second)}
	var out struct {
		Invoice string `json:"invoice"`
	}
	if err := c.call(ctx, step, "fetchinvoice", in, &out, wait); err != nil {
		return "", err
	}
	if out.Invoice == "" {
		return "", c.fail(step, fmt.Errorf("%w: no invoice", wallets.ErrBadAnswer))
	}
	return out.Invoice, nil
}
