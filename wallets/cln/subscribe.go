package cln

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// clockSlack is by how much the node's clock may lag behind ours.
const clockSlack = time.Minute

// SubscribeSettlements calls waitanyinvoice again and again, each time from the pay index of the
// last settlement, so that none is lost between two calls. The cursor is that index in decimal.
//
// Core Lightning has no call for the latest pay index. With an empty cursor it is found by halving,
// with calls of waitanyinvoice that do not wait: about two for each doubling of the number of
// payments, so 40 for a million. Settlements of the last minute may be told too.
//
// After an error it goes on at the same index after a pause that grows to a few seconds. It
// returns ctx.Err(), or an error that wraps ErrUnauthorized when the node refuses the rune,
// ErrNoMethod when it has no waitanyinvoice, or net.ErrClosed when the wallet was closed.
func (c *Client) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	const step = "subscribing to settlements"
	var last uint64
	if cursor != "" {
		index, err := strconv.ParseUint(cursor, 10, 63)
		if err != nil {
			return c.fail(step, fmt.Errorf("cursor %q is not a pay index", httpjson.Clean(cursor)))
		}
		last = index
	}
	known, since, pause := cursor != "", c.now().Add(-clockSlack), c.firstRetry
	for {
		err := ctx.Err()
		if err == nil && !known {
			last, err = c.indexAt(ctx, since)
			known = err == nil
		}
		var inv *invoice
		if err == nil {
			inv, err = c.after(ctx, last, c.waitFor)
		}
		if err == nil {
			pause = c.firstRetry
			if inv != nil {
				last = inv.PayIndex
				found(inv.settlement())
			}
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if final(err) {
			return err
		}
		wait := time.Duration((0.5 + c.jitter()) * float64(pause))
		c.logger().Warn("settlement subscription lost",
			zap.String("peer", c.peer), zap.Duration("retry_in", wait), zap.Error(err))
		pause = min(pause*2, c.lastRetry)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// final tells the errors that trying again cannot help.
func final(err error) bool {
	return errors.Is(err, wallets.ErrUnauthorized) || errors.Is(err, ErrNoMethod) || errors.Is(err, net.ErrClosed)
}

// after gives the first settlement after the index, or nil where there was none within wait.
func (c *Client) after(ctx context.Context, index uint64, wait time.Duration) (*invoice, error) {
	const step = "waiting for settlements"
	in := struct {
		LastPayIndex uint64 `json:"lastpay_index"`
		Timeout      uint64 `json:"timeout"`
	}{index, uint64(wait / time.Second)}
	var inv invoice
	err := c.call(ctx, step, "waitanyinvoice", in, &inv, wait)
	if code(err) == codeWaitTimedOut {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, hashErr := lntypes.MakeHashFromStr(inv.PaymentHash)
	switch {
	case inv.Status != "paid":
		err = errors.New("the invoice is not paid")
	case hashErr != nil:
		err = errors.New("payment_hash is not a hash")
	case inv.PayIndex <= index || inv.PayIndex > 1<<62:
		// Going on from there would tell the same again and again.
		err = fmt.Errorf("pay_index %d does not come after %d", inv.PayIndex, index)
	default:
		return &inv, nil
	}
	return nil, c.fail(step, fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err))
}

// indexAt finds the pay index of the last settlement before a time, or 0.
func (c *Client) indexAt(ctx context.Context, at time.Time) (uint64, error) {
	// before gives the first settlement after the index if that is before the time. It holds
	// for small indexes and ceases at the one looked for.
	before := func(index uint64) (uint64, bool, error) {
		inv, err := c.after(ctx, index, 0)
		if err != nil || inv == nil || !unixTime(inv.PaidAt).Before(at) {
			return 0, false, err
		}
		return inv.PayIndex, true, nil
	}
	var low, high uint64
	for step := uint64(1); ; step *= 2 {
		next, ok, err := before(high)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		low = next
		if high = low + step; step > 1<<61 || high > 1<<62 {
			return 0, c.fail("finding the latest pay index",
				fmt.Errorf("%w: pay indexes without end", wallets.ErrBadAnswer))
		}
	}
	for low < high {
		middle := low + (high-low)/2
		next, ok, err := before(middle)
		switch {
		case err != nil:
			return 0, err
		case ok:
			low = next
		default:
			high = middle
		}
	}
	return low, nil
}

// settlement is for an invoice that after gave.
func (i *invoice) settlement() wallets.Settlement {
	// after has parsed it before.
	hash, _ := lntypes.MakeHashFromStr(i.PaymentHash)
	return wallets.Settlement{
		PaymentHash: hash,
		AmountPaid:  lnwire.MilliSatoshi(i.Received),
		SettledAt:   unixTime(i.PaidAt),
		Cursor:      strconv.FormatUint(i.PayIndex, 10),
	}
}
