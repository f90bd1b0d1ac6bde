package cln

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxAmount is all bitcoin there is.
	maxAmount = lnwire.MilliSatoshi(21_000_000 * 100_000_000 * 1000)
	maxExpiry = 365 * 24 * time.Hour
	// labelTries is how often an invoice is tried with a new label after the node said that
	// the label is taken.
	labelTries = 3
)

// CreateInvoice makes an invoice with the command invoice, under a random label that begins with
// "l402-", and checks it. Control characters in the memo that Core Lightning cannot take become
// blanks. Errors wrap ErrAmount, ErrUnauthorized, ErrUnavailable, ErrBadAnswer, ErrBadInvoice,
// ErrRateLimited or ErrRefused.
func (c *Client) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	const step = "creating invoice"
	if err := checkRequest(req); err != nil {
		return nil, c.fail(step, err)
	}
	opts := c.opts.Load()
	in := invoiceParams{
		Amount:      uint64(req.Amount),
		Description: printable(req.Memo),
		Expiry:      uint64(req.Expiry / time.Second),
		Private:     opts.Private,
	}
	var out newInvoice
	var err error
	for range labelTries {
		in.Label = c.label()
		err = c.call(ctx, step, "invoice", in, &out, 0)
		if code(err) != codeLabelExists {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	hash, err := lntypes.MakeHashFromStr(out.PaymentHash)
	if err != nil {
		return nil, c.fail(step, fmt.Errorf("%w: payment_hash is not a hash", wallets.ErrBadAnswer))
	}
	inv := &wallets.Invoice{PaymentRequest: out.Bolt11, PaymentHash: hash}
	if err := wallets.CheckInvoice(opts.Network, req, inv, c.now(), nil); err != nil {
		return nil, c.fail(step, err)
	}
	c.warn(out.warning())
	return inv, nil
}

// invoiceParams are the parameters of the command invoice.
type invoiceParams struct {
	Amount      uint64 `json:"amount_msat"`
	Label       string `json:"label"`
	Description string `json:"description"`
	Expiry      uint64 `json:"expiry"`
	Private     bool   `json:"exposeprivatechannels,omitempty"`
}

// newInvoice is the result of the command invoice.
type newInvoice struct {
	Bolt11      string `json:"bolt11"`
	PaymentHash string `json:"payment_hash"`
	// The node warns that it may not be able to receive the payment.
	Capacity      string `json:"warning_capacity"`
	Offline       string `json:"warning_offline"`
	DeadEnds      string `json:"warning_deadends"`
	PrivateUnused string `json:"warning_private_unused"`
}

// warning says in own words what the node warns of, or nothing.
func (n *newInvoice) warning() string {
	switch {
	case n.PrivateUnused != "":
		return "the channels that could receive it are unpublished: set private"
	case n.Offline != "":
		return "the channels that could receive it are offline"
	case n.DeadEnds != "":
		return "the channels that could receive it are dead ends"
	case n.Capacity != "":
		return "no channel has the capacity to receive it"
	}
	return ""
}

// warn logs a warning about an invoice, at most once a minute.
func (c *Client) warn(text string) {
	if text == "" {
		return
	}
	now, last := c.now().Unix(), c.warned.Load()
	if now-last < 60 || !c.warned.CompareAndSwap(last, now) {
		return
	}
	c.logger().Warn("invoice may not be payable", zap.String("peer", c.peer), zap.String("reason", text))
}

// checkRequest refuses what the node would refuse, or worse, take otherwise than meant.
func checkRequest(req wallets.InvoiceRequest) error {
	switch {
	case req.Amount == 0:
		return fmt.Errorf("%w: it must be more than 0 msat", wallets.ErrAmount)
	case req.Amount > maxAmount:
		return fmt.Errorf("%w: %d msat is more than all bitcoin", wallets.ErrAmount, uint64(req.Amount))
	case req.Expiry < time.Second || req.Expiry > maxExpiry:
		return fmt.Errorf("expiry %s is not between 1s and %s", req.Expiry, maxExpiry)
	case len(req.Memo) > wallets.MaxMemo:
		return fmt.Errorf("memo has %d bytes: at most %d are possible", len(req.Memo), wallets.MaxMemo)
	case !utf8.ValidString(req.Memo):
		return errors.New("memo is not UTF-8")
	}
	return nil
}

// printable replaces the characters that JSON can only write with \u, which Core Lightning refuses.
func printable(memo string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && !strings.ContainsRune("\b\t\n\f\r", r) {
			return ' '
		}
		return r
	}, memo)
}

