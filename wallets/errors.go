package wallets

import "errors"

// The errors that adapters wrap, so that the gate and the commands can tell them apart.
var (
	// ErrNotFound says that the wallet knows no invoice with this payment hash.
	ErrNotFound = errors.New("no invoice with this payment hash")
	// ErrLookupUnsupported says that the wallet cannot look invoices up at all.
	ErrLookupUnsupported = errors.New("this wallet cannot look up invoices")
	// ErrSubscribeUnsupported says that the wallet's peer tells of no settlements.
	ErrSubscribeUnsupported = errors.New("this wallet does not tell of settlements")
	// ErrAmount says that the wallet cannot make an invoice over this amount.
	ErrAmount = errors.New("amount not possible with this wallet")
	// ErrUnauthorized says that the peer refused the credential or that it lacks a right.
	ErrUnauthorized = errors.New("credential refused by the wallet")
	// ErrUnavailable says that the peer cannot be reached or is not ready.
	ErrUnavailable = errors.New("wallet unavailable")
	// ErrRateLimited says that the peer wants fewer calls.
	ErrRateLimited = errors.New("wallet limits the rate of calls")
	// ErrBadAnswer says that the peer's answer is malformed, too large or not what was asked.
	ErrBadAnswer = errors.New("bad answer from the wallet")
	// ErrBadInvoice says that an invoice is not the one that was asked for.
	ErrBadInvoice = errors.New("invoice is not what was asked for")
	// ErrPaymentFailed says that a payment was tried and failed for good; no money left.
	ErrPaymentFailed = errors.New("payment failed")
)
