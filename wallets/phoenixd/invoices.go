package phoenixd

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf16"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

const (
	// maxMemo is phoenixd's limit for descriptions, in units of UTF-16.
	maxMemo = 128
	// externalID marks the gate's invoices among others of the same phoenixd.
	externalID = "caddy-l402"
)

// newInvoice is the answer to createinvoice.
type newInvoice struct {
	PaymentHash string `json:"paymentHash"`
	Serialized  string `json:"serialized"`
}

// CreateInvoice makes an invoice with the external id "caddy-l402" and checks it. A memo of more
// than 128 characters is cut. Errors wrap ErrAmount (also for all that is not whole satoshis),
// ErrUnauthorized, ErrUnavailable, ErrBadAnswer, ErrBadInvoice or ErrRateLimited.
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
	sats, err := restpeer.WholeSats(req.Amount, "phoenixd")
	if err != nil {
		return nil, err
	}
	var out newInvoice
	err = w.call(ctx, httpjson.Request{Method: http.MethodPost, Path: "createinvoice", Form: url.Values{
		"amountSat":     {strconv.FormatUint(sats, 10)},
		"description":   {cut(req.Memo)},
		"expirySeconds": {strconv.FormatInt(int64(req.Expiry/time.Second), 10)},
		"externalId":    {externalID},
	}}, &out)
	if err != nil {
		return nil, err
	}
	hash, err := lntypes.MakeHashFromStr(out.PaymentHash)
	if err != nil {
		return nil, fmt.Errorf("%w: paymentHash is not a hash", wallets.ErrBadAnswer)
	}
	inv := &wallets.Invoice{PaymentRequest: out.Serialized, PaymentHash: hash}
	if err := wallets.CheckInvoice(w.peer.Network(), req, inv, w.peer.Now(), nil); err != nil {
		return nil, err
	}
	return inv, nil
}

// cut shortens a memo to what phoenixd takes.
func cut(memo string) string {
	units, end := 0, 0
	for i, r := range memo {
		units += utf16.RuneLen(r)
		if units > maxMemo {
			return memo[:end] + "…"
		}
		if units < maxMemo {
			// Here there would still be room for the mark.
			end = i + len(string(r))
		}
	}
	return memo
}

// LookupInvoice asks for the incoming payment of the hash.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	const step = "looking up invoice"
	var p incoming
	err := w.call(ctx, httpjson.Request{Path: "payments/incoming/" + hash.String()}, &p)
	if err != nil {
		return nil, w.peer.Fail(step, err)
	}
	st, err := p.status(hash)
	if err != nil {
		return nil, w.peer.Fail(step, fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err))
	}
	return st, nil
}

// incoming is a payment that came or may come, as phoenixd tells it.
type incoming struct {
	PaymentHash string `json:"paymentHash"`
	Preimage    string `json:"preimage"`
	Invoice     string `json:"invoice"`
	IsPaid      *bool  `json:"isPaid"`
	IsExpired   bool   `json:"isExpired"`
	// RequestedSat is what the invoice asks for, and ReceivedSat what is left of the payment
	// after fees for liquidity.
	RequestedSat int64 `json:"requestedSat"`
	ReceivedSat  int64 `json:"receivedSat"`
	// CompletedAt is in milliseconds.
	CompletedAt int64 `json:"completedAt"`
}

func (p *incoming) status(hash lntypes.Hash) (*wallets.Status, error) {
	got, err := lntypes.MakeHashFromStr(p.PaymentHash)
	switch {
	case err != nil || subtle.ConstantTimeCompare(got[:], hash[:]) != 1:
		return nil, errors.New("it is about another payment hash")
	case p.IsPaid == nil:
		return nil, errors.New("it does not tell whether the invoice is paid")
	}
	st := &wallets.Status{State: wallets.StatePending, PaymentRequest: p.Invoice}
	switch {
	case *p.IsPaid:
		st.State = wallets.StateSettled
		st.AmountPaid = restpeer.Msat(max(p.RequestedSat, p.ReceivedSat))
		st.SettledAt = restpeer.UnixMilli(p.CompletedAt)
		// phoenixd tells the preimage of every invoice, but it is no one's before it is paid.
		st.Preimage = restpeer.Proof(p.Preimage, hash)
	case p.IsExpired:
		st.State = wallets.StateExpired
	}
	return st, nil
}
