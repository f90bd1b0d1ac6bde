package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// pay has a reserved invoice paid, checks the proof, and tells the budget what came of it.
func (c *Client) pay(ctx context.Context, offer *Offer) (*Purchase, error) {
	paying, cancel := context.WithTimeoutCause(ctx, c.timeout(), ErrTimeout)
	defer cancel()
	preimage, fee, err := c.Wallet.pay(paying, offer.Decoded.PaymentRequest, c.MaxFee)
	hash := offer.Decoded.PaymentHash
	switch {
	case err != nil && isFinal(err):
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrPayment, err), c.release(ctx, offer))
	case err != nil:
		return nil, fmt.Errorf("%w: %w; the payment may still succeed, your wallet knows it by payment hash %s",
			ErrPayment, err, hash)
	case !preimage.Matches(hash):
		return nil, fmt.Errorf("%w: the wallet's preimage does not belong to payment hash %s", ErrPayment, hash)
	}
	cost := offer.Decoded.Amount + c.MaxFee
	if fee != nil {
		cost = offer.Decoded.Amount + *fee
	}
	if c.Budget != nil {
		// The payment is made, whatever becomes of this; without it the greatest fee is counted.
		if err := c.Budget.Settle(context.WithoutCancel(ctx), hash, cost); err != nil {
			c.Trace.warn("the payment stays in the budget with its greatest fee: %v", err)
		}
	}
	return &Purchase{Offer: *offer, Preimage: preimage, Fee: fee}, nil
}

// pay asks for the fee where the wallet tells it.
func (w *Wallet) pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, *lnwire.MilliSatoshi, error) {
	if teller, ok := w.Payer.(wallets.FeePayer); ok {
		preimage, fee, err := teller.PayWithFee(ctx, invoice, maxFee)
		return preimage, &fee, err
	}
	preimage, err := w.Pay(ctx, invoice, maxFee)
	return preimage, nil, err
}

// reserve asks the budget whether an offer of a host may be paid.
func (c *Client) reserve(ctx context.Context, host string, offer *Offer) error {
	if c.Budget == nil {
		return nil
	}
	return c.Budget.Reserve(ctx, budget.Spending{
		PaymentHash: offer.Decoded.PaymentHash, Network: offer.Decoded.Network, Host: host,
		Price: offer.Decoded.Amount, MaxFee: c.MaxFee,
	})
}

// release tells the budget that no money left.
func (c *Client) release(ctx context.Context, offer *Offer) error {
	if c.Budget == nil {
		return nil
	}
	return c.Budget.Release(context.WithoutCancel(ctx), offer.Decoded.PaymentHash)
}
