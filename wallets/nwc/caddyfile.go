package nwc

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	nwc <connection URI> {
//		relay <wss URL>...
//		network mainnet|testnet|signet|regtest
//		timeout <duration>
//	}
//
// relay may be given more than once. Errors do not repeat values, which may be secrets.
func (g *Guest) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the wallet's kind
	if !d.NextArg() {
		return d.Err("uri is missing: give the nostr+walletconnect:// URI, such as {env.NWC}")
	}
	g.URI = d.Val()
	if d.CountRemainingArgs() > 0 {
		return d.Err("nwc takes one connection URI: put it into quotes if it holds blanks, and further settings into a block")
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] && name != "relay" {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := g.setting(d, name); err != nil {
			return err
		}
	}
	return nil
}

// setting reads one line of the block.
func (g *Guest) setting(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "relay":
		relays := d.RemainingArgs()
		if len(relays) == 0 {
			return d.Err("relay takes one or more URLs such as wss://relay.example.com")
		}
		g.Relays = append(g.Relays, relays...)
	case "network":
		if !d.AllArgs(&g.NetworkName) {
			return d.Err("network takes one value")
		}
	case "timeout":
		var value string
		if !d.AllArgs(&value) {
			return d.Err("timeout takes one value")
		}
		timeout, err := caddy.ParseDuration(value)
		if err != nil || timeout <= 0 {
			return d.Err("timeout is not a duration such as 10s")
		}
		g.Timeout = caddy.Duration(timeout)
	default:
		return d.Errf("unknown setting %q of wallet nwc: use relay, network or timeout", clean(name))
	}
	return nil
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Guest)(nil)
