package cashier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Invoice makes an invoice and checks that it is the one that was asked for. It is remembered
// until it is paid or expires, so that it can be offered again to the client that has it.
func (c *Cashier) Invoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	var inv *wallets.Invoice
	err := c.call(ctx, opCreate, func(ctx context.Context) (err error) {
		inv, err = c.wallet.CreateInvoice(ctx, req)
		if err == nil && inv == nil {
			err = fmt.Errorf("%w: no invoice and no error", wallets.ErrBadAnswer)
		}
		if err != nil {
			return err
		}
		return c.Check(req, inv)
	})
	if !errors.Is(err, ErrBroken) && !errors.Is(err, ErrBusy) {
		c.lied.Store(errors.Is(err, wallets.ErrBadInvoice))
	}
	if err != nil {
		if errors.Is(err, wallets.ErrBadInvoice) && !errors.Is(err, ErrBroken) {
			c.env.Logger().Error("wallet gave an invoice that was not asked for; it is not shown to the client",
				zap.Error(err))
		}
		return nil, err
	}
	// A hash that was given before would let one payment buy twice.
	if !c.given.Add(inv.PaymentHash) {
		c.env.Logger().Error("wallet gave the same payment hash twice; the invoice is not shown to the client")
		return nil, fmt.Errorf("%w: its payment hash was used before", wallets.ErrBadInvoice)
	}
	c.pending.Add(inv.PaymentHash, inv)
	return inv, nil
}

// Check checks an invoice that the wallet tells of as one that it makes is checked, and brings it
// into its plain form. The error wraps wallets.ErrBadInvoice.
func (c *Cashier) Check(req wallets.InvoiceRequest, inv *wallets.Invoice) error {
	return wallets.CheckInvoice(c.network, req, inv, time.Now(), c.payee())
}

// Pending gives an invoice that this cashier made and that can still be paid, or nil.
func (c *Cashier) Pending(hash lntypes.Hash, now time.Time) *wallets.Invoice {
	inv, ok := c.pending.Get(hash)
	if !ok || !now.Before(inv.ExpiresAt) {
		return nil
	}
	return inv
}

// payee is the node that must have signed the invoices, where the wallet knows it.
func (c *Cashier) payee() *[33]byte {
	if w, ok := c.wallet.(wallets.Payee); ok {
		return w.Payee()
	}
	return nil
}
