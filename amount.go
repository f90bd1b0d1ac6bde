package caddyl402

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/internal/rates"
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
	// fixed is the price in millisatoshi; zero where it depends on the request or on an exchange
	// rate.
	fixed lnwire.MilliSatoshi
	// fiat is a fixed price in a currency.
	fiat rates.Amount
	// currency is the unit of a number that placeholders stand for, if it is a currency.
	currency rates.Currency
	// program names the price program that is asked.
	program string
}

// readAmount reads the text of a price, such as "10 sat" or "{http.vars.sat} sat".
func readAmount(text string) (amount, error) {
	fields := strings.Fields(text)
	if len(fields) == 2 && fields[0] == "pricer" {
		return amount{program: fields[1]}, nil
	}
	if len(fields) != 2 || !isTemplate(fields[0]) {
		return readFixed(text, fields)
	}
	a := amount{number: fields[0], unit: fields[1]}
	if _, err := pricing.Parse("1", a.unit); err != nil {
		if a.currency, err = rates.ParseCurrency(a.unit); err != nil {
			return amount{}, unknownUnit(a.unit)
		}
	}
	for _, slow := range []string{"{http.request.body", "{file."} {
		if strings.Contains(a.number, slow) {
			return amount{}, fmt.Errorf("%s…} would be read for every request, paid or not: use a placeholder "+
				"of a header, the query or vars", slow)
		}
	}
	return a, nil
}

// readFixed reads a price that is the same for all requests, in bitcoin or in a currency.
func readFixed(text string, fields []string) (amount, error) {
	fixed, err := pricing.ParseText(text)
	if err == nil || len(fields) != 2 {
		return amount{fixed: fixed}, err
	}
	fiat, fiatErr := rates.ParseAmount(fields[0], fields[1])
	switch {
	case fiatErr == nil:
		return amount{fiat: fiat}, nil
	case !errors.Is(fiatErr, rates.ErrCurrency):
		return amount{}, fiatErr
	}
	if _, unitErr := pricing.Parse("1", fields[1]); unitErr != nil {
		err = unknownUnit(fields[1])
	}
	return amount{}, err
}

func unknownUnit(unit string) error {
	return fmt.Errorf("%w: unknown unit %q: use sat, msat, btc or the code of a currency such as usd", pricing.ErrAmount, unit)
}

// depends tells whether the price depends on the request.
func (a *amount) depends() bool { return a.number != "" || a.program != "" }

// ask reads what stands in the placeholders for a request, as a price in a currency.
func (a *amount) ask(r *http.Request) (rates.Amount, error) {
	number, err := a.fill(r)
	if err != nil {
		return rates.Amount{}, err
	}
	price, err := rates.ParseAmount(number, a.unit)
	if err != nil {
		return rates.Amount{}, fmt.Errorf("%w: %s is no plain number", a.fault(), a.number)
	}
	return price, nil
}

// in is the price for a request. Whatever stands in a placeholder must be a plain decimal number:
// clients may have written it.
func (a *amount) in(r *http.Request) (lnwire.MilliSatoshi, error) {
	if a.fixed > 0 {
		return a.fixed, nil
	}
	number, err := a.fill(r)
	if err != nil {
		return 0, err
	}
	price, err := pricing.Parse(number, a.unit)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is no plain number", a.fault(), a.number)
	}
	return price, nil
}

// fill puts into the placeholders what a request has for them.
func (a *amount) fill(r *http.Request) (string, error) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return "", errPriceUnknown
	}
	if strings.Contains(a.number, "{http.request.uri.query.") {
		// Replacers pass over what they cannot read, and an upstream may read it.
		if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
			return "", fmt.Errorf("%w: the query cannot be read", a.fault())
		}
	}
	// The errors of this may hold what the client sent, which no log wants.
	number, err := repl.ReplaceOrErr(a.number, true, true)
	if err != nil {
		return "", fmt.Errorf("%w: %s is empty", a.fault(), a.number)
	}
	return number, nil
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
	switch {
	case a.fixed > 0:
		return pricing.Format(a.fixed)
	case !a.fiat.IsZero():
		return a.fiat.String()
	case a.program != "":
		return "pricer " + a.program
	}
	return a.number + " " + a.unit
}
