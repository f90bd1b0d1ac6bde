package budget

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// MaxWindow is the longest window of a limit; a Book forgets what is older.
const MaxWindow = 31 * 24 * time.Hour

// minWindow keeps limits from being none.
const minWindow = time.Minute

// Limit is how much may be spent in any stretch of time of a length.
type Limit struct {
	// Amount is in millisatoshi.
	Amount lnwire.MilliSatoshi
	// Window is between a minute and MaxWindow.
	Window time.Duration
}

// windows are the words for lengths.
var windows = map[string]time.Duration{
	"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour, "month": 30 * 24 * time.Hour,
}

// ParseLimit reads a limit: an amount and a window with a slash or "per" between them, such as
// "1000 sat/day", "1000sat/24h" or "5000 sat per 24h". Errors wrap ErrLimit.
func ParseLimit(text string) (Limit, error) {
	amount, window, ok := strings.Cut(text, "/")
	if !ok {
		amount, window, ok = strings.Cut(text, " per ")
	}
	if !ok {
		return Limit{}, fmt.Errorf("%w: %.60q is not an amount and a time such as \"1000 sat/day\"", ErrLimit, text)
	}
	amount = strings.TrimSpace(amount)
	if unit := strings.TrimLeft(amount, "0123456789."); !strings.Contains(amount, " ") && unit != amount {
		amount = strings.TrimSuffix(amount, unit) + " " + unit
	}
	value, err := pricing.ParseText(amount)
	if err != nil {
		return Limit{}, fmt.Errorf("%w: %w", ErrLimit, err)
	}
	return NewLimit(value, strings.TrimSpace(window))
}

// NewLimit makes a limit of an amount in millisatoshi and the text of its window: a duration such
// as 24h or 7d, or a word such as day. Errors wrap ErrLimit.
func NewLimit(amount lnwire.MilliSatoshi, window string) (Limit, error) {
	length, ok := windows[strings.ToLower(window)]
	if !ok {
		var err error
		if length, err = caddy.ParseDuration(window); err != nil {
			return Limit{}, fmt.Errorf("%w: %.40q is no time: use day, hour, week, month, or one such as 24h", ErrLimit, window)
		}
	}
	l := Limit{Amount: amount, Window: length}
	return l, l.Check()
}

// Check refuses limits that a Book could not keep. Errors wrap ErrLimit.
func (l Limit) Check() error {
	switch {
	case l.Window < minWindow || l.Window > MaxWindow:
		return fmt.Errorf("%w: a window of %s: use between %s and %s", ErrLimit, l.Window, minWindow, MaxWindow)
	case l.Amount == 0 || l.Amount > pricing.MaxAmount:
		return fmt.Errorf("%w: the amount must be more than zero and at most all bitcoins", ErrLimit)
	}
	return nil
}

// String writes a limit as people do: "1000 sat per 24h".
func (l Limit) String() string {
	text := l.Window.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return pricing.Format(l.Amount) + " per " + text
}

// Rule is a limit and what it is for.
type Rule struct {
	Limit
	// Host is the host whose payments count. With EachHost every host has a limit of its own.
	// With neither all payments count together.
	Host     string
	EachHost bool
}

// ParseHostLimit reads a limit for each host, "200 sat/day", or for one, "example.com=200 sat/day".
// Errors wrap ErrLimit.
func ParseHostLimit(text string) (Rule, error) {
	host, limit, one := strings.Cut(text, "=")
	if !one {
		l, err := ParseLimit(text)
		return Rule{Limit: l, EachHost: true}, err
	}
	host = strings.ToLower(strings.TrimSpace(host))
	if host == "" || strings.ContainsAny(host, "/ \t") {
		return Rule{}, fmt.Errorf("%w: %.60q is not a host, an equals sign and a limit: example.com=200 sat/day", ErrLimit, text)
	}
	l, err := ParseLimit(limit)
	return Rule{Limit: l, Host: host}, err
}

// holds tells whether the rule is for payments to a host.
func (r Rule) holds(host string) bool { return r.Host == "" || r.Host == host }

// counts tells whether what was spent at one host counts against a payment at another.
func (r Rule) counts(spentAt, host string) bool {
	return r.Host == "" && !r.EachHost || spentAt == host
}
