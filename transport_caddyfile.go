package caddyl402

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/dustin/go-humanize"

	"github.com/caddy-l402/caddy-l402/internal/budget"
)

// UnmarshalCaddyfile reads
//
//	transport l402 {
//		wallet      <name>
//		max_price   <number> <unit>
//		max_fee     <number> <unit>|0
//		budget      <number> <unit> per <time>
//		host_budget [<host>] <number> <unit> per <time>
//		account     <name>
//		timeout     <duration>
//		max_body    <size>
//		http {
//			<options of the HTTP transport...>
//		}
//	}
//
// The lines budget and host_budget can be repeated.
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := map[string]bool{}
	for d.NextBlock(0) {
		option := d.Val()
		parse, ok := transportOptions[option]
		if !ok {
			return d.Errf("unknown option %q of transport l402; options of the HTTP transport go into `http { … }`", option)
		}
		if seen[option] && option != "budget" && option != "host_budget" {
			return d.Errf("option %q of transport l402 is given twice", option)
		}
		seen[option] = true
		if err := parse(t, d); err != nil {
			return err
		}
	}
	return nil
}

// transportOptions are the lines of the block.
var transportOptions = map[string]func(*Transport, *caddyfile.Dispenser) error{
	"wallet":    func(t *Transport, d *caddyfile.Dispenser) error { return word(d, &t.Wallet) },
	"account":   func(t *Transport, d *caddyfile.Dispenser) error { return word(d, &t.Account) },
	"timeout":   func(t *Transport, d *caddyfile.Dispenser) error { return duration(d, &t.Timeout) },
	"max_price": func(t *Transport, d *caddyfile.Dispenser) error { return phrase(d, &t.MaxPrice) },
	"max_fee":   func(t *Transport, d *caddyfile.Dispenser) error { return phrase(d, &t.MaxFee) },
	"budget": func(t *Transport, d *caddyfile.Dispenser) error {
		var text string
		if err := phrase(d, &text); err != nil {
			return err
		}
		if _, err := budget.ParseLimit(text); err != nil {
			return d.Errf("budget: %v", err)
		}
		t.Budget = append(t.Budget, text)
		return nil
	},
	"host_budget": func(t *Transport, d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		text := strings.Join(args, " ")
		if _, err := budget.ParseLimit(text); err != nil && len(args) > 1 {
			text = args[0] + "=" + strings.Join(args[1:], " ")
		}
		if _, err := budget.ParseHostLimit(text); err != nil {
			return d.Errf("host_budget: %v", err)
		}
		t.HostBudget = append(t.HostBudget, text)
		return nil
	},
	"max_body": func(t *Transport, d *caddyfile.Dispenser) error {
		var text string
		if err := word(d, &text); err != nil {
			return err
		}
		size, err := humanize.ParseBytes(text)
		if err != nil || size == 0 || size > maxPurchaseBody {
			return d.Errf("max_body %q: use a size such as 64KiB or 10MiB, at most 1GiB", text)
		}
		t.MaxBody = int64(size)
		return nil
	},
	"http": func(t *Transport, d *caddyfile.Dispenser) error {
		t.HTTP = new(reverseproxy.HTTPTransport)
		return t.HTTP.UnmarshalCaddyfile(d.NewFromNextSegment())
	},
}

// phrase reads the rest of a line as one text.
func phrase(d *caddyfile.Dispenser, into *string) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	*into = strings.Join(args, " ")
	return nil
}

// Guards.
var _ caddyfile.Unmarshaler = (*Transport)(nil)
