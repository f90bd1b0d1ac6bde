package cln

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	cln <path of lightning-rpc>|<URL of clnrest> {
//		rune <rune>
//		rune_file <path>
//		ca <path>|<PEM>
//		network mainnet|testnet|signet|regtest
//		timeout <duration>
//		private
//	}
//
// For clnrest, one of rune and rune_file is required; for the socket neither.
func (n *Node) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the wallet's kind
	if !d.NextArg() {
		return d.Err("address is missing: give the path of the node's lightning-rpc, " +
			"or the URL of clnrest such as https://127.0.0.1:3010")
	}
	n.Address = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	texts := map[string]*string{
		"rune": &n.Rune, "rune_file": &n.RuneFile, "ca": &n.CA, "network": &n.NetworkName,
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := n.setting(d, name, texts[name]); err != nil {
			return err
		}
	}
	return nil
}

// setting reads one line of the block; text is where its value goes if it is a text.
func (n *Node) setting(d *caddyfile.Dispenser, name string, text *string) error {
	switch {
	case text != nil:
		// ArgErr would repeat the word at hand, which may be a secret.
		if !d.AllArgs(text) {
			return d.Errf("%s takes one value", name)
		}
	case name == "timeout":
		var value string
		if !d.AllArgs(&value) {
			return d.Errf("%s takes one value", name)
		}
		timeout, err := caddy.ParseDuration(value)
		if err != nil || timeout <= 0 {
			return d.Errf("timeout %q is not a duration such as 10s", value)
		}
		n.Timeout = caddy.Duration(timeout)
	case name == "private":
		if d.CountRemainingArgs() != 0 {
			return d.Errf("%s takes no value", name)
		}
		n.Private = true
	default:
		return d.Errf("unknown setting %q of wallet cln: use rune, rune_file, ca, network, timeout or private", name)
	}
	return nil
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Node)(nil)
