package redeem

import "errors"

// The errors of this package, besides those of packages purse, mint and wallets.
var (
	// ErrStore says that the state could not be read or written. Nothing is lost.
	ErrStore = errors.New("storing the redemption")
	// ErrBusy says that another call, or another instance of Caddy, redeems at the moment.
	ErrBusy = errors.New("a redemption is under way")
	// ErrTooLittle says that a purse holds less than the smallest invoice and its fee.
	ErrTooLittle = errors.New("too little to redeem")
	// ErrTarget says that the target gave no good invoice.
	ErrTarget = errors.New("making an invoice to redeem into")
	// ErrInFlight says that the mint has not told yet how a payment ended.
	ErrInFlight = errors.New("the payment is in flight")
	// ErrFailed says that an invoice was not paid and that the ecash is back.
	ErrFailed = errors.New("redeeming")
)
