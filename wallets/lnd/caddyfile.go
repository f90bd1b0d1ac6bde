package lnd

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	lnd <host:port> {
//		macaroon <path>
//		macaroon_hex <hex>
//		tls_cert <path>|system
//		tls_cert_hex <hex>
//		proxy socks5://[<user>:<password>@]<host:port>
//		network mainnet|testnet|signet|regtest
//		timeout <duration>
//		private
//	}
//
// One of macaroon and macaroon_hex and one of tls_cert and tls_cert_hex is required.
func (n *Node) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the wallet's kind
	if !d.NextArg() {
		return d.Err("address is missing: give host:port of LND's gRPC interface, such as 127.0.0.1:10009")
	}
	n.Address = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	texts := map[string]*string{
		"macaroon": &n.Macaroon, "macaroon_hex": &n.MacaroonHex,
		"tls_cert": &n.TLSCert, "tls_cert_hex": &n.TLSCertHex,
		"proxy": &n.Proxy, "network": &n.NetworkName,
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
		return d.Errf("unknown setting %q of wallet lnd: use macaroon, macaroon_hex, tls_cert, "+
			"tls_cert_hex, proxy, network, timeout or private", name)
	}
	return nil
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Node)(nil)
