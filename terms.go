package caddyl402

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// terms is what a handler sells and for what. Tokens name service, tier and capabilities; all
// the rest must be equal wherever a token opens.
type terms struct {
	Service      string
	Tier         uint8
	Capabilities []string
	Price        lnwire.MilliSatoshi
	Wallet       string
	Valid        time.Duration
	Scope        string
	Uses         uint64
	Bytes        uint64
	// Below is how many lower tiers a token opens too.
	Below uint8
	// Tariff says how the price depends on the request; it is empty where it does not.
	Tariff string
}

// opens tells whether a token sold on these terms opens what is sold on the others.
func (t terms) opens(other terms) bool {
	if t.Service != other.Service || other.Tier > t.Tier || t.Tier-other.Tier > t.Below {
		return false
	}
	if len(t.Capabilities) == 0 {
		return true // a token without the caveat grants all
	}
	for _, needed := range other.Capabilities {
		if !slices.Contains(t.Capabilities, needed) {
			return false
		}
	}
	return true
}

// sameDeal tells whether the two agree on everything but the capabilities.
func (t terms) sameDeal(other terms) bool {
	return t.Price == other.Price && t.Wallet == other.Wallet && t.Valid == other.Valid &&
		t.Scope == other.Scope && t.Uses == other.Uses && t.Bytes == other.Bytes && t.Tariff == other.Tariff
}

// undercuts tells whether a token sold on these terms opens what is sold on the others without
// costing at least as much, or would pay somebody else. Selling more capabilities for more money
// undercuts nobody.
func (t terms) undercuts(other terms) bool {
	if !t.opens(other) || t.sameDeal(other) {
		return false
	}
	return other.opens(t) || t.Tariff != other.Tariff || t.Wallet != other.Wallet || t.Scope != other.Scope ||
		t.Price < other.Price || t.Valid > other.Valid || t.Uses != other.Uses || t.Bytes != other.Bytes
}

// offerAt is terms with the place where they are offered.
type offerAt struct {
	terms
	more  []terms // what else is sold there
	place string
}

// clash gives what of two places a token would open that it was not sold for.
func (o *offerAt) clash(other *offerAt) (terms, terms, bool) {
	if o.Tier == other.Tier && o.sameDeal(other.terms) && fmt.Sprint(o.more) == fmt.Sprint(other.more) {
		return terms{}, terms{}, false
	}
	if sold := o.undercutting(other); sold != nil {
		return *sold, other.terms, true
	}
	if sold := other.undercutting(o); sold != nil {
		return o.terms, *sold, true
	}
	return terms{}, terms{}, false
}

// undercutting finds what is sold here and opens the other place without being sold there on the
// same terms.
func (o *offerAt) undercutting(other *offerAt) *terms {
	for _, sold := range append([]terms{o.terms}, o.more...) {
		there := slices.ContainsFunc(other.more, func(t terms) bool { return t.sameDeal(sold) && t.opens(other.terms) })
		if !there && sold.undercuts(other.terms) {
			return &sold
		}
	}
	return nil
}

// offers are all terms of a configuration.
type offers []offerAt

// add takes an offer in, or refuses it when a token would open what it was not sold for.
func (o *offers) add(t terms, more []terms, place string) error {
	added := offerAt{t, more, place}
	for _, known := range *o {
		if theirs, ours, clash := known.clash(&added); clash {
			return fmt.Errorf("two l402 handlers share the service %q on different terms, so that a token "+
				"bought at one would open the other: %s sells %v, and %s sells %v; give one of them another "+
				"`service` name or tier", t.Service, known.place, theirs, place, ours)
		}
	}
	*o = append(*o, added)
	return nil
}

// String says what is sold in words for the operator.
func (t terms) String() string {
	wallet := "the default wallet"
	if t.Wallet != "" {
		wallet = fmt.Sprintf("wallet %q", t.Wallet)
	}
	s := fmt.Sprintf("tier %d for %s to %s, %s, scope %s",
		t.Tier, t.price(), wallet, t.bought(), t.Scope)
	if len(t.Capabilities) > 0 {
		s += ", capabilities " + strings.Join(t.Capabilities, " ")
	}
	return s
}

// price is what a payment costs in words for the operator.
func (t terms) price() string {
	if t.Tariff != "" {
		return t.Tariff
	}
	return pricing.Format(t.Price)
}

// bought says in words what a payment buys, for operators and clients.
func (t terms) bought() string {
	parts := []string{"valid for " + shortDuration(t.Valid)}
	switch {
	case t.Uses == 1:
		parts = append(parts, "one request")
	case t.Uses > 1:
		parts = append(parts, fmt.Sprintf("%d requests", t.Uses))
	}
	if t.Bytes > 0 {
		parts = append(parts, humanize.IBytes(t.Bytes)+" of answers")
	}
	return strings.Join(parts, ", ")
}

// shortDuration writes a duration without empty parts: "24h", not "24h0m0s", and "30d".
func shortDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
