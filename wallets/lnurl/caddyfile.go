package lnurl

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets/internal/block"
)

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	lnurl <user@host>|<lnurl1…>|https://…|lnurlp://… {
//		network mainnet|testnet|signet|regtest
//		timeout <duration>
//		comment <text>
//		allow_private
//		ca <path>|<PEM>
//		proxy socks5://[<user>:<password>@]<host:port>
//	}
//
// The address may hold placeholders that each request fills in.
func (p *Payee) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the wallet's kind
	if !d.NextArg() {
		return d.Err(errNoAddress.Error())
	}
	p.Address = d.Val()
	if d.NextArg() {
		return d.Err("lnurl takes one address; further settings go into its block")
	}
	texts := map[string]*string{
		"network": &p.NetworkName, "comment": &p.Comment, "ca": &p.CA, "proxy": &p.Proxy,
	}
	return block.Each(d, func(name string) error { return p.setting(d, name, texts[name]) })
}

// setting reads one line of the block; text is where its value goes if it is a text.
func (p *Payee) setting(d *caddyfile.Dispenser, name string, text *string) error {
	switch {
	case text != nil:
		// ArgErr would repeat the word at hand, and a proxy's may hold a password.
		if !d.AllArgs(text) {
			return d.Errf("%s takes one value: put quotes around a text of several words", name)
		}
	case name == "timeout":
		return block.Timeout(d, name, &p.Timeout)
	case name == "allow_private":
		return block.Flag(d, name, &p.AllowPrivate)
	default:
		return d.Errf("unknown setting %q of wallet lnurl: use network, timeout, comment, allow_private, "+
			"ca or proxy", name)
	}
	return nil
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Payee)(nil)
