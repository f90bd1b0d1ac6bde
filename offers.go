package caddyl402

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/l402"
)

// Offer is something else that a route sells, for clients that ask for it by name.
type Offer struct {
	// How clients ask for it: letters, digits, '-', '_' and '.'; not "base". Required.
	Name string `json:"name,omitempty"`

	// What it costs, such as "500 sat". Required.
	Price string `json:"price,omitempty"`

	// The tier that its token opens, with all from the handler's tier up to it. Default: the
	// handler's tier.
	Tier uint8 `json:"tier,omitempty"`

	// How many requests it buys. Default: as many as the handler's uses.
	Uses uint64 `json:"uses,omitempty"`

	// How many bytes of answers it buys. Default: as many as the handler's bytes.
	Bytes uint64 `json:"bytes,omitempty"`

	// How long its token is valid. Default: as long as the handler's.
	Valid caddy.Duration `json:"valid,omitempty"`
}

const (
	// baseOffer is the name of what is sold to clients that ask for nothing.
	baseOffer = "base"
	// headerOffer and queryOffer are where clients name an offer.
	headerOffer = "X-L402-Offer"
	queryOffer  = "l402_offer"

	maxOffers = 16
	// maxTiers is how many tiers a token opens below its own; each takes room in the token.
	maxTiers = 8
)

// errOfferUnknown says that a request asks for an offer that there is not.
var errOfferUnknown = errors.New("the request asks for an offer that there is not")

// choice is an offer that was checked.
type choice struct {
	name string
	quote
}

// readOffers checks the offers and puts what is sold without a word before them.
func (h *Handler) readOffers() error {
	h.choices = nil
	if len(h.Offers) == 0 {
		return nil
	}
	if h.tariff != nil || h.source != nil {
		return errors.New("offers: they go with a fixed price in sat, msat or btc, and not with one that depends on the request or a rate")
	}
	if len(h.Offers) > maxOffers {
		return fmt.Errorf("%d offers: use at most %d", len(h.Offers), maxOffers)
	}
	h.choices = []choice{{baseOffer, h.baseQuote()}}
	for i := range h.Offers {
		read, err := h.Offers[i].read(h)
		if err != nil {
			return fmt.Errorf("offer %q: %w", h.Offers[i].Name, err)
		}
		if h.choice(read.name) != nil {
			return fmt.Errorf("offer %q: the name is taken", read.name)
		}
		h.choices = append(h.choices, read)
	}
	return nil
}

func (o *Offer) read(h *Handler) (choice, error) {
	c := choice{o.Name, h.baseQuote()}
	var err error
	if c.price, err = pricing.ParseText(o.Price); err != nil {
		return c, fmt.Errorf("price: %w", err)
	}
	if o.Tier > 0 {
		c.tier = o.Tier
	}
	if o.Uses > 0 {
		c.uses = o.Uses
	}
	if o.Bytes > 0 {
		c.bytes = o.Bytes
	}
	if o.Valid > 0 {
		c.valid = time.Duration(o.Valid)
	}
	switch {
	case !l402.ValidServiceName(o.Name):
		return c, errors.New("name it with up to 64 letters, digits, '-', '_' and '.'")
	case c.tier < h.Tier || c.tier-h.Tier > maxTiers:
		return c, fmt.Errorf("tier %d: use one from the route's tier %d to %d", c.tier, h.Tier, min(255, int(h.Tier)+maxTiers))
	case c.tier > h.Tier && c.price < h.price:
		return c, fmt.Errorf("a higher tier for %s costs less than the %s of the route that it opens too", pricing.Format(c.price), pricing.Format(h.price))
	case c.uses > maxUses || c.bytes > maxUses:
		return c, fmt.Errorf("uses %d, bytes %d: use at most %d", c.uses, c.bytes, uint64(maxUses))
	case o.Valid < 0 || c.valid < time.Duration(h.InvoiceExpiry):
		return c, fmt.Errorf("valid %v is shorter than invoice_expiry %v: a late payer would buy a dead token", c.valid, time.Duration(h.InvoiceExpiry))
	}
	return c, nil
}

