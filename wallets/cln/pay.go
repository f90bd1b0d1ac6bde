package cln

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

const (
	// attemptTime is how long the node looks for routes; a payment on its way takes longer.
	attemptTime = 60 * time.Second
	// payTime bounds the wait where the caller's context has no deadline.
	payTime = 2 * time.Minute
)

// Pay pays a BOLT 11 or BOLT 12 invoice with the command xpay, or with pay where the node has no
// xpay, and follows a payment of unclear outcome with listpays. It waits for the end of the
// payment, for two minutes if ctx has no deadline. An invoice that the node has paid already gives
// its preimage again.
//
// Only an error that wraps ErrPaymentFailed or ErrBadInvoice means that no money left; after any
// other the payment may still succeed.
func (c *Client) Pay(ctx context.Context, text string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	const step = "paying"
	d, err := c.payable(text)
	if err != nil {
		return lntypes.Preimage{}, c.fail(step, err)
	}
	if err := ctx.Err(); err != nil {
		return lntypes.Preimage{}, c.fail(step, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, payTime)
		defer cancel()
	}
	p, err := c.pay(ctx, d, maxFee)
	if err != nil {
		return lntypes.Preimage{}, c.fail(step, err)
	}
	return p, nil
}

// payable checks the invoice before the node sees it.
func (c *Client) payable(text string) (*wallets.Decoded, error) {
	d, err := wallets.DecodeInvoice(text)
	if err != nil {
		return nil, err
	}
	net := c.opts.Load().Network
	switch {
	case d.Network != net:
		return nil, fmt.Errorf("%w: it is for %s and the wallet for %s", wallets.ErrBadInvoice, d.Network, net)
	case d.Amount == 0:
		return nil, fmt.Errorf("%w: it names no amount", wallets.ErrBadInvoice)
	case !c.now().Before(d.ExpiresAt):
		return nil, fmt.Errorf("%w: it expired at %s", wallets.ErrBadInvoice, d.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return d, nil
}

// payment is the result of xpay and of pay.
type payment struct {
	Preimage string `json:"payment_preimage"`
	// Status is told by pay only; xpay answers successes only.
	Status string `json:"status"`
}

func (c *Client) pay(ctx context.Context, d *wallets.Decoded, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	deadline, _ := ctx.Deadline()
	// The node should give up before we do, so that its answer is final.
	attempts := max(min(attemptTime, time.Until(deadline)*8/10), time.Second).Truncate(time.Second)
	giveUp := c.now().Add(attempts)
	limits := payLimits{
		MaxFee:   min(uint64(maxFee), math.MaxInt64),
		RetryFor: uint64(attempts / time.Second),
	}
	var out payment
	err := c.do(ctx, "xpay", struct {
		Invoice string `json:"invstring"`
		payLimits
	}{d.PaymentRequest, limits}, &out)
	if errors.Is(err, ErrNoMethod) {
		err = c.do(ctx, "pay", struct {
			Invoice string `json:"bolt11"`
			payLimits
		}{d.PaymentRequest, limits}, &out)
	}
	switch {
	case err == nil && (out.Status == "" || out.Status == "complete"):
		return proof(out.Preimage, d.PaymentHash)
	case neverBegan(err), ctx.Err() == nil && errors.Is(err, httpjson.ErrNotSent):
		return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, err)
	case final(err), errors.Is(err, wallets.ErrRateLimited):
		return lntypes.Preimage{}, err
	}
	if rpc := (*RPCError)(nil); errors.As(err, &rpc) && rpc.Code != codeInProgress {
		// The node itself has given up, but parts may still be on their way back.
		giveUp = c.now()
	}
	return c.track(ctx, d.PaymentHash, giveUp, err)
}

// payLimits are parameters that xpay and pay share.
type payLimits struct {
	MaxFee   uint64 `json:"maxfee"`
	RetryFor uint64 `json:"retry_for"`
}

// neverBegan tells the errors by which the node says that it sent nothing.
func neverBegan(err error) bool {
	switch code(err) {
	case codeRouteNotFound, codeRouteTooExpensive, codeInvoiceExpired, codeNoFunds,
		codeInvalidParams, codeInvalidRequest:
		return true
	}
	return false
}

// track follows a payment that may have begun until the node tells its end. Before giveUp a
// failure is not final, since the node may try again; cause is why the outcome is unclear.
func (c *Client) track(ctx context.Context, hash lntypes.Hash, giveUp time.Time, cause error) (lntypes.Preimage, error) {
	if cause == nil {
		cause = errors.New("the node does not tell how it ended")
	}
	for pause := c.firstRetry; ; pause = min(pause*2, c.lastRetry) {
		if ctx.Err() != nil {
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed", ctx.Err())
		}
		p, err := c.outgoing(ctx, hash)
		ended := !c.now().Before(giveUp)
		switch {
		case err != nil && final(err):
			return lntypes.Preimage{}, fmt.Errorf("%w: the payment may still succeed; asking for it: %w", cause, err)
		case err != nil || p.Status == "pending":
		case p.Status == "complete":
			return proof(p.Preimage, hash)
		case ended:
			return lntypes.Preimage{}, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, cause)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// outgoingPayment is an entry of listpays; without a status there is none.
type outgoingPayment struct {
	PaymentHash string `json:"payment_hash"`
	Status      string `json:"status"`
	Preimage    string `json:"preimage"`
}

// outgoing asks for the payment of the hash. Of several it gives the one that went furthest.
func (c *Client) outgoing(ctx context.Context, hash lntypes.Hash) (outgoingPayment, error) {
	const step = "asking for the payment"
	in := struct {
		PaymentHash string `json:"payment_hash"`
	}{hash.String()}
	var out struct {
		Pays *[]outgoingPayment `json:"pays"`
	}
	if err := c.call(ctx, step, "listpays", in, &out, 0); err != nil {
		return outgoingPayment{}, err
	}
	if out.Pays == nil {
		return outgoingPayment{}, c.fail(step, fmt.Errorf("%w: no list of payments", wallets.ErrBadAnswer))
	}
	var best outgoingPayment
	rank := map[string]int{"failed": 1, "pending": 2, "complete": 3}
	for _, p := range *out.Pays {
		if p.PaymentHash == hash.String() && rank[p.Status] > rank[best.Status] {
			best = p
		}
	}
	return best, nil
}

// proof reads a preimage that must be that of the hash.
func proof(text string, hash lntypes.Hash) (lntypes.Preimage, error) {
	p, err := lntypes.MakePreimageFromStr(text)
	if err != nil || !p.Matches(hash) {
		return lntypes.Preimage{}, fmt.Errorf("%w: CLN says it paid but its preimage does not fit", wallets.ErrBadAnswer)
	}
	return p, nil
}
