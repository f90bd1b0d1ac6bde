package rates

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// The defaults of Settings.
const (
	DefaultRefresh = time.Minute
	DefaultMaxAge  = 10 * time.Minute
	DefaultTimeout = 5 * time.Second
	// DefaultMinSources is how many sources must agree where several are for a currency.
	DefaultMinSources = 2
)

// DefaultMaxSpread and DefaultMaxChange are the defaults of the bounds in Settings.
var (
	DefaultMaxSpread = big.NewRat(5, 100)
	DefaultMaxChange = big.NewRat(20, 100)
)

// Settings say which rates are believed. Zero values stand for the defaults.
type Settings struct {
	// MinSources is how many sources must agree on a rate. By default two, or one where only
	// one is for the currency.
	MinSources int
	// MaxSpread bounds the difference between the highest and the lowest rate among the sources
	// that agree, as a share of the lowest.
	MaxSpread *big.Rat
	// MaxChange bounds the difference to the rate before, as a share of it. A rate beyond it is
	// used after it was seen ConfirmRounds times in a row.
	MaxChange *big.Rat
	// MaxAge is how long a rate is used, and how old a source's own time of it may be.
	MaxAge time.Duration
	// Refresh is how often sources are asked while rates are in use.
	Refresh time.Duration
	// Timeout bounds each call to a source.
	Timeout time.Duration
}

// ConfirmRounds is how many rounds in a row must show a rate that jumped before it is used.
const ConfirmRounds = 3

// Check refuses settings that contradict each other. sources are those that they are for.
func (s Settings) Check(sources []Source) error {
	full := s.withDefaults()
	switch {
	case len(sources) == 0 || len(sources) > MaxSources:
		return fmt.Errorf("there must be between 1 and %d sources", MaxSources)
	case s.MinSources < 0 || s.MinSources > len(sources):
		return fmt.Errorf("min_sources is %d, and there are %d sources", s.MinSources, len(sources))
	case full.Refresh < time.Second:
		return errors.New("refresh must be at least 1s")
	case full.Timeout < 100*time.Millisecond || full.Timeout > time.Minute:
		return errors.New("timeout must be between 100ms and 1m")
	case full.MaxAge < full.Refresh+full.Timeout:
		return fmt.Errorf("max_age must be longer than refresh and timeout together, which are %s", full.Refresh+full.Timeout)
	}
	names := make(map[string]bool)
	for _, source := range sources {
		if err := source.Check(); err != nil {
			return err
		}
		if names[source.Name] {
			return fmt.Errorf("%w: two are called %q", ErrSource, source.Name)
		}
		names[source.Name] = true
	}
	return nil
}

// Serves tells whether enough of the sources are for a currency. Errors wrap ErrCurrency.
func (s Settings) Serves(sources []Source, c Currency) error {
	n := countFor(sources, c)
	if need := s.minimum(n); n < need || n == 0 {
		return fmt.Errorf("%w: %d sources of exchange rates are for %s, and %d must agree", ErrCurrency, n, c, max(need, 1))
	}
	return nil
}

func countFor(sources []Source, c Currency) (n int) {
	for _, source := range sources {
		if source.serves(c) {
			n++
		}
	}
	return n
}

// minimum is how many of n sources must agree.
func (s Settings) minimum(n int) int {
	if s.MinSources > 0 {
		return s.MinSources
	}
	return max(1, min(DefaultMinSources, n))
}

func (s Settings) withDefaults() Settings {
	if s.MaxSpread == nil {
		s.MaxSpread = DefaultMaxSpread
	}
	if s.MaxChange == nil {
		s.MaxChange = DefaultMaxChange
	}
	setDefault(&s.MaxAge, DefaultMaxAge)
	setDefault(&s.Refresh, DefaultRefresh)
	setDefault(&s.Timeout, DefaultTimeout)
	return s
}

func setDefault(field *time.Duration, value time.Duration) {
	if *field == 0 {
		*field = value
	}
}

// ID names a set of sources: a Market is kept for each.
func ID(sources []Source) string {
	hash := sha256.New()
	for _, s := range sources {
		fmt.Fprintf(hash, "%q %q %q %q %q\n", s.Name, s.URL, s.Path, s.TimePath, s.Currency)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}
