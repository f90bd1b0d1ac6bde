// Package sandbox is a wallet without a node and without money: it makes real BOLT 11 invoices
// for regtest, signed with a throw-away key, and pays them itself on request. It is for trying
// the gate out, for demonstrations and for tests.
//
// Nothing is stored. A restart makes a new key and forgets all invoices: those that were open
// can no longer be paid, while tokens that were paid for stay valid, since the gate needs no
// wallet to check them. Two processes do not know each other's invoices.
package sandbox

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() {
	caddy.RegisterModule(new(Guest))
}

// Guest is the wallet of the sandbox. Its invoices can be paid for nothing through the admin API,
// so it protects nothing: never use it for what is worth money.
type Guest struct {
	// Name tells several sandboxes apart. All wallets of one name share invoices and key, also
	// across reloads. Up to 64 lower-case letters, digits, `-` and `_`. The default is
	// `sandbox`.
	Name string `json:"name,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Guest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.sandbox",
		New: func() caddy.Module { return new(Guest) },
	}
}

// UnmarshalCaddyfile sets up the wallet from Caddyfile tokens. Syntax:
//
//	wallet <wallet name> sandbox [<name>]
func (g *Guest) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		g.Name = d.Val()
		if err := checkName(g.Name); err != nil {
			return d.Err(err.Error())
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("the sandbox wallet has no settings, so remove '%s'", d.Val())
	}
	return nil
}

// Validate checks the name.
func (g *Guest) Validate() error { return checkName(g.name()) }

func (g *Guest) name() string {
	if g.Name == "" {
		return "sandbox"
	}
	return g.Name
}

func checkName(name string) error {
	if name == "" || len(name) > 64 {
		return fmt.Errorf("sandbox name %q: use 1 to 64 characters", name)
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return fmt.Errorf("sandbox name %q: use lower-case letters, digits, '-' and '_'", name)
		}
	}
	return nil
}

// Identity implements wallets.Guest: sandboxes of one name are one.
func (g *Guest) Identity() string { return "sandbox/" + g.name() }

// Network implements wallets.Guest. It is always regtest, whose coins have no price.
func (*Guest) Network() wallets.Network { return wallets.Regtest }

// Open implements wallets.Guest. The wallet is a *Wallet.
func (g *Guest) Open(env wallets.Env) (wallets.Wallet, error) {
	if err := checkName(g.name()); err != nil {
		return nil, err
	}
	return newWallet(env)
}

var (
	_ caddy.Module          = (*Guest)(nil)
	_ caddy.Validator       = (*Guest)(nil)
	_ caddyfile.Unmarshaler = (*Guest)(nil)
	_ wallets.Guest         = (*Guest)(nil)
)
