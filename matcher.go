package caddyl402

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/l402"
)

func init() {
	caddy.RegisterModule(new(Matcher))
}

// Matcher matches requests that carry a paid token for a service that was not revoked: its preimage
// proves the payment. It asks no wallet, answers nothing itself and counts no uses and no bytes: it
// is for choosing a way, and no gate.
type Matcher struct {
	// The service that the token must open. Required.
	Service string `json:"service,omitempty"`

	// The tier that the token must open. Default: 0.
	Tier uint8 `json:"tier,omitempty"`

	// The capabilities that the token must carry.
	Capabilities []string `json:"capabilities,omitempty"`

	app  *App
	gate gate
}

// CaddyModule returns the Caddy module information.
func (*Matcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.l402",
		New: func() caddy.Module { return new(Matcher) },
	}
}

// Provision finds the keys.
func (m *Matcher) Provision(ctx caddy.Context) error {
	if !l402.ValidServiceName(m.Service) {
		return fmt.Errorf("service %q: use up to 64 letters, digits, '-', '_' and '.'", m.Service)
	}
	app, err := ctx.App("l402")
	if err != nil {
		return fmt.Errorf("getting the l402 app: %w", err)
	}
	m.app = app.(*App)
	m.gate = gate{keys: m.app.keys, forms: l402.FormAll, want: l402.Want{
		Service: m.Service, Tier: m.Tier, Capabilities: m.Capabilities,
	}}
	return nil
}

// MatchWithError tells whether the request carries a paid token for the service.
func (m *Matcher) MatchWithError(r *http.Request) (bool, error) {
	var grant l402.Grant
	_, refusal := m.gate.check(r, "", &grant)
	return refusal == nil && grant.Paid && !m.app.revoked(&grant), nil
}

// Match is MatchWithError for older callers.
func (m *Matcher) Match(r *http.Request) bool {
	matched, err := m.MatchWithError(r)
	return matched && err == nil
}

// UnmarshalCaddyfile reads
//
//	l402 <service> [<tier>] {
//		capabilities <name...>
//	}
func (m *Matcher) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		if m.Service != "" {
			return d.Err("l402 can be used once in a matcher: a token opens one service here")
		}
		args := d.RemainingArgs()
		if len(args) < 1 || len(args) > 2 {
			return d.Err("expected a service and perhaps a tier: l402 <service> [<tier>]")
		}
		m.Service = args[0]
		if len(args) == 2 {
			tier, err := parseTier(args[1])
			if err != nil {
				return d.WrapErr(err)
			}
			m.Tier = tier
		}
		for d.NextBlock(0) {
			if d.Val() != "capabilities" {
				return d.Errf("unknown option %q of the l402 matcher: use capabilities", d.Val())
			}
			if m.Capabilities = append(m.Capabilities, d.RemainingArgs()...); len(m.Capabilities) == 0 {
				return d.ArgErr()
			}
		}
	}
	return nil
}

// parseTier reads a tier's number.
func parseTier(s string) (uint8, error) {
	tier, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, errors.New("tier " + strconv.Quote(s) + ": use a number from 0 to 255")
	}
	return uint8(tier), nil
}

// Guards.
var (
	_ caddy.Module                      = (*Matcher)(nil)
	_ caddy.Provisioner                 = (*Matcher)(nil)
	_ caddyhttp.RequestMatcher          = (*Matcher)(nil)
	_ caddyhttp.RequestMatcherWithError = (*Matcher)(nil)
	_ caddyfile.Unmarshaler             = (*Matcher)(nil)
)
