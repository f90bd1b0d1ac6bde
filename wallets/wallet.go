package wallets

import (
	"context"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// Wallet makes invoices and tells whether they were paid. It is safe for concurrent use.
//
// Obligations of an implementation:
//
//   - Every method returns soon after its context ends, with an error that wraps ctx.Err().
//   - A method never panics on what the other side says and reads a bounded amount of it.
//   - Errors name the peer and the step and hold no secret: no macaroon, password, rune,
//     preimage or connection URI.
//   - A lost connection is made again by the wallet itself; no error is for ever.
//   - The wallet is not trusted: the gate checks each invoice with CheckInvoice, whatever the
//     adapter checked before.
type Wallet interface {
	// CreateInvoice makes a new invoice with a payment hash that was never used before.
	CreateInvoice(ctx context.Context, req InvoiceRequest) (*Invoice, error)

	// LookupInvoice tells the state of an invoice of this wallet. It returns ErrNotFound for
	// a hash that the wallet does not know, and ErrLookupUnsupported when the wallet has no
	// such call at all.
	LookupInvoice(ctx context.Context, hash lntypes.Hash) (*Status, error)
}

// InvoiceRequest says what invoice is wanted.
type InvoiceRequest struct {
	// Amount is in millisatoshi and greater than zero. A wallet that can only do whole
	// satoshis returns ErrAmount for anything else; it never rounds.
	Amount lnwire.MilliSatoshi
	// Memo becomes the invoice's description: UTF-8, at most MaxMemo bytes. An adapter whose
	// peer cannot set a description ignores it.
	Memo string
	// Expiry is how long the invoice can be paid, in whole seconds, at least one second.
	Expiry time.Duration
}

// MaxMemo is the greatest length of a memo in bytes (BOLT 11 allows 639).
const MaxMemo = 639

// Invoice is a payment request as the wallet gave it, with the facts it claims.
type Invoice struct {
	// PaymentRequest is the text that the payer's wallet takes: BOLT 11 ("lnbc…") or, from a
	// bolt12 wallet, a BOLT 12 invoice ("lni…").
	PaymentRequest string
	// PaymentHash is the SHA-256 of the preimage that the payer learns by paying.
	PaymentHash lntypes.Hash
	// Amount is in millisatoshi.
	Amount lnwire.MilliSatoshi
	// ExpiresAt is when the invoice can no longer be paid.
	ExpiresAt time.Time
	// Offer is the BOLT 12 offer ("lno…") that the invoice was fetched from, or empty.
	Offer string
}

// State is where an invoice stands.
type State int

const (
	// StatePending can still be paid, or the payment is on its way.
	StatePending State = iota + 1
	// StateAccepted is a hold invoice whose payment is locked in and not yet settled.
	StateAccepted
	// StateSettled is paid for good.
	StateSettled
	// StateExpired was not paid in time.
	StateExpired
	// StateCanceled was withdrawn.
	StateCanceled
)

// String gives the state's name in lower case.
func (s State) String() string {
	switch s {
	case StatePending:
		return "pending"
	case StateAccepted:
		return "accepted"
	case StateSettled:
		return "settled"
	case StateExpired:
		return "expired"
	case StateCanceled:
		return "canceled"
	}
	return "unknown"
}

// Status is what a wallet says of one of its invoices.
type Status struct {
	State State
	// PaymentRequest is the invoice's text where the peer tells it, else empty.
	PaymentRequest string
	// AmountPaid is what arrived, in millisatoshi; zero unless settled or accepted.
	AmountPaid lnwire.MilliSatoshi
	// SettledAt is when it was settled; zero where unknown.
	SettledAt time.Time
	// Preimage is nil where the peer does not tell it. Adapters return one only if its
	// SHA-256 is the payment hash that was asked for.
	Preimage *lntypes.Preimage
}

// Settlement is one invoice's payment, as a Subscriber reports it.
type Settlement struct {
	PaymentHash lntypes.Hash
	// AmountPaid is in millisatoshi.
	AmountPaid lnwire.MilliSatoshi
	SettledAt  time.Time
	// Cursor names the place after this settlement in the wallet's own order (LND's settle
	// index, CLN's pay index, …). Its form is the adapter's own.
	Cursor string
}

// Subscriber is a Wallet that tells of settlements as they happen.
type Subscriber interface {
	// SubscribeSettlements calls found for each settlement after the cursor, one at a time
	// and in order, until ctx ends; then it returns ctx.Err(). The empty cursor means from
	// now on. It reconnects by itself and resumes where it was, so that a settlement may be
	// told twice but none is lost while the peer remembers it. Any other error is returned
	// only where trying again cannot help (no permission, no such call).
	SubscribeSettlements(ctx context.Context, cursor string, found func(Settlement)) error
}

// HoldInvoicer is a Wallet that can lock a payment in before it takes it.
type HoldInvoicer interface {
	// CreateHoldInvoice makes an invoice for a preimage that the caller knows.
	CreateHoldInvoice(ctx context.Context, hash lntypes.Hash, req InvoiceRequest) (*Invoice, error)
	// SettleHoldInvoice takes an accepted payment.
	SettleHoldInvoice(ctx context.Context, preimage lntypes.Preimage) error
	// CancelHoldInvoice gives an accepted payment back, or withdraws the invoice.
	CancelHoldInvoice(ctx context.Context, hash lntypes.Hash) error
}

// Payer is a Wallet that can pay. The gate never pays; the client commands and upstream
// purchases do.
type Payer interface {
	// Pay pays a BOLT 11 invoice with a routing fee of at most maxFee and returns the
	// preimage, whose SHA-256 is the invoice's payment hash.
	Pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error)
}

// FeePayer is a Payer that tells what routing cost.
type FeePayer interface {
	Payer
	// PayWithFee is Pay and also returns the fee, in millisatoshi.
	PayWithFee(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, lnwire.MilliSatoshi, error)
}

// Pinger is a Wallet that can tell whether its peer answers, with no more permission than
// making an invoice needs and without making one.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Describer is a Wallet that can say in a few words what its credential allows. The words hold
// no secret.
type Describer interface {
	// Permissions lists what the credential allows, in the peer's own terms.
	Permissions(ctx context.Context) ([]string, error)
}

// Payee is a Wallet that knows which node signs its invoices, such as one whose configuration
// names it.
type Payee interface {
	// Payee returns the node's compressed public key, or nil while it is not known.
	Payee() *[33]byte
}

// Recaller is a Wallet that may learn that an invoice of its own is not worth paying any more,
// such as one that stands for several nodes of which one went down. Invoices that were made
// beforehand and that nobody has seen are dropped then.
type Recaller interface {
	// Recalled tells whether an invoice should not be shown any more. It asks nobody.
	Recalled(hash lntypes.Hash) bool
}
