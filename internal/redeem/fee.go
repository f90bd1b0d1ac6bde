package redeem

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// ErrFeeText is wrapped by the errors of ParseFee.
var ErrFeeText = errors.New(`use a part of the payment, an amount, or both added up: "1%", "10 sat", "1% 10 sat"`)

// ParseFee reads the most that Lightning may cost: a part of the payment in percent, an amount, or
// both, which are added up; "0" is nothing. The part is in millionths.
func ParseFee(text string) (ppm uint64, base lnwire.MilliSatoshi, err error) {
	fields := strings.Fields(text)
	if len(fields) == 1 && fields[0] == "0" {
		return 0, 0, nil
	}
	if len(fields) > 0 && strings.HasSuffix(fields[0], "%") {
		if ppm, err = parsePercent(strings.TrimSuffix(fields[0], "%")); err != nil {
			return 0, 0, err
		}
		if fields = fields[1:]; len(fields) == 0 {
			return ppm, 0, nil
		}
	}
	if len(fields) != 2 {
		return 0, 0, fmt.Errorf("%q: %w", text, ErrFeeText)
	}
	if base, err = ParseAmount(fields[0] + " " + fields[1]); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrFeeText, err)
	}
	return ppm, base, nil
}

// parsePercent reads a plain decimal from 0 to 100 with up to four decimals.
func parsePercent(number string) (ppm uint64, err error) {
	problem := fmt.Errorf("%q%%: use a number from 0 to 100 with up to four decimals: %w", number, ErrFeeText)
	if number == "" || len(number) > 8 || strings.Trim(number, "0123456789.") != "" ||
		strings.Count(number, ".") > 1 || strings.Trim(number, ".") != number {
		return 0, problem
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, problem
	}
	value.Mul(value, big.NewRat(maxPPM/100, 1))
	if !value.IsInt() || value.Num().Cmp(big.NewInt(maxPPM)) > 0 {
		return 0, problem
	}
	return value.Num().Uint64(), nil
}

// ParseAmount reads an amount such as "10 sat", and "0", "0 sat" and the like as nothing. Errors wrap
// pricing.ErrAmount.
func ParseAmount(text string) (lnwire.MilliSatoshi, error) {
	number, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	if number == "0" {
		switch strings.ToLower(strings.TrimSpace(unit)) {
		case "", "sat", "sats", "msat", "msats":
			return 0, nil
		}
	}
	return pricing.ParseText(text)
}
