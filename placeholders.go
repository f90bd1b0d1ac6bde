package caddyl402

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// placeholderPrefix is before all placeholders of this module.
const placeholderPrefix = "http.l402."

// placeholder gives the facts of the token that let a request pass. They are worked out only if
// something asks for them, so that the paid path does not pay for them.
func (p *passage) placeholder(name string) (any, bool) {
	if p.handler == nil {
		return nil, false
	}
	// Access logs name the user by this one; the token's id is no secret.
	if name == "http.auth.user.id" {
		return p.grant.TokenID.String(), true
	}
	field, ok := strings.CutPrefix(name, placeholderPrefix)
	if !ok {
		return nil, false
	}
	switch field {
	case "service":
		return p.handler.Service, true
	case "tier":
		return p.handler.Tier, true
	case "token_id":
		return p.grant.TokenID.String(), true
	case "payment_hash":
		return p.grant.PaymentHash.String(), true
	case "valid_until":
		return p.grant.ValidUntil, true
	}
	return nil, false
}

// setProblemPlaceholders makes a problem available to the templates of the site's error routes.
func setProblemPlaceholders(r *http.Request, p *paywall.Problem) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	repl.Map(func(name string) (any, bool) {
		field, ok := strings.CutPrefix(name, placeholderPrefix)
		if !ok {
			return nil, false
		}
		switch field {
		case "code":
			return p.Code, true
		case "detail":
			return p.Detail, true
		case "cure":
			return p.Cure, true
		}
		if p.Offer == nil {
			return nil, false
		}
		switch field {
		case "service":
			return p.Offer.Service, true
		case "tier":
			return p.Offer.Tier, true
		case "price_sat":
			return pricing.Sats(p.Offer.Price), true
		case "price_msat":
			return uint64(p.Offer.Price), true
		case "invoice":
			return p.Offer.Invoice, true
		case "payment_hash":
			return p.Offer.PaymentHash, true
		case "macaroon":
			return p.Offer.Macaroon, true
		case "terms":
			return p.Offer.Terms, true
		}
		return nil, false
	})
}