// randomLabel makes a label that no other invoice of the node has.
func randomLabel() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return "l402-" + hex.EncodeToString(b[:])
}

// LookupInvoice asks with the command listinvoices, by payment hash. It finds the invoices of
// offers as well.
func (c *Client) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	const step = "looking up invoice"
	inv, err := c.list(ctx, step, hash)
	if err != nil {
		return nil, err
	}
	if inv == nil {
		return nil, c.fail(step, wallets.ErrNotFound)
	}
	status, err := inv.status(hash)
	if err != nil {
		return nil, c.fail(step, fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err))
	}
	return status, nil
}

// list asks for the invoice with the hash; it gives nil where there is none.
func (c *Client) list(ctx context.Context, step string, hash lntypes.Hash) (*invoice, error) {
	in := struct {
		PaymentHash string `json:"payment_hash"`
	}{hash.String()}
	var out struct {
		Invoices *[]invoice `json:"invoices"`
	}
	if err := c.call(ctx, step, "listinvoices", in, &out, 0); err != nil {
		return nil, err
	}
	switch {
	// Something else than an empty list is no proof that there is no such invoice.
	case out.Invoices == nil:
		return nil, c.fail(step, fmt.Errorf("%w: no list of invoices", wallets.ErrBadAnswer))
	case len(*out.Invoices) == 0:
		return nil, nil
	case len(*out.Invoices) > 1:
		return nil, c.fail(step, fmt.Errorf("%w: several invoices of one payment hash", wallets.ErrBadAnswer))
	}
	return &(*out.Invoices)[0], nil
}

// invoice is an entry of listinvoices and the result of waitanyinvoice.
type invoice struct {
	PaymentHash string `json:"payment_hash"`
	Status      string `json:"status"`
	Bolt11      string `json:"bolt11"`
	Bolt12      string `json:"bolt12"`
	PayIndex    uint64 `json:"pay_index"`
	Received    msat   `json:"amount_received_msat"`
	PaidAt      uint64 `json:"paid_at"`
	Preimage    string `json:"payment_preimage"`
}

func (i *invoice) status(hash lntypes.Hash) (*wallets.Status, error) {
	got, err := lntypes.MakeHashFromStr(i.PaymentHash)
	if err != nil || subtle.ConstantTimeCompare(got[:], hash[:]) != 1 {
		return nil, errors.New("it is about another payment hash")
	}
	s := &wallets.Status{PaymentRequest: i.Bolt11}
	if s.PaymentRequest == "" {
		s.PaymentRequest = i.Bolt12
	}
	switch i.Status {
	case "unpaid":
		s.State = wallets.StatePending
	case "expired":
		s.State = wallets.StateExpired
	case "paid":
		s.State = wallets.StateSettled
		s.AmountPaid = lnwire.MilliSatoshi(i.Received)
		s.SettledAt = unixTime(i.PaidAt)
		if p, err := lntypes.MakePreimageFromStr(i.Preimage); err == nil && p.Matches(hash) {
			s.Preimage = &p
		}
	default:
		return nil, errors.New("unknown status")
	}
	return s, nil
}

func unixTime(seconds uint64) time.Time {
	// Beyond 2^40 seconds, 34,000 years, sums of times get near their limits.
	if seconds == 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// msat is an amount in millisatoshi: a number, or from nodes before v23.05 a text such as
// "1000msat".
type msat uint64

// UnmarshalJSON implements json.Unmarshaler.
func (m *msat) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		text = strings.TrimSuffix(text, "msat")
	}
	if text == "null" {
		return nil
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v > math.MaxInt64 {
		return errors.New("an amount is not a number of millisatoshi")
	}
	*m = msat(v)
	return nil
}

var _ json.Unmarshaler = (*msat)(nil)
