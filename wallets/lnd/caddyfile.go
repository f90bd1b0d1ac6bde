package lnd

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets/internal/block"
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
		return d.Errf("unknown setting %q of wallet lnd: use macaroon, macaroon_hex, tls_cert, "+
			"tls_cert_hex, proxy, network, timeout or private", name)
	}
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Node)(nil)
