package lnd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
)

// healthyAfter is how long a stream must have lasted for the next pause to be a short one again.
const healthyAfter = 10 * time.Second

// SubscribeSettlements follows SubscribeInvoices (needs invoices:read). The cursor is LND's
// settle index in decimal. LND sends nothing of the past for settle index 0, so an empty cursor
// and "0" both mean from now on.
//
// A lost stream is opened again after a pause that grows to a few seconds, at the index of the
// last settlement that was told. When none was told yet there is no such index, and what was
// settled meanwhile is taken from the list of the newest invoices.
//
// It returns ctx.Err(), or an error that wraps ErrUnauthorized when LND refuses the macaroon, or
// one that wraps net.ErrClosed when the connection was closed on this side.
func (c *Client) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	const step = "subscribing to settlements"
	seq := &sequence{tell: found}
	if cursor != "" {
		last, err := strconv.ParseUint(cursor, 10, 64)
		if err != nil {
			return c.fail(step, fmt.Errorf("cursor %q is not a settle index", clean(cursor)))
		}
		seq.last = last
	}
	began := c.now()
	pause := c.firstRetry
	for try := 0; ; try++ {
		opened := c.now()
		err := c.follow(ctx, seq, try > 0, began)
		seq.forget()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, wallets.ErrUnauthorized) || errors.Is(err, net.ErrClosed) {
			return c.fail(step, err)
		}
		if c.now().Sub(opened) >= healthyAfter {
			pause = c.firstRetry
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

// follow reads one stream to its end. again says that an earlier stream was lost.
func (c *Client) follow(ctx context.Context, seq *sequence, again bool, began time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := &rpc.InvoiceSubscription{SettleIndex: seq.last}
	stream, err := rpc.Open[rpc.Invoice](ctx, c.conn, rpc.MethodSubscribeInvoices, in)
	if err != nil {
		return c.classify(ctx, err)
	}
	invoices, failed := make(chan *rpc.Invoice), make(chan error, 1)
	done := make(chan struct{})
	// Owned by this call: cancel ends it, and the call waits for that.
	go func() {
		defer close(done)
		for {
			inv, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case invoices <- inv:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-done }()
	if again && seq.last == 0 {
		if err := c.catchUp(ctx, seq, began); err != nil {
			return err
		}
	}
	gap := time.NewTimer(c.gapWait)
	defer gap.Stop()
	for {
		select {
		case inv := <-invoices:
			if s, index, ok := settlement(inv); ok {
				seq.add(index, s)
				gap.Reset(c.gapWait)
			}
		case <-gap.C:
			// Whatever is missing does not come any more: LND counts payments
			// that are no invoice of ours in the same order.
			seq.flush()
		case err := <-failed:
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("%w: LND ended the stream", wallets.ErrUnavailable)
			}
			return c.classify(ctx, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// How much of the past catchUp looks at: pages of the newest invoices.
const (
	catchUpPages = 10
	catchUpPage  = 100
)

// clockSlack is by how much the node's clock may lag behind ours.
const clockSlack = time.Minute

// catchUp tells the settlements since began of the newest invoices. It serves the one case that
// a settle index cannot: the stream was lost before it brought any.
func (c *Client) catchUp(ctx context.Context, seq *sequence, began time.Time) error {
	type entry struct {
		index uint64
		s     wallets.Settlement
	}
	var missed []entry
	in := &rpc.ListInvoiceRequest{NumMaxInvoices: catchUpPage, Reversed: true}
	for range catchUpPages {
		var out rpc.ListInvoiceResponse
		if err := c.call(ctx, "listing invoices", rpc.MethodListInvoices, in, &out); err != nil {
			return err
		}
		for _, inv := range out.Invoices {
			s, index, ok := settlement(inv)
			if ok && !s.SettledAt.Before(began.Add(-clockSlack)) {
				missed = append(missed, entry{index, s})
			}
		}
		if len(out.Invoices) < catchUpPage || out.FirstIndexOffset <= 1 ||
			in.IndexOffset != 0 && out.FirstIndexOffset >= in.IndexOffset {
			break
		}
		in.IndexOffset = out.FirstIndexOffset
	}
	slices.SortFunc(missed, func(a, b entry) int {
		if a.index < b.index {
			return -1
		}
		return 1
	})
	for _, e := range missed {
		seq.add(e.index, e.s)
		seq.flush()
	}
	return nil
}

// settlement reads a settled invoice off the stream, which carries new invoices too.
func settlement(inv *rpc.Invoice) (wallets.Settlement, uint64, bool) {
	hash, err := lntypes.MakeHash(inv.RHash)
	if inv.State != rpc.InvoiceState_SETTLED || inv.SettleIndex == 0 || inv.AmtPaidMsat < 0 || err != nil {
		return wallets.Settlement{}, 0, false
	}
	return wallets.Settlement{
		PaymentHash: hash,
		AmountPaid:  lnwire.MilliSatoshi(inv.AmtPaidMsat),
		SettledAt:   unixTime(inv.SettleDate),
	}, inv.SettleIndex, true
}
