package client

import (
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// The reasons why an exchange ends without an answer. They are wrapped with the particulars.
var (
	// ErrRequest says that the request cannot be made as it is described.
	ErrRequest = errors.New("request not possible")
	// ErrRedirect says that the server's redirects lead nowhere.
	ErrRedirect = errors.New("redirect not possible")
	// ErrChallenge says that the server's challenge is unreadable, or that its invoice must not
	// be paid: wrong network, wrong payment hash, no amount, expired. Nothing was paid.
	ErrChallenge = errors.New("challenge not acceptable")
	// ErrTooDear says that the price is above Client.MaxPrice. Nothing was paid.
	ErrTooDear = errors.New("price above the limit")
	// ErrPayment says that paying failed, or that its end is not known. In the first case it
	// also wraps wallets.ErrPaymentFailed or wallets.ErrBadInvoice.
	ErrPayment = errors.New("payment not completed")
	// ErrRefused says that a payment was made and that the server asks for another one. The
	// token may still be good: the Result holds it.
	ErrRefused = errors.New("paid, but refused")
	// ErrTimeout says that a step took longer than Client.Timeout.
	ErrTimeout = errors.New("no answer in time")
)

// PriceError tells what is asked where that is above the limit. It wraps ErrTooDear.
type PriceError struct {
	// Price and Max are in millisatoshi.
	Price, Max lnwire.MilliSatoshi
	Network    wallets.Network
}

// Error implements error.
func (e *PriceError) Error() string {
	return fmt.Sprintf("%v: %s on %s, and at most %s are allowed", ErrTooDear,
		pricing.Format(e.Price), e.Network, pricing.Format(e.Max))
}

// Unwrap gives ErrTooDear.
func (e *PriceError) Unwrap() error { return ErrTooDear }

// Interface guards
var _ error = (*PriceError)(nil)
