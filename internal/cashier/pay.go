package cashier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// opPay is what metrics call a payment.
const opPay = "pay"

// Payer is the wallet as one that pays, or nil where it cannot. It is open for as long as a payment
// is under way, whatever becomes of the configuration; a payment's time is the caller's. A wallet
// that tells fees gives a wallets.FeePayer.
func (c *Cashier) Payer() wallets.Payer {
	switch wallet := c.wallet.(type) {
	case wallets.FeePayer:
		return feePayer{payer{c, wallet}, wallet}
	case wallets.Payer:
		return payer{c, wallet}
	}
	return nil
}

// payer counts payments as calls of the cashier.
type payer struct {
	*Cashier
	wallet wallets.Payer
}

// Pay implements wallets.Payer.
func (p payer) Pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (preimage lntypes.Preimage, err error) {
	err = p.paying(func() error {
		preimage, err = p.wallet.Pay(ctx, invoice, maxFee)
		return err
	})
	return preimage, err
}

// feePayer is a payer that tells fees.
type feePayer struct {
	payer
	teller wallets.FeePayer
}

// PayWithFee implements wallets.FeePayer.
func (p feePayer) PayWithFee(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (preimage lntypes.Preimage, fee lnwire.MilliSatoshi, err error) {
	err = p.paying(func() error {
		preimage, fee, err = p.teller.PayWithFee(ctx, invoice, maxFee)
		return err
	})
	return preimage, fee, err
}

// paying keeps the wallet open and turns a panic into an error, after which it is not known whether
// money left.
func (p payer) paying(do func() error) (err error) {
	if !p.enter() {
		// Nothing was begun. It is no final failure all the same: an earlier try may be under way.
		return fmt.Errorf("paying: %w: %w", wallets.ErrUnavailable, ErrClosed)
	}
	defer p.calls.Done()
	begin := time.Now()
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("%w: %w", wallets.ErrUnavailable, ErrPanic)
			p.env.panicked(opPay, what)
		}
		if !errors.Is(err, context.Canceled) {
			p.env.called(opPay, time.Since(begin), err)
		}
	}()
	return do()
}

// Interface guards
var (
	_ wallets.Payer    = payer{}
	_ wallets.FeePayer = feePayer{}
)
