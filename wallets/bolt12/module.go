// Package bolt12 sells for a BOLT 12 offer: for each challenge a Core Lightning node fetches an
// invoice for the offer (fetchinvoice), and that invoice, "lni…", stands in the challenge with the
// offer beside it. It is the Caddy module l402.wallets.bolt12.
//
// # Which clients can pay
//
// The client must be able to pay a BOLT 12 invoice as it stands: Core Lightning can (xpay, pay), and
// programs built on LDK that use its call for such invoices. LND can not, nor can wallets that only
// take offers, such as Phoenix, phoenixd and Eclair: they would fetch another invoice for the offer,
// whose payment proves nothing about this one. So offer this wallet to clients that are known to
// cope, and lnd, cln or another wallet with BOLT 11 invoices to all others.
//
// # Whose offer
//
// The offer may be the node's own or another's. The invoice is signed by the issuer that the offer
// names and repeats the offer's fields, which is checked: so a node that was broken into can't
// have clients pay somebody else. The preimage proves the payment in both cases. Looking invoices
// up and being told of settlements works for the node's own offers only, since they need the node
// that is paid.
//
// The issuer decides about description and expiry (two hours from Core Lightning). Core Lightning
// refuses amounts above about five times that of an offer with a fixed one, and below it: make the
// offer for amount "any". It also limits the rate of messages between nodes to a few a second, so
// an offer of another node suits few buyers.
//
// A rune for the commands fetchinvoice, listinvoices and waitanyinvoice is enough.
//
// phoenixd cannot take the node's place: it makes offers and pays them, but has no call that gives
// an invoice for one.
package bolt12

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln"
)

func init() {
	caddy.RegisterModule(new(Guest))
}

const (
	// defaultFetchTimeout holds where the settings say nothing else.
	defaultFetchTimeout = 20 * time.Second
	maxFetchTimeout     = 5 * time.Minute
)

// Guest is a wallet that fetches its invoices for a BOLT 12 offer. Only clients that can pay BOLT
// 12 invoices (`lni…`) can buy from it.
type Guest struct {
	// Offer is the offer, `lno1…`. Placeholders such as `{env.OFFER}` are replaced when the
	// configuration is loaded.
	Offer string `json:"offer,omitempty"`

	// CLN is the Core Lightning node that fetches the invoices, with the settings of the wallet
	// `cln`. A rune for the commands `fetchinvoice`, `listinvoices` and `waitanyinvoice` is
	// enough. Looking up payments works only if the offer is this node's own.
	CLN *cln.Node `json:"cln,omitempty"`

	// FetchTimeout is how long the node may wait for the issuer's invoice. The default is 20
	// seconds. It bounds that call alone; all others have the node's `timeout`.
	FetchTimeout caddy.Duration `json:"fetch_timeout,omitempty"`

	offer *offer
}

// CaddyModule tells Caddy of the module.
func (*Guest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.bolt12",
		New: func() caddy.Module { return new(Guest) },
	}
}

// Provision replaces placeholders and checks the settings, the offer among them. It opens no file
// and no connection. Errors name the setting and the cure and hold none of the secrets.
func (g *Guest) Provision(caddy.Context) error {
	if err := g.resolve(); err != nil {
		return fmt.Errorf("wallet bolt12: %w", err)
	}
	return nil
}

func (g *Guest) resolve() error {
	if g.Offer == "" {
		return errors.New("offer is missing: give the text that begins with lno1")
	}
	text, err := caddy.NewReplacer().ReplaceOrErr(g.Offer, true, true)
	if err != nil {
		return fmt.Errorf("offer: %w", err)
	}
	if g.CLN == nil {
		return errors.New("cln is missing: give the Core Lightning node that fetches the invoices")
	}
	if err := g.CLN.Resolve(); err != nil {
		return fmt.Errorf("cln: %w", err)
	}
	if g.offer, err = parseOffer(text, g.CLN.Network()); err != nil {
		return fmt.Errorf("offer: %w", err)
	}
	if t := time.Duration(g.FetchTimeout); t != 0 && t < time.Second || t > maxFetchTimeout {
		return fmt.Errorf("fetch_timeout %s is not between 1s and %s", t, maxFetchTimeout)
	}
	return nil
}

// Identity is the offer with the node. It may hold secrets.
func (g *Guest) Identity() string {
	if g.offer == nil || g.CLN == nil {
		return "bolt12"
	}
	return "bolt12\x00" + g.offer.text + "\x00" + g.CLN.Identity()
}

// Network is the chain of the node.
func (g *Guest) Network() wallets.Network {
	if g.CLN == nil {
		return wallets.Mainnet
	}
	return g.CLN.Network()
}

func (g *Guest) fetchTimeout() time.Duration {
	if g.FetchTimeout <= 0 {
		return defaultFetchTimeout
	}
	return time.Duration(g.FetchTimeout)
}

// Open makes the wallet, a *Wallet, which connects at its first call.
func (g *Guest) Open(env wallets.Env) (wallets.Wallet, error) {
	if g.offer == nil {
		return nil, errors.New("opening wallet bolt12: it was not provisioned")
	}
	node, err := g.CLN.Connect(env)
	if err != nil {
		return nil, fmt.Errorf("opening wallet bolt12: %w", err)
	}
	w := newWallet(node, g)
	// No error: a site must not fail to start because an offer has run out meanwhile.
	if g.offer.expired(w.now()) {
		env.Logger().Warn("the offer has expired, no invoice can be made", zap.Time("expiry", g.offer.expiry))
	}
	return w, nil
}

// Interface guards.
var (
	_ caddy.Module      = (*Guest)(nil)
	_ caddy.Provisioner = (*Guest)(nil)
	_ wallets.Guest     = (*Guest)(nil)
)
