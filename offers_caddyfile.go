package caddyl402

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// parseOffer reads
//
//	offer <name> <number> <unit> {
//		tier  <n>
//		uses  <n>
//		bytes <size>
//		valid <duration>
//	}
func (h *Handler) parseOffer(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 3 {
		return d.Err("expected `offer <name> <number> <unit>`, such as `offer month 500 sat { valid 30d }`")
	}
	return h.parseOfferBlock(d, Offer{Name: args[0], Price: args[1] + " " + args[2]})
}

// parseTierOffer reads
//
//	tier <n> <number> <unit> { … }
//
// which is an offer named tier-<n>.
func (h *Handler) parseTierOffer(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 3 {
		return d.Err("expected `tier <n> <number> <unit>`, such as `tier 1 50 sat`; the route's own tier stands behind `service <name>`")
	}
	tier, err := parseTier(args[0])
	if err != nil {
		return d.WrapErr(err)
	}
	return h.parseOfferBlock(d, Offer{Name: "tier-" + strconv.Itoa(int(tier)), Price: args[1] + " " + args[2], Tier: tier})
}

func (h *Handler) parseOfferBlock(d *caddyfile.Dispenser, o Offer) error {
	if _, err := pricing.ParseText(o.Price); err != nil {
		return d.WrapErr(err)
	}
	var inner Handler // its options are read as the directive's own
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] || option == "tier" && o.Tier > 0 {
			return d.Errf("%q is given twice in an offer", option)
		}
		seen[option] = true
		var err error
		switch option {
		case "tier":
			var text string
			if err = word(d, &text); err == nil {
				o.Tier, err = parseTier(text)
			}
		case "uses":
			err = inner.parseUses(d)
		case "bytes":
			err = inner.parseBytes(d)
		case "valid":
			err = duration(d, &inner.Valid)
		default:
			return d.Errf("unknown option %q of an offer: use tier, uses, bytes or valid", option)
		}
		if err != nil {
			return d.WrapErr(err)
		}
	}
	if len(inner.Offers) > 0 {
		return d.Err("an offer has a price already: write `uses <n>`")
	}
	o.Uses, o.Bytes, o.Valid = inner.Uses, inner.Bytes, inner.Valid
	h.Offers = append(h.Offers, o)
	return nil
}

// parseUses reads
//
//	uses <n>
//	uses <n> for <number> <unit>
//
// of which the second is an offer named uses-<n>.
func (h *Handler) parseUses(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 && (len(args) != 4 || args[1] != "for") {
		return d.Err("expected `uses <n>`, or `uses <n> for <number> <unit>`, such as `uses 100 for 500 sat`")
	}
	n, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil || n < 1 {
		return d.Errf("uses %q: use a number greater than zero", args[0])
	}
	if len(args) == 4 {
		o := Offer{Name: "uses-" + strconv.FormatUint(n, 10), Price: args[2] + " " + args[3], Uses: n}
		if _, err := pricing.ParseText(o.Price); err != nil {
			return d.WrapErr(err)
		}
		h.Offers = append(h.Offers, o)
		return nil
	}
	if h.Uses > 0 {
		return d.Err(`option "uses" of l402 is given twice`)
	}
	h.Uses = n
	return nil
}
