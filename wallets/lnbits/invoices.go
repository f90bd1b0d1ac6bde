package lnbits

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// newInvoice are the parameters of an invoice. LNbits takes amounts as floating-point numbers and
// cuts what is not a whole satoshi.
type newInvoice struct {
	Out    bool   `json:"out"`
	Amount uint64 `json:"amount"`
	Unit   string `json:"unit"`
	Memo   string `json:"memo"`
	Expiry int64  `json:"expiry"`
}

// CreateInvoice makes an invoice and checks it, and that LNbits does not show its preimage. Errors
// wrap ErrAmount (also for all that is not whole satoshis), ErrUnauthorized, ErrUnavailable,
// ErrBadAnswer, ErrBadInvoice, ErrRateLimited or ErrPreimageShown.
func (w *Wallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	inv, err := w.create(ctx, req)
	if err != nil {
		return nil, w.peer.Fail("creating invoice", err)
	}
	return inv, nil
}

func (w *Wallet) create(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	if err := restpeer.CheckRequest(req); err != nil {
		return nil, err
	}
	sats, err := restpeer.WholeSats(req.Amount, "LNbits")
	if err != nil {
		return nil, err
	}
	var out struct {
		payment
		// PaymentRequest is what versions before 1.0 call Bolt11.
		PaymentRequest string `json:"payment_request"`
	}
	err = w.call(ctx, httpjson.Request{Method: http.MethodPost, Path: "api/v1/payments", JSON: newInvoice{
		Amount: sats, Unit: "sat", Memo: req.Memo, Expiry: int64(req.Expiry / time.Second),
	}}, &out)
	if err != nil {
		return nil, err
	}
	hash, err := out.hash()
	if err != nil {
		return nil, fmt.Errorf("%w: payment_hash is not a hash", wallets.ErrBadAnswer)
	}
	inv := &wallets.Invoice{PaymentRequest: out.Bolt11, PaymentHash: hash}
	if inv.PaymentRequest == "" {
		inv.PaymentRequest = out.PaymentRequest
	}
	if err := wallets.CheckInvoice(w.peer.Network(), req, inv, w.peer.Now(), nil); err != nil {
		return nil, err
	}
	if err := w.checkClosed(ctx, hash, restpeer.Proof(out.Preimage, hash) != nil); err != nil {
		return nil, err
	}
	return inv, nil
}

// looked is the answer to a look-up.
type looked struct {
	Paid     bool   `json:"paid"`
	Preimage string `json:"preimage"`
	// Details are told to the wallet's own keys only.
	Details *payment `json:"details"`
}

// look asks for the payment of a hash. Where the wallet has paid an invoice of its own, there are
// two, and LNbits tells of the one that went out.
func (w *Wallet) look(ctx context.Context, hash lntypes.Hash) (*looked, error) {
	var out looked
	if err := w.call(ctx, httpjson.Request{Path: "api/v1/payments/" + hash.String()}, &out); err != nil {
		return nil, err
	}
	if out.Details == nil {
		return nil, fmt.Errorf("%w: it tells no details: set key to the invoice key of the wallet that made the invoice",
			wallets.ErrUnauthorized)
	}
	if !isAbout(out.Details, hash) {
		return nil, fmt.Errorf("%w: it is about another payment hash", wallets.ErrBadAnswer)
	}
	return &out, nil
}

func isAbout(p *payment, hash lntypes.Hash) bool {
	got, err := p.hash()
	return err == nil && subtle.ConstantTimeCompare(got[:], hash[:]) == 1
}

// LookupInvoice asks for the payment of the hash. LNbits forgets invoices some time after they have
// expired; then it is ErrNotFound.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	st, err := w.lookup(ctx, hash)
	if err != nil {
		return nil, w.peer.Fail("looking up invoice", err)
	}
	return st, nil
}

func (w *Wallet) lookup(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	out, err := w.look(ctx, hash)
	if err != nil {
		return nil, err
	}
	p := out.Details
	if p.Amount <= 0 {
		if p, err = w.lookupIncoming(ctx, hash); err != nil {
			return nil, err
		}
	} else if out.Paid != (p.Status == stateSuccess) {
		return nil, fmt.Errorf("%w: it contradicts itself on whether the invoice is paid", wallets.ErrBadAnswer)
	}
	if p.Preimage == "" {
		p.Preimage = out.Preimage
	}
	st, err := p.incoming(hash, w.peer.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err)
	}
	return st, nil
}

// lookupIncoming finds the invoice beside a payment of the same hash that the wallet itself made.
func (w *Wallet) lookupIncoming(ctx context.Context, hash lntypes.Hash) (*payment, error) {
	var list *[]payment
	err := w.call(ctx, httpjson.Request{Path: "api/v1/payments", Query: url.Values{
		"payment_hash": {hash.String()}, "amount[gt]": {"0"},
	}}, &list)
	if err == nil && list == nil {
		err = fmt.Errorf("%w: no list of payments", wallets.ErrBadAnswer)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range *list {
		if p.Amount > 0 && isAbout(&p, hash) {
			return &p, nil
		}
	}
	return nil, fmt.Errorf("%w: the wallet has only paid it", wallets.ErrNotFound)
}
