package nwc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// payTime bounds the wait where the caller's context has no deadline.
const payTime = 2 * time.Minute

// Pay pays with pay_invoice, for which the connection needs that permission. NIP-47 has no limit on
// the routing fee: maxFee cannot be sent, the wallet's own limit holds, and a fee above maxFee is
// logged.
//
// Only an error that wraps ErrPaymentFailed or ErrBadInvoice means that no money left; after any
// other the payment may still succeed.
func (w *Wallet) Pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	p, err := w.pay(ctx, invoice, maxFee)
	return p, w.fail("paying", err)
}

func (w *Wallet) pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (p lntypes.Preimage, err error) {
	if err := ctx.Err(); err != nil {
		return p, err
	}
	d, err := w.payable(invoice)
	if err != nil {
		return p, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, payTime)
		defer cancel()
	}
	deadline, _ := ctx.Deadline()
	params := struct {
		Invoice string `json:"invoice"`
	}{d.PaymentRequest}
	// A request that waits at a relay must not be paid long after the caller has gone.
	a, sent, err := w.s.request(ctx, methodPay, params, max(time.Until(deadline), time.Second))
	switch {
	case err != nil && !sent:
		return p, err
	case err != nil:
		return w.track(ctx, d.PaymentHash, err)
	}
	var result struct {
		Preimage string `json:"preimage"`
		FeesPaid int64  `json:"fees_paid"`
	}
	if err := a.read(methodPay, &result); err != nil {
		return p, err
	}
	if p, err = lntypes.MakePreimageFromStr(result.Preimage); err != nil || !p.Matches(d.PaymentHash) {
		return lntypes.Preimage{}, fmt.Errorf("%w: the wallet says it paid but its preimage does not fit", wallets.ErrBadAnswer)
	}
	if fee := result.FeesPaid; fee > 0 && uint64(fee) > uint64(maxFee) {
		w.logger().Warn("the wallet paid a higher routing fee than wanted, for which NIP-47 has no limit",
			zap.Int64("fee_msat", fee), zap.Uint64("wanted_msat", uint64(maxFee)))
	}
	return p, nil
}

// payable checks the invoice before the wallet sees it.
func (w *Wallet) payable(invoice string) (*wallets.Decoded, error) {
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		return nil, err
	}
	net := w.opts.Load().network
	switch {
	case d.Bolt12:
		return nil, fmt.Errorf("%w: NIP-47 wallets pay no BOLT 12 invoices", wallets.ErrBadInvoice)
	case d.Network != net:
		return nil, fmt.Errorf("%w: it is for %s and the wallet for %s", wallets.ErrBadInvoice, d.Network, net)
	case d.Amount == 0:
		return nil, fmt.Errorf("%w: it names no amount", wallets.ErrBadInvoice)
	case !w.now().Before(d.ExpiresAt):
		return nil, fmt.Errorf("%w: it expired at %s", wallets.ErrBadInvoice, d.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return d, nil
}

// track asks after a payment whose answer was lost, because of the given error, until the wallet
// tells its end. The request is not repeated.
func (w *Wallet) track(ctx context.Context, hash lntypes.Hash, lost error) (p lntypes.Preimage, err error) {
	for {
		select {
		case <-ctx.Done():
			return p, fmt.Errorf("%w: the payment may still succeed; its answer was lost: %w", ctx.Err(), lost)
		case <-time.After(w.poll.busy):
		}
		var t transaction
		if _, err := w.call(ctx, methodLookup, lookupParams{PaymentHash: hash.String()}, &t); err != nil {
			if errors.Is(err, errClosed) || hasCode(err, codeNotImplemented, codeRestricted, codeUnauthorized) {
				return p, fmt.Errorf("the payment may still succeed; its answer was lost: %w", lost)
			}
			continue
		}
		if told, err := lntypes.MakeHashFromStr(t.PaymentHash); err != nil || told != hash || t.Type == typeIncoming {
			continue
		}
		switch t.state() {
		case stateFailed:
			return p, fmt.Errorf("%w: the wallet gave it up", wallets.ErrPaymentFailed)
		case stateSettled:
			if found, err := t.preimage(hash); err == nil && found != nil {
				return *found, nil
			}
		}
	}
}

// Interface guards.
var _ wallets.Payer = (*Wallet)(nil)
