package cashu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// askAgain is after what time a payment in flight is asked for.
const askAgain = 500 * time.Millisecond

// Pay implements wallets.Payer: the mint pays the invoice for ecash of the purse (NUT-05). The fee
// is the mint's reserve for Lightning; the mint's fee for inputs comes on top. Errors wrap
// ErrPaymentFailed where no ecash is spent, and ErrBadAnswer where the mint says that it has paid and
// gives no proof of it.
func (w *Wallet) Pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	preimage, _, err := w.PayWithFee(ctx, invoice, maxFee)
	return preimage, err
}

// PayWithFee implements wallets.FeePayer. The fee is what the payment cost besides the invoice's
// amount, with the mint's fee for inputs.
func (w *Wallet) PayWithFee(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, lnwire.MilliSatoshi, error) {
	paid, err := w.pay(ctx, invoice, maxFee)
	if err != nil {
		return lntypes.Preimage{}, 0, w.fail("paying", err)
	}
	return lntypes.Preimage(*paid.Preimage), w.msat(paid.Fee), nil
}

// pay gives a payment with its preimage.
func (w *Wallet) pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (*purse.Payment, error) {
	d, err := wallets.DecodeInvoice(invoice)
	if err == nil && d.Network != w.set.network {
		err = fmt.Errorf("%w: it is for %s, not for %s", wallets.ErrBadInvoice, d.Network, w.set.network)
	}
	if err != nil {
		return nil, err
	}
	p, err := w.Purse(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, err)
	}
	fee := uint64(maxFee)
	if w.set.unit == mint.UnitSat {
		fee /= 1000
	}
	for {
		paid, err := p.Pay(ctx, invoice, fee)
		switch {
		case err == nil && paid.Preimage == nil:
			return nil, fmt.Errorf("%w: it says that the invoice is paid and gives no preimage", wallets.ErrBadAnswer)
		case err == nil:
			return paid, nil
		case errors.Is(err, purse.ErrStore), errors.Is(err, purse.ErrDisputed):
			return nil, err
		case !errors.Is(err, purse.ErrUnsettled):
			return nil, fmt.Errorf("%w: %w", wallets.ErrPaymentFailed, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-w.life.Done():
			return nil, err
		case <-time.After(askAgain):
		}
	}
}
