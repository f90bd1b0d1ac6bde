package caddyl402

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// parsePriceRow reads
//
//	price <number> <unit> <matcher>|<matcher module> <args...>
//
// where a matcher is a path or a name, as before a directive.
func (h *Handler) parsePriceRow(d *caddyfile.Dispenser) error {
	var number, unit string
	if !d.Args(&number, &unit) || d.CountRemainingArgs() == 0 {
		return d.Err("expected `price <number> <unit> <matcher>`, such as `price 50 sat path /big/*`")
	}
	row := PriceRow{Price: number + " " + unit}
	if _, err := readAmount(row.Price); err != nil {
		return d.WrapErr(err)
	}
	if d.CountRemainingArgs() == 1 {
		set, found, err := h.namedMatcher(d)
		if err != nil {
			return d.WrapErr(err)
		}
		if found {
			row.MatchRaw = set
			h.Prices = append(h.Prices, row)
			return nil
		}
	} else {
		d.NextArg()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, "http.matchers."+name)
	if err != nil {
		return err
	}
	row.MatchRaw = caddy.ModuleMap{name: caddyconfig.JSON(module, nil)}
	h.Prices = append(h.Prices, row)
	return nil
}

// namedMatcher reads a path or the name of a matcher. It moves to the next word in any case.
func (h *Handler) namedMatcher(d *caddyfile.Dispenser) (caddy.ModuleMap, bool, error) {
	if h.matcherToken != nil {
		return h.matcherToken()
	}
	d.NextArg()
	return nil, false, nil
}

// parseBound reads a bound of the price.
func parseBound(d *caddyfile.Dispenser, into *string) error {
	setting := d.Val()
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Errf("expected `%s <number> <unit>`, such as `%s 10 sat`", setting, setting)
	}
	*into = strings.Join(args, " ")
	if _, err := readBound(setting, *into); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
