// Package failover is a wallet that stands for several others of the same configuration and takes
// the first that works: the Caddy module l402.wallets.failover.
//
// Each of the others keeps what it has of its own: its calls are counted under its name, and
// after failures in a row it is left alone for some seconds and then tried with one call.
package failover

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() {
	caddy.RegisterModule(new(Group))
}

// maxMembers bounds how many wallets one can stand for. They share the time of a call.
const maxMembers = 16

// Group is a wallet that stands for others. An invoice comes from the first of them that makes
// one, and its payment is looked up there.
//
// The time that a call may take (wallet_timeout) is shared out: while two wallets are in order,
// the first has half of it before the second is asked. Wallets that are being left alone after
// failures take no share.
type Group struct {
	// Wallets are the names of the wallets, in the order in which they are tried. They are
	// declared beside this one, in any order, and make invoices for the same network. At
	// least two and at most 16.
	Wallets []string `json:"wallets,omitempty"`

	members []wallets.Member
}

// CaddyModule returns the Caddy module information.
func (*Group) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.failover",
		New: func() caddy.Module { return new(Group) },
	}
}

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	failover <wallet> <wallet>...
func (g *Group) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	g.Wallets = d.RemainingArgs()
	if err := g.check(); err != nil {
		return d.Err(err.Error())
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("failover has no settings besides the wallets' names, so remove '%s'", d.Val())
	}
	return nil
}

// Validate checks the names.
func (g *Group) Validate() error { return g.check() }

func (g *Group) check() error {
	if len(g.Wallets) < 2 || len(g.Wallets) > maxMembers {
		return fmt.Errorf("failover has %d wallets: name 2 to %d that are declared beside it, the first choice first, "+
			"as in `failover node backup`", len(g.Wallets), maxMembers)
	}
	for i, name := range g.Wallets {
		switch {
		case name == "":
			return fmt.Errorf("failover: the name of wallet %d is empty", i+1)
		case strings.ContainsAny(name, "{}"):
			return fmt.Errorf("failover: %q is not the name of a wallet: placeholders cannot stand here", name)
		case slices.Contains(g.Wallets[:i], name):
			return fmt.Errorf("failover: wallet %q is named twice", name)
		}
	}
	return nil
}

// Members implements wallets.Composite.
func (g *Group) Members() []string { return slices.Clone(g.Wallets) }

// Bind implements wallets.Composite. The wallets must be different ones on one network.
func (g *Group) Bind(members []wallets.Member) error {
	if err := g.check(); err != nil {
		return err
	}
	if len(members) != len(g.Wallets) {
		return fmt.Errorf("failover: got %d wallets for %d names", len(members), len(g.Wallets))
	}
	for i, m := range members {
		for _, other := range members[:i] {
			switch {
			case m.Network != other.Network:
				return fmt.Errorf("failover: wallet %q is for %s and wallet %q for %s: all must be for one network",
					other.Name, other.Network, m.Name, m.Network)
			case m.ID == other.ID:
				return fmt.Errorf("failover: wallets %q and %q are the same wallet, which is no help when it fails",
					other.Name, m.Name)
			}
		}
	}
	g.members = slices.Clone(members)
	return nil
}

// Identity names the members in their order.
func (g *Group) Identity() string {
	var text strings.Builder
	for _, m := range g.members {
		fmt.Fprintf(&text, "%q=%s ", m.Name, m.ID)
	}
	return text.String()
}

// Network is the members' network.
func (g *Group) Network() wallets.Network {
	if len(g.members) == 0 {
		return ""
	}
	return g.members[0].Network
}

// errUnbound says that the group was opened by somebody who does not know composites.
var errUnbound = errors.New("wallet failover stands for other wallets and cannot be opened without them: use the wallets that it names")

// Open makes the Wallet.
func (g *Group) Open(env wallets.Env) (wallets.Wallet, error) {
	if len(g.members) == 0 {
		return nil, errUnbound
	}
	return newWallet(env, g.members), nil
}

// Interface guards.
var (
	_ caddy.Module          = (*Group)(nil)
	_ caddy.Validator       = (*Group)(nil)
	_ caddyfile.Unmarshaler = (*Group)(nil)
	_ wallets.Composite     = (*Group)(nil)
)
