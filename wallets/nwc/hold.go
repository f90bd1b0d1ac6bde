package nwc

import (
	"context"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// CreateHoldInvoice makes an invoice over a hash of the caller's with make_hold_invoice. Errors are
// those of CreateInvoice; many wallets do not have this call and answer with ErrUnauthorized.
func (w *Wallet) CreateHoldInvoice(ctx context.Context, hash lntypes.Hash, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	inv, err := w.create(ctx, methodMakeHold, &hash, req)
	if err != nil {
		return nil, w.fail("creating hold invoice", err)
	}
	return inv, nil
}

// SettleHoldInvoice takes an accepted payment with settle_hold_invoice. Errors wrap ErrNotFound for
// an unknown hash.
func (w *Wallet) SettleHoldInvoice(ctx context.Context, preimage lntypes.Preimage) error {
	params := struct {
		Preimage string `json:"preimage"`
	}{preimage.String()}
	_, err := w.call(ctx, methodSettleHold, params, nil)
	return w.fail("settling hold invoice", err)
}

// CancelHoldInvoice gives a payment back or withdraws the invoice with cancel_hold_invoice. Errors
// wrap ErrNotFound for an unknown hash.
func (w *Wallet) CancelHoldInvoice(ctx context.Context, hash lntypes.Hash) error {
	_, err := w.call(ctx, methodCancelHold, lookupParams{PaymentHash: hash.String()}, nil)
	return w.fail("canceling hold invoice", err)
}

// Interface guards.
var _ wallets.HoldInvoicer = (*Wallet)(nil)
