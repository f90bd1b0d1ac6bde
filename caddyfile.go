package caddyl402

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterDirective("l402", parseDirective)
	// After authentication, so that a site can let its own people in first, and before
	// everything that serves content.
	httpcaddyfile.RegisterDirectiveOrder("l402", httpcaddyfile.After, "forward_auth")
}

// parseDirective makes a route of an l402 directive. Where no service is named, its name comes
// from the matcher, so that two routes of a site are two products.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next()
	place := fmt.Sprintf("%s:%d", h.File(), h.Line())
	matcherToken := ""
	if h.NextArg() {
		matcherToken = h.Val()
	}
	h.Reset()
	h.Next()
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	var handler Handler
	handler.matcherToken = h.MatcherToken
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if handler.Service == "" {
		handler.Service = serviceOf(matcherToken)
		setDefault(&handler.Scope, scopeHost)
	}
	if err := checkOffer(h, &handler, place); err != nil {
		return nil, err
	}
	var routes []httpcaddyfile.ConfigValue
	if !handler.NoReceipts {
		routes = receiptsRoute(h)
	}
	if !handler.NoManifest {
		routes = append(routes, manifestRoute(h)...)
	}
	handler.spell(matcher)
	if len(matcher) == 0 && h.IsNamedRoute() {
		matcher = everything()
	}
	return append(routes, h.NewRoute(matcher, &handler)...), nil
}

// serviceOf makes a service's name of a matcher: "premium" of "/premium/*", "paid" of "@paid".
func serviceOf(matcher string) string {
	if matcher == "" || matcher[0] != '/' && matcher[0] != '@' {
		return defaultService
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		case r == '*':
			return -1
		}
		return '-'
	}, matcher)
	name = strings.Trim(name, "-.")
	if len(name) > 64 {
		name = strings.TrimRight(name[:64], "-.")
	}
	if name == "" {
		return defaultService
	}
	return name
}

// offersKey is where the offers of a Caddyfile are collected while it is adapted.
const offersKey = "l402.offers"

// checkOffer refuses contradicting terms while the places in the Caddyfile are still known; the
// app checks again for configurations that come as JSON.
func checkOffer(h httpcaddyfile.Helper, handler *Handler, place string) error {
	filled := *handler
	filled.setDefaults()
	if err := filled.checkPrice(); err != nil {
		return h.WrapErr(err)
	}
	if err := filled.checkTimes(); err != nil {
		return h.WrapErr(err)
	}
	if err := filled.checkWords(); err != nil {
		return h.WrapErr(err)
	}
	if err := filled.readOffers(); err != nil {
		return h.WrapErr(err)
	}
	known, _ := h.State[offersKey].(*offers)
	if known == nil {
		known = new(offers)
		h.State[offersKey] = known
	}
	return known.add(filled.terms(), filled.offerTerms(), place)
}

// UnmarshalCaddyfile reads
//
//	l402 [<matcher>] <number> sat|msat|btc|<currency> | pricer <name> {
//		price                <number> <unit> <matcher>|<matcher module> <args...>
//		per                  <size> <number> <unit>
//		min                  <number> <unit>
//		max                  <number> <unit>
//		offer                <name> <number> <unit> {
//			tier  <n>
//			uses  <n>
//			bytes <size>
//			valid <duration>
//		}
//		tier                 <n> <number> <unit> { ... }
//		wallet               <name>
//		service              <name> [<tier>]
//		capabilities         <name...>
//		valid                <duration>
//		uses                 <n> [for <number> <unit>]
//		bytes                <size>
//		charge               success|always
//		scope                host|path|any
//		memo                 <text>
//		invoice_expiry       <duration>
//		schemes              L402|LSAT|Payment...
//		credentials          l402|lsat|bearer|basic|macaroon|cookie|payment|cashu...
//		cashu                on|off
//		prefetch             <n>|off
//		limit                <n> <window>|off
//		free                 <n> <window> [<key>]
//		dry_run
//		on_wallet_error      503|pass
//		upstream_credentials strip|keep
//		methods              <method...>
//		exempt               none | <matcher module> <args...>
//		unknown_caveats      refuse|skip
//		receipts             off
//		manifest             off
//		hidden
//		title                <text>
//		description          <text>
//		paths                <pattern...>
//		input_schema         <JSON>|<file>
//		example              <method> <path> [<JSON body>]
//		page {
//			title    <text>
//			text     <text>
//			logo     <file> | url <path>
//			accent   <color>
//			template <file>
//		}
//	}
//
// The line `exempt` can be repeated: a request that matches any of them is free. It replaces the
// default, which is `exempt path /.well-known/*`. The lines `example`, `price`, `offer`, `tier`
// and `uses … for …` can be repeated, too: of the prices the first that matches counts.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	args := d.RemainingArgs()
	if len(args) != 2 {
		return noPrice(d, args)
	}
	h.Price = args[0] + " " + args[1]
	if _, err := readAmount(h.Price); err != nil {
		return d.WrapErr(err)
	}

	seen := map[string]bool{}
	for d.NextBlock(0) {
		option := d.Val()
		parse, ok := options[option]
		if !ok {
			return unknownOption(d, "l402", optionNames(options)...)
		}
		if seen[option] && option != "exempt" && option != "example" && !repeatable[option] {
			return d.Errf("option %q of l402 is given twice", option)
		}
		seen[option] = true
		if err := parse(h, d); err != nil {
			return err
		}
	}
	if h.NoExemptions && len(h.ExemptRaw) > 0 {
		return d.Err("`exempt none` contradicts the other `exempt` line")
	}
	return nil
}