// baseQuote is what is sold without a word.
func (h *Handler) baseQuote() quote {
	return quote{price: h.price, uses: h.Uses, bytes: h.Bytes, valid: time.Duration(h.Valid), tier: h.Tier}
}

// choice finds an offer by its name, or returns nil.
func (h *Handler) choice(name string) *choice {
	for i := range h.choices {
		if h.choices[i].name == name {
			return &h.choices[i]
		}
	}
	return nil
}

// choose finds the offer that an unpaid request asks for, in a header or the query. It is nil where
// the request asks for none.
func (h *Handler) choose(r *http.Request) (*choice, error) {
	if len(h.choices) == 0 {
		return nil, nil
	}
	names := r.Header[headerOffer]
	if len(names) == 0 {
		query, err := url.ParseQuery(originalRequest(r).URL.RawQuery)
		if err != nil && query == nil {
			return nil, nil
		}
		names = query[queryOffer]
	}
	if len(names) == 0 {
		return nil, nil
	}
	if chosen := h.choice(names[0]); chosen != nil && len(names) == 1 {
		return chosen, nil
	}
	return nil, errOfferUnknown
}

// another tells whether a request asks for another offer than the one that a token was made for.
func (h *Handler) another(r *http.Request, g *l402.Grant, price lnwire.MilliSatoshi) (bool, error) {
	chosen, err := h.choose(r)
	if chosen == nil || err != nil {
		return false, err
	}
	return chosen.price != price || chosen.uses != g.Uses || chosen.bytes != g.Bytes, nil
}

// alternatives are the offers as an answer tells of them.
func (h *Handler) alternatives(r *http.Request) (list []paywall.Alternative) {
	for i := range h.choices {
		c := &h.choices[i]
		link := ""
		if r.Method == http.MethodGet || r.Method == http.MethodHead || markOf(r) == checkoutMark {
			link = offerLink(r, c.name)
		}
		list = append(list, paywall.Alternative{
			Name: c.name, Price: c.price, Tier: c.tier, Uses: c.uses, Bytes: c.bytes, Valid: c.valid,
			Terms: h.boughtAs(c), Link: link,
		})
	}
	return list
}

// boughtAs says in words what an offer buys.
func (h *Handler) boughtAs(c *choice) string {
	t := terms{Valid: c.valid, Uses: c.uses, Bytes: c.bytes}
	if c.tier != h.Tier {
		return fmt.Sprintf("tier %d, %s", c.tier, t.bought())
	}
	return t.bought()
}

// offerLink is the page's address with another offer, relative to the page.
func offerLink(r *http.Request, name string) string {
	query := withoutOffer(strings.TrimSuffix(strings.TrimSuffix(originalRequest(r).URL.RawQuery, markOf(r)), "&"))
	if query != "" {
		query += "&"
	}
	return "?" + query + queryOffer + "=" + name // a name has no letter that needs escaping
}

// withoutOffer is a query without the name of an offer, which is not the upstream's.
func withoutOffer(query string) string {
	if !strings.Contains(query, queryOffer) {
		return query
	}
	parts := slices.DeleteFunc(strings.Split(query, "&"), func(part string) bool {
		return part == queryOffer || strings.HasPrefix(part, queryOffer+"=")
	})
	return strings.Join(parts, "&")
}

// offerNames are those that a client can ask for.
func (h *Handler) offerNames() string {
	var names []string
	for i := range h.choices {
		names = append(names, h.choices[i].name)
	}
	return strings.Join(names, ", ")
}

// offerTerms are those of the offers beside the base, for the check that no token undercuts what
// another handler sells.
func (h *Handler) offerTerms() (list []terms) {
	for i := range h.choices {
		if i == 0 {
			continue
		}
		c := &h.choices[i]
		t := h.terms()
		t.Tier, t.Below = c.tier, c.tier-h.Tier
		t.Price, t.Uses, t.Bytes, t.Valid = c.price, c.uses, c.bytes, c.valid
		list = append(list, t)
	}
	return list
}
