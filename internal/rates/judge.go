package rates

import (
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Rate is what a bitcoin costs in a currency.
type Rate struct {
	Currency Currency
	// PerBTC is the price of one bitcoin. It must not be changed.
	PerBTC *big.Rat
	// At is the time of the oldest of the prices that it was made of.
	At time.Time
	// Sources is how many sources agreed on it.
	Sources int

	// learned is when the sources were asked.
	learned time.Time
}

// forgetAfter is when a rate is too old for the one after it to be compared with it.
const forgetAfter = 24 * time.Hour

// verdict is what is known of a currency's rate.
type verdict struct {
	// rate is the last one that was believed; its PerBTC is nil before there is one.
	rate Rate
	// err is why the last round gave no rate; nil where it gave one.
	err error
	// doubt says that err speaks against rate: it must not be used although it is new enough.
	doubt bool

	// jumped is a rate that awaits confirmation, seen so many times in a row.
	jumped *big.Rat
	seen   int
}

// usable tells whether the rate may be used at a time.
func (v *verdict) usable(s Settings, now time.Time) bool {
	return v.rate.PerBTC != nil && !v.doubt && now.Sub(v.rate.At) <= s.MaxAge
}

// conclude takes in what a round of questions gave: the quotes that came, out of those asked for.
// It returns the names of the sources whose answers are left out.
func (v *verdict) conclude(s Settings, c Currency, quotes []quote, asked int, now time.Time) (outliers []string) {
	need := s.minimum(asked)
	if len(quotes) < need {
		// The rate before stays in use until it is too old.
		v.jumped, v.seen = nil, 0
		v.err = fmt.Errorf("%w for %s: %w: %d of %d, and %d are needed", ErrNoRate, c, ErrStale, len(quotes), asked, need)
		return nil
	}
	agreeing := agree(quotes, s.MaxSpread)
	if len(agreeing) < need || 2*len(agreeing) <= len(quotes) {
		v.jumped, v.seen = nil, 0
		v.doubt = true
		v.err = fmt.Errorf("%w for %s: %w: %d of %d are within the spread that is allowed, and %d are needed",
			ErrNoRate, c, ErrDisagree, len(agreeing), len(quotes), max(need, len(quotes)/2+1))
		return nil
	}
	for _, q := range quotes {
		if !slices.ContainsFunc(agreeing, func(a quote) bool { return a.source == q.source }) {
			outliers = append(outliers, q.source)
		}
	}
	found := Rate{Currency: c, PerBTC: median(agreeing), At: oldest(agreeing), Sources: len(agreeing), learned: now}
	if !v.confirms(s, found) {
		v.doubt = true
		v.err = fmt.Errorf("%w for %s: %w, which was seen %d times of %d in a row", ErrNoRate, c, ErrJump, v.seen, ConfirmRounds)
		return outliers
	}
	*v = verdict{rate: found}
	return outliers
}

// confirms tells whether a rate can be believed, given the one before: it is near it, or has been
// seen often enough.
func (v *verdict) confirms(s Settings, found Rate) bool {
	before := v.rate
	if before.PerBTC == nil || found.learned.Sub(before.learned) > forgetAfter || near(before.PerBTC, found.PerBTC, s.MaxChange) {
		return true
	}
	if v.jumped != nil && near(v.jumped, found.PerBTC, s.MaxChange) {
		v.seen++
	} else {
		v.seen = 1
	}
	v.jumped = found.PerBTC
	return v.seen >= ConfirmRounds
}

// near tells whether b differs from a by at most a share of a.
func near(a, b, share *big.Rat) bool {
	difference := new(big.Rat).Sub(a, b)
	return difference.Abs(difference).Cmp(new(big.Rat).Mul(a, share)) <= 0
}

// agree finds the largest set of quotes of which the highest is within the spread of the lowest, in
// order. Where several sets are as large it gives the lowest; none of them is a majority then.
func agree(quotes []quote, spread *big.Rat) []quote {
	sorted := slices.Clone(quotes)
	slices.SortFunc(sorted, func(a, b quote) int { return a.perBTC.Cmp(b.perBTC) })
	var best []quote
	for low := range sorted {
		high := low
		for high < len(sorted) && near(sorted[low].perBTC, sorted[high].perBTC, spread) {
			high++
		}
		if high-low > len(best) {
			best = sorted[low:high]
		}
	}
	return best
}

// median is the middle of quotes in order, or the mean of the two in the middle.
func median(sorted []quote) *big.Rat {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2].perBTC
	}
	sum := new(big.Rat).Add(sorted[n/2-1].perBTC, sorted[n/2].perBTC)
	return sum.Quo(sum, big.NewRat(2, 1))
}

func oldest(quotes []quote) time.Time {
	at := quotes[0].at
	for _, q := range quotes {
		if q.at.Before(at) {
			at = q.at
		}
	}
	return at
}