// noPrice says what is missing where number and unit should stand.
func noPrice(d *caddyfile.Dispenser, args []string) error {
	const example = "such as `l402 /premium/* 10 sat`"
	if len(args) == 0 {
		return d.Errf("there is no price: write a number and a unit, %s", example)
	}
	if len(args) == 1 {
		unit := strings.TrimLeft(args[0], "0123456789.")
		number := strings.TrimSuffix(args[0], unit)
		switch {
		case unit == "":
			return d.Errf("price %q has no unit: write `%s sat` (or msat, btc or a currency)", number, number)
		case number != "" && strings.Trim(unit, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
			return d.Errf("price %q: write number and unit apart: `%s %s`", args[0], number, unit)
		}
		return d.Errf("price %q: write a number and then a unit or the code of a currency, %s", args[0], example)
	}
	if last := args[len(args)-1]; strings.HasPrefix(last, "/") || strings.HasPrefix(last, "@") {
		return d.Errf("matcher %s stands behind the price: write it before, %s", last, example)
	}
	if strings.HasPrefix(args[0], "/") {
		return d.Errf("l402 takes one matcher and a price: name several paths in a matcher, such as " +
			"`@paid path /a /b` and `l402 @paid 10 sat`")
	}
	return d.Errf("expected a price, %s, got %q", example, strings.Join(args, " "))
}

// repeatable are the lines that add to a list; a second number of uses is refused by parseUses.
var repeatable = map[string]bool{"price": true, "offer": true, "tier": true, "uses": true}

// options are the lines of the directive's block.
var options = map[string]func(*Handler, *caddyfile.Dispenser) error{
	"price":                (*Handler).parsePriceRow,
	"per":                  (*Handler).parsePer,
	"offer":                (*Handler).parseOffer,
	"tier":                 (*Handler).parseTierOffer,
	"min":                  func(h *Handler, d *caddyfile.Dispenser) error { return parseBound(d, &h.Min) },
	"max":                  func(h *Handler, d *caddyfile.Dispenser) error { return parseBound(d, &h.Max) },
	"wallet":               func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.Wallet) },
	"service":              (*Handler).parseService,
	"capabilities":         func(h *Handler, d *caddyfile.Dispenser) error { return words(d, &h.Capabilities) },
	"valid":                func(h *Handler, d *caddyfile.Dispenser) error { return duration(d, &h.Valid) },
	"uses":                 (*Handler).parseUses,
	"bytes":                (*Handler).parseBytes,
	"cashu":                (*Handler).parseCashu,
	"charge":               func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.Charge) },
	"scope":                func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.Scope) },
	"memo":                 func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.Memo) },
	"invoice_expiry":       func(h *Handler, d *caddyfile.Dispenser) error { return duration(d, &h.InvoiceExpiry) },
	"schemes":              func(h *Handler, d *caddyfile.Dispenser) error { return words(d, &h.Schemes) },
	"credentials":          func(h *Handler, d *caddyfile.Dispenser) error { return words(d, &h.Credentials) },
	"prefetch":             (*Handler).parsePrefetch,
	"limit":                (*Handler).parseLimit,
	"free":                 (*Handler).parseFree,
	"dry_run":              (*Handler).parseDryRun,
	"on_wallet_error":      func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.OnWalletError) },
	"upstream_credentials": func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.UpstreamCredentials) },
	"methods":              (*Handler).parseMethods,
	"exempt":               (*Handler).parseExempt,
	"receipts":             (*Handler).parseReceipts,
	"manifest":             (*Handler).parseManifest,
	"hidden":               (*Handler).parseHidden,
	"title":                func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.discovery().Title) },
	"description":          func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.discovery().Description) },
	"paths":                (*Handler).parsePaths,
	"input_schema":         (*Handler).parseInputSchema,
	"example":              (*Handler).parseExample,
	"page":                 func(h *Handler, d *caddyfile.Dispenser) error { return parsePage(d, &h.Page) },
	"unknown_caveats":      func(h *Handler, d *caddyfile.Dispenser) error { return word(d, &h.UnknownCaveats) },
}

