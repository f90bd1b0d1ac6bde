package lnurl

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// errDescription says that an invoice is not for what the pay request told.
var errDescription = errors.New("its description hash is not that of the payee's metadata")

// CreateInvoice implements wallets.Wallet. LNURL has no way to set memo or expiry, so both are the
// payee's own. An amount that the payee does not take is ErrAmount.
func (w *Wallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	inv, err := w.create(ctx, req.Amount)
	if err != nil {
		return nil, fmt.Errorf("creating invoice for %s: %w", w.target.name, err)
	}
	return inv, nil
}

func (w *Wallet) create(ctx context.Context, amount lnwire.MilliSatoshi) (*wallets.Invoice, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, remembered, err := w.payRequest(ctx)
	if err != nil {
		return nil, err
	}
	inv, err := w.order(ctx, r, amount)
	if err == nil {
		return inv, nil
	}
	if errors.Is(err, wallets.ErrBadAnswer) || errors.Is(err, wallets.ErrBadInvoice) {
		w.forget(r)
	}
	// The payee may have changed his metadata or callback since they were asked for.
	if remembered && (errors.Is(err, errDescription) || errors.Is(err, errGone)) {
		if r, _, err = w.payRequest(ctx); err != nil {
			return nil, err
		}
		return w.order(ctx, r, amount)
	}
	return nil, err
}

// order asks the callback for an invoice (LUD-06, step 4) and checks that it is the one.
func (w *Wallet) order(ctx context.Context, r *payRequest, amount lnwire.MilliSatoshi) (*wallets.Invoice, error) {
	if err := r.permits(amount); err != nil {
		return nil, err
	}
	query := url.Values{"amount": {strconv.FormatUint(uint64(amount), 10)}}
	w.mu.Lock()
	comment := r.cutComment(w.comment)
	w.mu.Unlock()
	if comment != "" {
		query.Set("comment", comment)
	}
	var a invoiceAnswer
	if err := w.get(ctx, httpjson.Request{URL: r.callback, Query: query}, &a); err != nil {
		return nil, err
	}
	d, err := w.decode(a.PR)
	if err != nil {
		return nil, err
	}
	switch {
	case d.Amount != amount:
		return nil, fmt.Errorf("%w: it is over %d msat, not %d msat", wallets.ErrBadInvoice,
			uint64(d.Amount), uint64(amount))
	case d.DescriptionHash == nil || subtle.ConstantTimeCompare(d.DescriptionHash[:], r.description[:]) != 1:
		return nil, fmt.Errorf("%w: %w", wallets.ErrBadInvoice, errDescription)
	case !w.now().Before(d.ExpiresAt):
		return nil, fmt.Errorf("%w: it has expired", wallets.ErrBadInvoice)
	}
	w.remember(d, w.verifyAddress(&a))
	return &wallets.Invoice{
		PaymentRequest: d.PaymentRequest, PaymentHash: d.PaymentHash, Amount: d.Amount, ExpiresAt: d.ExpiresAt,
	}, nil
}

// invoiceAnswer is what the callback says. LUD-06's routes and LUD-09's successAction are left
// out: the first are empty and the second is for people.
type invoiceAnswer struct {
	PR string `json:"pr"`
	// Verify is LUD-21's address. What is no text counts as none.
	Verify json.RawMessage `json:"verify"`
}

// decode reads an invoice of the payee.
func (w *Wallet) decode(text string) (*wallets.Decoded, error) {
	d, err := wallets.DecodeInvoice(text)
	switch {
	case err != nil:
		return nil, err
	case d.Bolt12:
		return nil, fmt.Errorf("%w: it is a BOLT 12 invoice, and LNURL gives BOLT 11 ones", wallets.ErrBadInvoice)
	case d.Network != w.network:
		return nil, fmt.Errorf("%w: it is for %s, not for %s", wallets.ErrBadInvoice, d.Network, w.network)
	}
	return d, nil
}

// verifyAddress gives the address that tells whether an invoice was paid, or nothing. One that may
// not be followed does not spoil the invoice.
func (w *Wallet) verifyAddress(a *invoiceAnswer) string {
	var text string
	if json.Unmarshal(a.Verify, &text) != nil || text == "" {
		return ""
	}
	u, err := w.rules.parse(text)
	if err == nil {
		return u.String()
	}
	w.mu.Lock()
	warned := w.known.warned
	w.known.warned = true
	w.mu.Unlock()
	if !warned {
		w.env.Logger().Warn("payments cannot be looked up: the address that the payee's server gives for it is not followed",
			zap.String("payee", w.target.name), zap.Error(err))
	}
	return ""
}
