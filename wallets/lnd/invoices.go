package lnd

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
)

// LND's own bounds on invoices. Asking within them makes the refusal clear and spares a call.
const (
	maxAmount = lnwire.MilliSatoshi(100_000 * 100_000_000 * 1000)
	maxExpiry = 365 * 24 * time.Hour
)

// CreateInvoice makes an invoice with AddInvoice (needs invoices:write) and checks it. Errors
// wrap ErrAmount, ErrUnauthorized, ErrUnavailable, ErrBadAnswer or ErrBadInvoice.
func (c *Client) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	const step = "creating invoice"
	if err := checkRequest(req); err != nil {
		return nil, c.fail(step, err)
	}
	opts := c.opts.Load()
	in := &rpc.InvoiceRequest{
		Memo:      req.Memo,
		Expiry:    int64(req.Expiry / time.Second),
		ValueMsat: int64(req.Amount),
		Private:   opts.Private,
	}
	var out rpc.AddInvoiceResponse
	if err := c.call(ctx, step, rpc.MethodAddInvoice, in, &out); err != nil {
		return nil, err
	}
	hash, err := lntypes.MakeHash(out.RHash)
	if err != nil {
		return nil, c.fail(step, fmt.Errorf("%w: payment hash: %w", wallets.ErrBadAnswer, err))
	}
	return c.checked(step, opts.Network, hash, req, out.PaymentRequest)
}

// CreateHoldInvoice makes an invoice over a hash of the caller's with AddHoldInvoice (needs
// invoices:write). Errors are those of CreateInvoice.
func (c *Client) CreateHoldInvoice(ctx context.Context, hash lntypes.Hash, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	const step = "creating hold invoice"
	if err := checkRequest(req); err != nil {
		return nil, c.fail(step, err)
	}
	opts := c.opts.Load()
	in := &rpc.AddHoldInvoiceRequest{
		Memo:      req.Memo,
		Hash:      hash[:],
		Expiry:    int64(req.Expiry / time.Second),
		ValueMsat: int64(req.Amount),
		Private:   opts.Private,
	}
	var out rpc.AddHoldInvoiceResp
	if err := c.call(ctx, step, rpc.MethodAddHoldInvoice, in, &out); err != nil {
		return nil, err
	}
	return c.checked(step, opts.Network, hash, req, out.PaymentRequest)
}

// SettleHoldInvoice takes an accepted payment with SettleInvoice (needs invoices:write). It
// succeeds again for a settled invoice. Errors wrap ErrNotFound for an unknown hash.
func (c *Client) SettleHoldInvoice(ctx context.Context, preimage lntypes.Preimage) error {
	in := &rpc.SettleInvoiceMsg{Preimage: preimage[:]}
	return c.call(ctx, "settling hold invoice", rpc.MethodSettleInvoice, in, &rpc.SettleInvoiceResp{})
}

// CancelHoldInvoice gives a payment back or withdraws the invoice with CancelInvoice (needs
// invoices:write). It succeeds again for a canceled invoice and fails for a settled one.
func (c *Client) CancelHoldInvoice(ctx context.Context, hash lntypes.Hash) error {
	in := &rpc.CancelInvoiceMsg{PaymentHash: hash[:]}
	return c.call(ctx, "canceling hold invoice", rpc.MethodCancelInvoice, in, &rpc.CancelInvoiceResp{})
}

// LookupInvoice asks with LookupInvoice (needs invoices:read). A preimage is told only for a
// settled invoice, although LND tells its own before: until it is paid it is nobody's business.
func (c *Client) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	const step = "looking up invoice"
	var inv rpc.Invoice
	if err := c.call(ctx, step, rpc.MethodLookupInvoice, &rpc.PaymentHash{RHash: hash[:]}, &inv); err != nil {
		return nil, err
	}
	status, err := readStatus(&inv, hash, c.now())
	if err != nil {
		return nil, c.fail(step, fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err))
	}
	return status, nil
}

func readStatus(inv *rpc.Invoice, hash lntypes.Hash, now time.Time) (*wallets.Status, error) {
	if subtle.ConstantTimeCompare(inv.RHash, hash[:]) != 1 {
		return nil, errors.New("it is about another payment hash")
	}
	if inv.AmtPaidMsat < 0 {
		return nil, errors.New("negative amount")
	}
	s := &wallets.Status{PaymentRequest: inv.PaymentRequest}
	switch inv.State {
	case rpc.InvoiceState_OPEN:
		s.State = wallets.StatePending
	case rpc.InvoiceState_ACCEPTED:
		s.State = wallets.StateAccepted
		s.AmountPaid = lnwire.MilliSatoshi(inv.AmtPaidMsat)
	case rpc.InvoiceState_SETTLED:
		s.State = wallets.StateSettled
		s.AmountPaid = lnwire.MilliSatoshi(inv.AmtPaidMsat)
		s.SettledAt = unixTime(inv.SettleDate)
		if p, err := lntypes.MakePreimage(inv.RPreimage); err == nil && p.Matches(hash) {
			s.Preimage = &p
		}
	case rpc.InvoiceState_CANCELED:
		// LND itself cancels what was not paid in time.
		s.State = wallets.StateCanceled
		if inv.Expiry > 0 && inv.Expiry <= math.MaxInt64-max(inv.CreationDate, 0) &&
			now.Unix() >= inv.CreationDate+inv.Expiry {
			s.State = wallets.StateExpired
		}
	default:
		return nil, fmt.Errorf("unknown state %d", inv.State)
	}
	return s, nil
}

func unixTime(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// checkRequest refuses what LND would refuse, or worse, take otherwise than meant: it makes an
// invoice without amount from 0 and one of a day from an expiry of 0.
func checkRequest(req wallets.InvoiceRequest) error {
	switch {
	case req.Amount == 0:
		return fmt.Errorf("%w: it must be more than 0 msat", wallets.ErrAmount)
	case req.Amount > maxAmount:
		return fmt.Errorf("%w: %d msat is more than LND's limit of %d msat",
			wallets.ErrAmount, uint64(req.Amount), uint64(maxAmount))
	case req.Expiry < time.Second || req.Expiry > maxExpiry:
		return fmt.Errorf("expiry %s is not between 1s and %s", req.Expiry, maxExpiry)
	case len(req.Memo) > wallets.MaxMemo:
		return fmt.Errorf("memo has %d bytes: at most %d are possible", len(req.Memo), wallets.MaxMemo)
	case !utf8.ValidString(req.Memo):
		return errors.New("memo is not UTF-8")
	}
	return nil
}

// checked puts the invoice together and checks that it is the one asked for.
func (c *Client) checked(step string, net wallets.Network, hash lntypes.Hash, req wallets.InvoiceRequest, text string) (*wallets.Invoice, error) {
	inv := &wallets.Invoice{PaymentRequest: text, PaymentHash: hash}
	if err := wallets.CheckInvoice(net, req, inv, c.now(), nil); err != nil {
		return nil, c.fail(step, err)
	}
	return inv, nil
}
