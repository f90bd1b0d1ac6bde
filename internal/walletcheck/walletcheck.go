package walletcheck

import (
	"context"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// Memo is the description of the invoices that a check makes.
	Memo = "caddy-l402 wallet check"
	// DefaultAmount is what they are over, in millisatoshi: one satoshi, which is the least
	// that all kinds of wallets can do.
	DefaultAmount lnwire.MilliSatoshi = 1000
	// DefaultTimeout bounds each step. A connection through Tor or a mailbox takes its time.
	DefaultTimeout = 30 * time.Second

	// expiry is how long the invoice can be paid; some peers refuse less.
	expiry = 10 * time.Minute
)

// Declared is a wallet of a configuration.
type Declared struct {
	// Name is the wallet's name in the configuration, Adapter that of its module.
	Name, Adapter string
	Network       wallets.Network
	// Default says that routes that name no wallet are paid here.
	Default bool
	// Wallet is nil for one whose settings each request fills in.
	Wallet wallets.Wallet
}

// The outcomes of a step.
const (
	OK      = "ok"
	Failed  = "failed"
	Skipped = "skipped"
)

// Step is one part of a check.
type Step struct {
	// Name is "connect", "permissions", "invoice", "verify" or "look-up".
	Name string `json:"name"`
	// Outcome is OK, Failed or Skipped.
	Outcome string `json:"outcome"`
	// Millis is what the call took.
	Millis int64 `json:"latency_ms"`
	// Detail says what was found; it holds no invoice and no secret.
	Detail string `json:"detail,omitempty"`
	// Error and Cure belong to a failed step.
	Error string `json:"error,omitempty"`
	Cure  string `json:"cure,omitempty"`
}

// Abilities are what an adapter can do beside making invoices.
type Abilities struct {
	// LookUp tells of payments on request, so that a payer who has no preimage gets through. It
	// is what the wallet showed in the check.
	LookUp bool `json:"look_up"`
	// Subscribe tells of payments as they happen.
	Subscribe bool `json:"subscribe"`
	// Hold locks payments in before they are taken.
	Hold bool `json:"hold"`
	// Pay pays invoices, which only the transport l402 does.
	Pay bool `json:"pay"`
	// Ping answers whether the peer is there without making an invoice.
	Ping bool `json:"ping"`
}

// Result is what a check found out about one wallet.
type Result struct {
	Name    string          `json:"name"`
	Adapter string          `json:"adapter"`
	Network wallets.Network `json:"network"`
	Default bool            `json:"default"`
	// OK says that no step failed.
	OK bool `json:"ok"`
	// Template says that each request fills the wallet's settings in, so that there is nothing
	// to connect to.
	Template    bool       `json:"template,omitempty"`
	Steps       []Step     `json:"steps,omitempty"`
	Permissions []string   `json:"permissions,omitempty"`
	Abilities   *Abilities `json:"abilities,omitempty"`
	// Note is something to know beside the steps.
	Note string `json:"note,omitempty"`
}

// Checker checks wallets. The zero value is ready.
type Checker struct {
	// Amount is what the invoice is over; zero means DefaultAmount.
	Amount lnwire.MilliSatoshi
	// Timeout bounds each step; zero means DefaultTimeout.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Check tries a wallet out. A step that fails does not stop those that can do without it. It
// returns soon after ctx ends.
func (c Checker) Check(ctx context.Context, d Declared) *Result {
	if c.Amount == 0 {
		c.Amount = DefaultAmount
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	r := &Result{Name: d.Name, Adapter: d.Adapter, Network: d.Network, Default: d.Default, OK: true}
	if r.Network == "" {
		r.Network = wallets.Mainnet
	}
	if d.Wallet == nil {
		r.Template, r.Note = true, "each request fills this wallet's settings in, so there is no peer to connect to; "+
			"check a payee by declaring it as a wallet of its own"
		return r
	}
	r.Note = notes[d.Adapter]
	p := &probe{Checker: c, declared: d, result: r}
	p.run(ctx)
	return r
}
