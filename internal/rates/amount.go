package rates

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// maxDigits bounds the number of an amount as it is written.
const maxDigits = 32

// Amount is an amount of money in a currency. The zero Amount is none.
type Amount struct {
	currency Currency
	text     string
	value    *big.Rat
}

// ParseAmount reads a number and the code of a currency, such as "0.02" and "usd". The amount must
// be greater than zero. Errors wrap ErrAmount or ErrCurrency.
func ParseAmount(number, currency string) (Amount, error) {
	code, err := ParseCurrency(currency)
	if err != nil {
		return Amount{}, err
	}
	value, err := parseDecimal(number, false)
	if err != nil || len(number) > maxDigits {
		return Amount{}, fmt.Errorf("%w: %q is not a number like 10 or 0.02", ErrAmount, number)
	}
	if value.Sign() == 0 {
		return Amount{}, fmt.Errorf("%w: a price must be more than zero: leave the route without l402 to make it free", ErrAmount)
	}
	return Amount{code, canonical(number), value}, nil
}

// ParseAmountText reads an amount in one string with a blank between number and currency, such as
// "0.02 usd". Errors are those of ParseAmount.
func ParseAmountText(s string) (Amount, error) {
	fields := strings.Fields(s)
	if len(fields) != 2 {
		return Amount{}, fmt.Errorf("%w: %q is not a number and a currency, like \"0.02 usd\"", ErrAmount, s)
	}
	return ParseAmount(fields[0], fields[1])
}

// canonical writes a number without zeros that say nothing, so that equal amounts have equal texts.
func canonical(number string) string {
	number = strings.TrimLeft(number, "0")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	if number == "" || number[0] == '.' {
		number = "0" + number
	}
	return number
}

// IsZero tells whether there is no amount.
func (a Amount) IsZero() bool { return a.value == nil }

// Currency is what the amount is counted in.
func (a Amount) Currency() Currency { return a.currency }

// Number is the decimal number of the amount, such as "0.02". Equal amounts have equal numbers.
func (a Amount) Number() string { return a.text }

// String writes number and currency: "0.02 USD". Equal amounts have equal texts; it is empty for
// the zero Amount.
func (a Amount) String() string {
	if a.IsZero() {
		return ""
	}
	return a.text + " " + string(a.currency)
}

// Cmp compares two amounts of one currency as big.Rat.Cmp does. Which of two amounts of different
// currencies is greater depends on the time, so that it panics for those.
func (a Amount) Cmp(b Amount) int {
	if a.currency != b.currency {
		panic("comparing amounts of different currencies")
	}
	return a.value.Cmp(b.value)
}

// Units that prices are rounded up to. Not every wallet can make invoices of parts of a satoshi,
// and ecash has none.
const (
	WholeSat  = lnwire.MilliSatoshi(1000)
	WholeMsat = lnwire.MilliSatoshi(1)
)

// msatPerBTC is the worth of a bitcoin in millisatoshi.
var msatPerBTC = big.NewRat(100_000_000_000, 1)

// Price is the amount in millisatoshi at this rate, rounded up to a whole number of units: WholeSat
// or WholeMsat. Errors wrap ErrNoRate.
func (r Rate) Price(a Amount, unit lnwire.MilliSatoshi) (lnwire.MilliSatoshi, error) {
	if a.IsZero() || a.currency != r.Currency || r.PerBTC == nil || unit == 0 {
		return 0, fmt.Errorf("%w: %s is not an amount for a rate of %s", ErrNoRate, a, r.Currency)
	}
	exact := new(big.Rat).Mul(a.value, msatPerBTC)
	exact.Quo(exact, r.PerBTC)
	exact.Quo(exact, new(big.Rat).SetUint64(uint64(unit)))
	units, rest := new(big.Int).QuoRem(exact.Num(), exact.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		units.Add(units, big.NewInt(1))
	}
	msat := units.Mul(units, new(big.Int).SetUint64(uint64(unit)))
	if msat.Cmp(new(big.Int).SetUint64(uint64(pricing.MaxAmount))) > 0 {
		return 0, fmt.Errorf("%w: %s is more than all bitcoins", ErrNoRate, a)
	}
	return lnwire.MilliSatoshi(msat.Uint64()), nil
}

// Worth writes about what an amount of millisatoshi is worth at this rate, for people to read:
// with two decimals from one on, with two digits that count below: "12.34 USD", "0.0061 USD".
func (r Rate) Worth(msat lnwire.MilliSatoshi) string {
	value := new(big.Rat).SetUint64(uint64(msat))
	value.Mul(value, r.PerBTC).Quo(value, msatPerBTC)
	places := 2
	for bound := big.NewRat(1, 10); places < 12 && value.Sign() > 0 && value.Cmp(bound) < 0; places++ {
		bound.Quo(bound, big.NewRat(10, 1))
	}
	return value.FloatString(places) + " " + string(r.Currency)
}
