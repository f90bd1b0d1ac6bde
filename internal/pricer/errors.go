package pricer

import "errors"

// ErrNoPrice is wrapped by every error of Program.Price.
var ErrNoPrice = errors.New("no price")

var (
	// ErrAnswer says that the program answered something else than a price.
	ErrAnswer = errors.New("unusable answer")
	// ErrFree says that the program gave zero as the price.
	ErrFree = errors.New("the price is zero")
	// ErrQuestion says that the program cannot be asked about a request: it is too long, or is
	// not text.
	ErrQuestion = errors.New("the request is too long or no text")
	// ErrBusy says that as many questions as possible are under way.
	ErrBusy = errors.New("too many questions at once")
)
