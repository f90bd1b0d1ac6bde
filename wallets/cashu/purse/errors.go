package purse

import "errors"

// The errors of this package, besides those of packages token, mint and wallets.
var (
	// ErrNotFound is what a Store says where there is no value, and a Purse where there is no
	// such operation.
	ErrNotFound = errors.New("not found")
	// ErrStore says that the store failed. Nothing is lost: the operation goes on when it is
	// repeated or resumed.
	ErrStore = errors.New("storing ecash")
	// ErrForeignMint says that a token is of another mint than the purse.
	ErrForeignMint = errors.New("ecash of another mint")
	// ErrTooLittle says that ecash is worth less than what is asked for.
	ErrTooLittle = errors.New("not enough ecash")
	// ErrSpent says that ecash was spent before, or that it is part of another payment here.
	ErrSpent = errors.New("ecash already spent")
	// ErrUnsettled says that the mint has not told how an operation ended. The same call may
	// be made again; Resume ends it otherwise.
	ErrUnsettled = errors.New("the mint has not confirmed yet")
	// ErrDisputed says that the mint took the inputs and gave no good ecash for them. The
	// record stays for the operator.
	ErrDisputed = errors.New("the mint took ecash and gave none for it")
	// ErrBound says that too much ecash, or too old, waits for being swapped.
	ErrBound = errors.New("too much unswapped ecash")
	// ErrFee says that a fee is above what the caller allows.
	ErrFee = errors.New("fee too high")
	// ErrPaymentFailed says that an invoice was not paid, and that the ecash is back.
	ErrPaymentFailed = errors.New("payment failed")
	// ErrBills says that too many invoices wait for being paid.
	ErrBills = errors.New("too many unpaid invoices")
	// ErrNotPaid says that the invoice of a quote is not paid.
	ErrNotPaid = errors.New("invoice not paid yet")
)