func word(d *caddyfile.Dispenser, into *string) error {
	if !d.AllArgs(into) {
		return d.ArgErr()
	}
	return nil
}

func words(d *caddyfile.Dispenser, into *[]string) error {
	if *into = d.RemainingArgs(); len(*into) == 0 {
		return d.ArgErr()
	}
	return nil
}

func duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option := d.Val()
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return d.Errf("%s %q: use a duration such as 10m, 24h or 30d", option, text)
	}
	*into = caddy.Duration(value)
	return nil
}

func (h *Handler) parseService(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.ArgErr()
	}
	h.Service = args[0]
	if len(args) == 2 {
		tier, err := parseTier(args[1])
		if err != nil {
			return d.WrapErr(err)
		}
		h.Tier = tier
	}
	return nil
}

func (h *Handler) parseLimit(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 1 && args[0] == "off" {
		h.Limit = &Limit{Off: true}
		return nil
	}
	if len(args) != 2 {
		return d.Err("expected `limit <n> <window>`, such as `limit 120 1m`, or `limit off`")
	}
	events, err := strconv.Atoi(args[0])
	if err != nil || events < 1 {
		return d.Errf("limit %q: use a number greater than zero, or `limit off`", args[0])
	}
	window, err := caddy.ParseDuration(args[1])
	if err != nil || window < time.Second {
		return d.Errf("limit window %q: use a duration of at least 1s, such as 1m", args[1])
	}
	h.Limit = &Limit{Events: events, Window: caddy.Duration(window)}
	return nil
}

func (h *Handler) parseBytes(d *caddyfile.Dispenser) error {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n < 1 {
		return d.Errf("bytes %q: use a size such as 500MB or 2GiB", text)
	}
	h.Bytes = n
	return nil
}

func (h *Handler) parsePrefetch(d *caddyfile.Dispenser) error {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	if text == "off" {
		h.Prefetch = -1
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPrefetch {
		return d.Errf("prefetch %q: use a number from 1 to %d, or `prefetch off`", text, maxPrefetch)
	}
	h.Prefetch = n
	return nil
}

func (h *Handler) parseFree(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 || len(args) > 3 {
		return d.Err("expected `free <n> <window> [<key>]`, such as `free 10 1d`")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return d.Errf("free %q: use a number greater than zero", args[0])
	}
	window, err := caddy.ParseDuration(args[1])
	if err != nil || window < time.Second {
		return d.Errf("free window %q: use a duration of at least 1s, such as 1d", args[1])
	}
	h.Free = &Free{Requests: n, Window: caddy.Duration(window)}
	if len(args) == 3 {
		h.Free.Key = args[2]
	}
	return nil
}

func (h *Handler) parseDryRun(d *caddyfile.Dispenser) error {
	h.DryRun = true
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func (h *Handler) parseReceipts(d *caddyfile.Dispenser) error {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	if text != "off" {
		return d.Errf("receipts %q: only `receipts off` means something; without it there are receipts", text)
	}
	h.NoReceipts = true
	return nil
}

func (h *Handler) parseMethods(d *caddyfile.Dispenser) error {
	if err := words(d, &h.Methods); err != nil {
		return err
	}
	for i, method := range h.Methods {
		h.Methods[i] = strings.ToUpper(method)
	}
	return nil
}

// parseExempt reads one matcher by its module's name, as a named matcher's block does.
func (h *Handler) parseExempt(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if name == "none" {
		h.NoExemptions = true
		if d.NextArg() {
			return d.ArgErr()
		}
		return nil
	}
	module, err := caddyfile.UnmarshalModule(d, "http.matchers."+name)
	if err != nil {
		return err
	}
	h.ExemptRaw = append(h.ExemptRaw, caddy.ModuleMap{name: caddyconfig.JSON(module, nil)})
	return nil
}

// Guards.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
