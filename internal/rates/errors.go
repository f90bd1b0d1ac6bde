package rates

import "errors"

// ErrNoRate is wrapped by every error of Market.Rate and Rate.Price: there is no rate that money
// should be asked for by. The errors below wrap along with it and tell why.
var ErrNoRate = errors.New("no exchange rate")

var (
	// ErrStale says that too few sources gave a rate that is new enough.
	ErrStale = errors.New("too few sources gave a fresh rate")
	// ErrDisagree says that the sources do not agree on a rate.
	ErrDisagree = errors.New("the sources disagree")
	// ErrJump says that the rate is far from the one before it and waits for confirmation.
	ErrJump = errors.New("the rate jumped")
	// ErrCurrency says that a text is not the code of a currency, or that no source is for it.
	ErrCurrency = errors.New("unknown currency")
	// ErrAmount says that a text is not an amount of money.
	ErrAmount = errors.New("bad amount")
	// ErrSource says that a source's settings or its answer cannot be used.
	ErrSource = errors.New("bad source")
)
