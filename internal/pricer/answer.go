package pricer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/internal/rates"
)

// Price is what a request costs. Either Msat is set or Fiat.
type Price struct {
	// Msat is the price in millisatoshi.
	Msat lnwire.MilliSatoshi
	// Fiat is the price in a currency.
	Fiat rates.Amount
}

// String is the price with its unit.
func (p Price) String() string {
	if p.Msat > 0 {
		return pricing.Format(p.Msat)
	}
	return p.Fiat.String()
}

// ParsePrice reads a price with its unit: "10 sat", "0.02 usd". Zero is ErrFree.
func ParsePrice(text string) (Price, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return Price{}, fmt.Errorf("%q is not a number and a unit, like \"10 sat\" or \"0.02 usd\"", short(text))
	}
	if isZero(fields[0]) {
		return Price{}, ErrFree
	}
	fiat, err := rates.ParseAmount(fields[0], fields[1])
	switch {
	case err == nil:
		return Price{Fiat: fiat}, nil
	case !errors.Is(err, rates.ErrCurrency):
		return Price{}, fmt.Errorf("%q is not an amount", short(text))
	}
	msat, err := pricing.Parse(fields[0], fields[1])
	if err != nil {
		return Price{}, fmt.Errorf("%q is not an amount in sat, msat, btc or a currency", short(text))
	}
	return Price{Msat: msat}, nil
}

// isZero tells whether a number is one of the ways to write zero.
func isZero(number string) bool {
	return number != "" && strings.Trim(number, "0.") == "" && strings.Trim(number, ".") == number && strings.Count(number, ".") <= 1
}

// short cuts what a program said for logs.
func short(text string) string {
	if len(text) > 64 {
		return strings.ToValidUTF8(text[:64], "") + "…"
	}
	return text
}

// readAnswer reads what a program answered over HTTP.
func readAnswer(content []byte) (Price, error) {
	var answer struct {
		Price *string `json:"price"`
	}
	if err := json.Unmarshal(content, &answer); err != nil {
		return Price{}, errors.New("it is no JSON object with the price as a string")
	}
	if answer.Price == nil {
		return Price{}, errors.New("it has no price")
	}
	return ParsePrice(*answer.Price)
}

// readSats reads what a program answered over gRPC.
func readSats(sats int64) (Price, error) {
	switch {
	case sats == 0:
		return Price{}, ErrFree
	case sats < 0 || sats > int64(pricing.MaxAmount/1000):
		return Price{}, fmt.Errorf("%d sat is not an amount", sats)
	}
	return Price{Msat: lnwire.MilliSatoshi(sats) * 1000}, nil
}
