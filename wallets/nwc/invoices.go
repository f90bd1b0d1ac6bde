package nwc

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxAmount is the greatest whole number that JSON keeps exact in every language, in
	// millisatoshi: some 90,000 bitcoin.
	maxAmount lnwire.MilliSatoshi = 1<<53 - 1
	// maxExpiry is the longest life of an invoice that is asked for.
	maxExpiry = 365 * 24 * time.Hour
)

type makeParams struct {
	Amount      uint64 `json:"amount"`
	Description string `json:"description,omitempty"`
	Expiry      int64  `json:"expiry"`
	// PaymentHash belongs to make_hold_invoice.
	PaymentHash string `json:"payment_hash,omitempty"`
}

type lookupParams struct {
	PaymentHash string `json:"payment_hash"`
}

// CreateInvoice makes an invoice with make_invoice. Errors wrap ErrAmount for amounts that NIP-47
// cannot carry, ErrUnauthorized where the connection may not make invoices, ErrBadInvoice where
// the wallet answers with another invoice than was asked for.
func (w *Wallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	inv, err := w.create(ctx, methodMake, nil, req)
	if err != nil {
		return nil, w.fail("creating invoice", err)
	}
	return inv, nil
}

// create makes an invoice, over the hash where there is one.
func (w *Wallet) create(ctx context.Context, method string, hash *lntypes.Hash, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkRequest(req); err != nil {
		return nil, err
	}
	params := makeParams{
		Amount: uint64(req.Amount), Description: req.Memo,
		Expiry: int64((req.Expiry + time.Second - 1) / time.Second),
	}
	if hash != nil {
		params.PaymentHash = hash.String()
	}
	var t transaction
	if _, err := w.call(ctx, method, params, &t); err != nil {
		return nil, err
	}
	inv, err := t.invoice(req, hash)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err)
	}
	if err := wallets.CheckInvoice(w.opts.Load().network, req, inv, w.now(), nil); err != nil {
		return nil, err
	}
	w.open.add(inv.PaymentHash, w.now(), inv.ExpiresAt)
	for _, f := range w.s.listeners() {
		f.nudge()
	}
	return inv, nil
}

// invoice reads what make_invoice gave. CheckInvoice does the rest.
func (t *transaction) invoice(req wallets.InvoiceRequest, want *lntypes.Hash) (*wallets.Invoice, error) {
	// Some wallets leave the amount out, none may tell another one.
	if t.Amount != 0 && (t.Amount < 0 || lnwire.MilliSatoshi(t.Amount) != req.Amount) {
		return nil, fmt.Errorf("it tells the amount %d msat, not %d msat", t.Amount, uint64(req.Amount))
	}
	inv := &wallets.Invoice{PaymentRequest: t.Invoice}
	switch {
	case want != nil:
		inv.PaymentHash = *want
	case t.PaymentHash == "":
		d, err := wallets.DecodeInvoice(t.Invoice)
		if err != nil {
			return nil, err
		}
		inv.PaymentHash = d.PaymentHash
		return inv, nil
	}
	if t.PaymentHash == "" {
		return inv, nil
	}
	told, err := lntypes.MakeHashFromStr(t.PaymentHash)
	switch {
	case err != nil:
		return nil, errors.New("the payment hash is not 64 hex digits")
	case want != nil && told != *want:
		return nil, errors.New("it is about another payment hash")
	}
	inv.PaymentHash = told
	return inv, nil
}

// checkRequest refuses what no wallet can do, before one takes it otherwise than meant.
func checkRequest(req wallets.InvoiceRequest) error {
	switch {
	case req.Amount == 0:
		return fmt.Errorf("%w: it must be more than 0 msat", wallets.ErrAmount)
	case req.Amount > maxAmount:
		return fmt.Errorf("%w: %d msat is more than %d msat", wallets.ErrAmount, uint64(req.Amount), uint64(maxAmount))
	case req.Expiry < time.Second || req.Expiry > maxExpiry:
		return fmt.Errorf("expiry %s is not between 1s and %s", req.Expiry, maxExpiry)
	case len(req.Memo) > wallets.MaxMemo:
		return fmt.Errorf("memo has %d bytes: at most %d are possible", len(req.Memo), wallets.MaxMemo)
	case !utf8.ValidString(req.Memo):
		return errors.New("memo is not UTF-8")
	}
	return nil
}

// LookupInvoice asks with lookup_invoice. Errors wrap ErrNotFound for an unknown hash,
// ErrLookupUnsupported where the wallet has no such call, ErrUnauthorized where the connection may
// not use it, and ErrBadAnswer where the answer is about another invoice or its preimage is wrong.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	const step = "looking up invoice"
	if err := ctx.Err(); err != nil {
		return nil, w.fail(step, err)
	}
	var t transaction
	if _, err := w.call(ctx, methodLookup, lookupParams{PaymentHash: hash.String()}, &t); err != nil {
		return nil, w.fail(step, err)
	}
	status, err := t.status(hash, w.now())
	if err != nil {
		return nil, w.fail(step, fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err))
	}
	return status, nil
}
