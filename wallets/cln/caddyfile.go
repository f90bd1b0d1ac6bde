package cln

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets/internal/block"
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
	return block.Each(d, func(name string) error { return n.setting(d, name, texts[name]) })
}

// setting reads one line of the block; text is where its value goes if it is a text.
func (n *Node) setting(d *caddyfile.Dispenser, name string, text *string) error {
	switch {
	case text != nil:
		return block.Text(d, name, text)
	case name == "timeout":
		return block.Timeout(d, name, &n.Timeout)
	case name == "private":
		return block.Flag(d, name, &n.Private)
	default:
		return d.Errf("unknown setting %q of wallet cln: use rune, rune_file, ca, network, timeout or private", name)
	}
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Node)(nil)
