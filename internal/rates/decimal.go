package rates

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

const (
	// maxDecimal bounds the text of a number, so that reading it takes no memory to speak of.
	maxDecimal = 64
	// maxExponent bounds the exponent of a number.
	maxExponent = 40
)

// parseDecimal reads a decimal number without a sign such as 10, 0.02 or, where exponents are
// allowed, 1.2e5 as JSON writes it. Fractions, hex and the rest of what big.Rat would read are
// refused: nothing bounds their size.
func parseDecimal(text string, exponent bool) (*big.Rat, error) {
	wrong := fmt.Errorf("%w: not a number like 10 or 0.02", ErrAmount)
	if len(text) > maxDecimal {
		return nil, wrong
	}
	digits := text
	if exponent {
		var power string
		var found bool
		digits, power, found = strings.Cut(strings.ToLower(text), "e")
		if found {
			n, err := strconv.Atoi(power)
			if err != nil || n < -maxExponent || n > maxExponent {
				return nil, wrong
			}
		}
	}
	if digits == "" || strings.Trim(digits, "0123456789.") != "" || strings.Count(digits, ".") > 1 ||
		strings.Trim(digits, ".") != digits {
		return nil, wrong
	}
	value, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, wrong
	}
	return value, nil
}

// ParsePercent reads a bound such as "5%" or "0.5%" as the share that it is. It must be greater
// than zero and at most 100 %.
func ParsePercent(text string) (*big.Rat, error) {
	number, found := strings.CutSuffix(text, "%")
	if !found {
		return nil, fmt.Errorf("%q is not a percentage like 5%%", text)
	}
	value, err := parseDecimal(number, false)
	if err != nil || value.Sign() == 0 || value.Cmp(big.NewRat(100, 1)) > 0 {
		return nil, fmt.Errorf("%q is not a percentage above 0%% and up to 100%%", text)
	}
	return value.Quo(value, big.NewRat(100, 1)), nil
}
