// Package pricing reads and writes amounts of money as people write them. Everything inside the
// project counts in millisatoshi; floating point never touches an amount.
package pricing

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/lightningnetwork/lnd/lnwire"
)

// MaxAmount is the greatest amount that Parse accepts: all bitcoins that will ever be.
const MaxAmount = lnwire.MilliSatoshi(21_000_000 * 100_000_000 * 1000)

// units gives the worth of each accepted unit in millisatoshi.
var units = map[string]int64{
	"msat": 1, "msats": 1,
	"sat": 1000, "sats": 1000,
	"btc": 100_000_000_000,
}

// ErrAmount is wrapped by every error of Parse.
var ErrAmount = errors.New("bad amount")

// Parse reads a number and a unit, such as "10" and "sat", "1500" and "msat" or "0.0001" and
// "btc". The unit's case does not matter. The amount must be greater than zero, at most
// MaxAmount and a whole number of millisatoshi.
func Parse(number, unit string) (lnwire.MilliSatoshi, error) {
	worth, ok := units[strings.ToLower(unit)]
	if !ok {
		return 0, fmt.Errorf("%w: unknown unit %q: use sat, msat or btc", ErrAmount, unit)
	}
	// Only plain decimals: big.Rat would also take fractions, hex and exponents, whose size
	// nothing bounds.
	if number == "" || len(number) > 32 || strings.Trim(number, "0123456789.") != "" ||
		strings.Count(number, ".") > 1 || strings.Trim(number, ".") != number {
		return 0, notANumber(number)
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, notANumber(number)
	}
	value.Mul(value, new(big.Rat).SetInt64(worth))
	switch {
	case value.Sign() == 0:
		return 0, fmt.Errorf("%w: a price must be more than zero: leave the route without l402 to make it free", ErrAmount)
	case !value.IsInt():
		return 0, fmt.Errorf("%w: %s %s is not a whole number of millisatoshi", ErrAmount, number, unit)
	case value.Num().Cmp(new(big.Int).SetUint64(uint64(MaxAmount))) > 0:
		return 0, fmt.Errorf("%w: %s %s is more than all bitcoins", ErrAmount, number, unit)
	}
	return lnwire.MilliSatoshi(value.Num().Uint64()), nil
}

// notANumber says what is wrong with a number. Many people write commas in numbers, and what they
// mean by them differs.
func notANumber(number string) error {
	if strings.Contains(number, ",") {
		return fmt.Errorf("%w: %q has a comma: write thousands without a sign (1000), and parts with a point (0.5)", ErrAmount, number)
	}
	return fmt.Errorf("%w: %q is not a number like 10 or 0.5", ErrAmount, number)
}

// ParseText reads an amount in one string with a blank between number and unit: "10 sat".
func ParseText(s string) (lnwire.MilliSatoshi, error) {
	fields := strings.Fields(s)
	if len(fields) != 2 {
		return 0, fmt.Errorf("%w: %q is not a number and a unit, like \"10 sat\"", ErrAmount, s)
	}
	return Parse(fields[0], fields[1])
}

// Format writes an amount in satoshi where it is whole, else in millisatoshi: "10 sat",
// "1500 msat".
func Format(m lnwire.MilliSatoshi) string {
	if m%1000 == 0 {
		return fmt.Sprintf("%d sat", m/1000)
	}
	return fmt.Sprintf("%d msat", uint64(m))
}

// Sats writes an amount as a decimal number of satoshi without a unit: "10", "1.5".
func Sats(m lnwire.MilliSatoshi) string {
	if m%1000 == 0 {
		return fmt.Sprintf("%d", m/1000)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%03d", m/1000, m%1000), "0")
}
