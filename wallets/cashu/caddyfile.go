package cashu

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets/internal/block"
)

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	cashu <URL of the mint> {
//		unit sat|msat
//		seed <words>
//		network mainnet|testnet|signet|regtest
//		timeout <duration>
//	}
func (m *Mint) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the wallet's kind
	if !d.NextArg() {
		return d.Err("cashu needs the mint's address, such as https://mint.example.com")
	}
	m.MintURL = d.Val()
	if d.NextArg() {
		return d.Err("cashu takes one address; further settings go into its block")
	}
	texts := map[string]*string{"unit": &m.Unit, "seed": &m.Seed, "network": &m.NetworkName}
	return block.Each(d, func(name string) error {
		switch text := texts[name]; {
		case text != nil:
			// ArgErr would repeat the word at hand, and the seed's are secret.
			if !d.AllArgs(text) {
				return d.Errf("%s takes one value: put quotes around several words", name)
			}
		case name == "timeout":
			return block.Timeout(d, name, &m.Timeout)
		default:
			return d.Errf("unknown setting %q of wallet cashu: use unit, seed, network or timeout", name)
		}
		return nil
	})
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Mint)(nil)
