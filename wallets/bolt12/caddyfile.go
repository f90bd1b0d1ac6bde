package bolt12

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets/cln"
)

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	bolt12 <offer> {
//		cln <path of lightning-rpc>|<URL of clnrest> {
//			<settings of the wallet cln>
//		}
//		fetch_timeout <duration>
//	}
func (g *Guest) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the wallet's kind
	if !d.NextArg() {
		return d.Err("offer is missing: give the text that begins with lno1")
	}
	g.Offer = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := g.setting(d, name); err != nil {
			return err
		}
	}
	if g.CLN == nil {
		return d.Err("cln is missing: give the Core Lightning node that fetches the invoices, " +
			"such as cln /path/of/lightning-rpc")
	}
	return nil
}

func (g *Guest) setting(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "cln":
		g.CLN = new(cln.Node)
		return g.CLN.UnmarshalCaddyfile(d.NewFromNextSegment())
	case "fetch_timeout":
		var value string
		if !d.AllArgs(&value) {
			return d.Errf("%s takes one value", name)
		}
		timeout, err := caddy.ParseDuration(value)
		if err != nil || timeout <= 0 {
			return d.Errf("fetch_timeout %q is not a duration such as 20s", value)
		}
		g.FetchTimeout = caddy.Duration(timeout)
		return nil
	case "phoenixd":
		return d.Err("phoenixd can pay offers but gives no invoice for one: use cln")
	}
	return d.Errf("unknown setting %q of wallet bolt12: use cln or fetch_timeout", name)
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Guest)(nil)
