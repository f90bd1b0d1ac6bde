package eclair

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// invoice is a payment request as Eclair tells it.
type invoice struct {
	Serialized  string `json:"serialized"`
	PaymentHash string `json:"paymentHash"`
}

// CreateInvoice makes an invoice with createinvoice and checks it. Errors wrap ErrAmount,
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
	w.lives(req.Expiry)
	form := url.Values{
		"amountMsat":  {strconv.FormatUint(uint64(req.Amount), 10)},
		"description": {req.Memo},
		"expireIn":    {strconv.FormatInt(int64(req.Expiry/time.Second), 10)},
	}
	if channels := *w.channels.Load(); channels != "" {
		form.Set("privateChannelIds", channels)
	}
	var out invoice
	if err := w.call(ctx, "createinvoice", form, &out); err != nil {
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

// LookupInvoice asks with getreceivedinfo.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	const step = "looking up invoice"
	var r received
	if err := w.call(ctx, "getreceivedinfo", url.Values{"paymentHash": {hash.String()}}, &r); err != nil {
		return nil, w.peer.Fail(step, err)
	}
	st, err := r.read(hash)
	if err != nil {
		return nil, w.peer.Fail(step, fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err))
	}
	return st, nil
}

// received is a payment that came or may come: the answer to getreceivedinfo and an entry of
// listreceivedpayments.
type received struct {
	Invoice  invoice `json:"invoice"`
	Preimage string  `json:"paymentPreimage"`
	Status   struct {
		Type string `json:"type"`
		// Amount is in millisatoshi.
		Amount     uint64 `json:"amount"`
		ReceivedAt stamp  `json:"receivedAt"`
	} `json:"status"`
}

func (r *received) read(hash lntypes.Hash) (*wallets.Status, error) {
	got, err := lntypes.MakeHashFromStr(r.Invoice.PaymentHash)
	if err != nil || subtle.ConstantTimeCompare(got[:], hash[:]) != 1 {
		return nil, errors.New("it is about another payment hash")
	}
	st := &wallets.Status{PaymentRequest: r.Invoice.Serialized}
	switch r.Status.Type {
	case "pending":
		st.State = wallets.StatePending
	case "expired":
		st.State = wallets.StateExpired
	case "received":
		if r.Status.Amount > math.MaxInt64 {
			return nil, errors.New("an amount is none")
		}
		st.State = wallets.StateSettled
		st.AmountPaid = lnwire.MilliSatoshi(r.Status.Amount)
		st.SettledAt = time.Time(r.Status.ReceivedAt)
		// Eclair tells the preimage of every invoice, but it is no one's before it is paid.
		st.Preimage = restpeer.Proof(r.Preimage, hash)
	default:
		return nil, errors.New("unknown status")
	}
	return st, nil
}

// stamp is a point in time: an object with the text iso, to the millisecond, and the number unix, in
// seconds. What cannot be read is the zero time, since no answer is worth refusing for it.
type stamp time.Time

// UnmarshalJSON implements json.Unmarshaler.
func (s *stamp) UnmarshalJSON(b []byte) error {
	*s = stamp{}
	var in struct {
		ISO  string `json:"iso"`
		Unix int64  `json:"unix"`
	}
	if json.Unmarshal(b, &in) != nil {
		return nil
	}
	if t, err := time.Parse(time.RFC3339Nano, in.ISO); err == nil {
		*s = stamp(t)
	} else if in.Unix > 0 && in.Unix < 1<<40 {
		*s = stamp(time.Unix(in.Unix, 0))
	}
	return nil
}

var _ json.Unmarshaler = (*stamp)(nil)
