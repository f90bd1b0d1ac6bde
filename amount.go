package caddyl402

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// The reasons why a request has no price. None of them is answered for free.
var (
	// errPriceUnknown says that the operator's side gives no price now.
	errPriceUnknown = errors.New("the price of this request is not known")
	// errPriceRefused says that the client itself named the price, and one that is not sold at.
	errPriceRefused = errors.New("the price that the request names is refused")
	// errAmbiguous says that an upstream may read the request as one that has another price.
	errAmbiguous = errors.New("the address can be read as one with another price")
)

// amount is a price as the configuration has it: a number, which placeholders may stand for, and
// a unit.
type amount struct {
	number, unit string
	// fixed is the price in millisatoshi; zero where it depends on the request.
	fixed lnwire.MilliSatoshi
}

// readAmount reads the text of a price, such as "10 sat" or "{http.vars.sat} sat".
func readAmount(text string) (amount, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 || !isTemplate(fields[0]) {
		fixed, err := pricing.ParseText(text)
		return amount{fixed: fixed}, err
	}
	a := amount{number: fields[0], unit: fields[1]}
	if _, err := pricing.Parse("1", a.unit); err != nil {
		return amount{}, err
	}
	for _, slow := range []string{"{http.request.body", "{file."} {
		if strings.Contains(a.number, slow) {
			return amount{}, fmt.Errorf("%s…} would be read for every request, paid or not: use a placeholder "+
				"of a header, the query or vars", slow)
		}
	}
	return a, nil
}

// depends tells whether the price depends on the request.
func (a *amount) depends() bool { return a.fixed == 0 }

// in is the price for a request. Whatever stands in a placeholder must be a plain decimal number:
// clients may have written it.
func (a *amount) in(r *http.Request) (lnwire.MilliSatoshi, error) {
	if a.fixed > 0 {
		return a.fixed, nil
	}
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return 0, errPriceUnknown
	}
	// The errors of these two may hold what the client sent, which no log wants.
	number, err := repl.ReplaceOrErr(a.number, true, true)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is empty", a.fault(), a.number)
	}
	price, err := pricing.Parse(number, a.unit)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is no plain number", a.fault(), a.number)
	}
	return price, nil
}

// fault is whose fault it is when a placeholder gives no good price.
func (a *amount) fault() error {
	if strings.Contains(a.number, "{http.request.") {
		return errPriceRefused
	}
	return errPriceUnknown
}

// String is the price in the words of the configuration.
func (a *amount) String() string {
	if a.fixed > 0 {
		return pricing.Format(a.fixed)
	}
	return a.number + " " + a.unit
}
