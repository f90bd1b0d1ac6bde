package caddyl402

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/buyer"
	paying "github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() {
	caddy.RegisterModule(new(Transport))
}

// Transport is a transport of the reverse proxy that pays upstreams: where one asks for a payment
// with L402, it pays from a declared wallet, within limits, and sends the request again with the
// token. Tokens are kept in Caddy's storage and used for further requests to the same upstream.
//
// Where it does not pay, clients get 502 with a problem document and the reason in the header
// X-L402-Upstream. Everything else is what the HTTP transport does.
//
// Whoever can send requests to the route spends the wallet's money, within the budget: charge for
// the route or ask for a login there.
type Transport struct {
	// The name of the wallet that pays, as declared in the l402 app. Default: the app's default
	// wallet.
	Wallet string `json:"wallet,omitempty"`

	// The most that one purchase may cost, such as "100 sat". Required.
	MaxPrice string `json:"max_price,omitempty"`

	// The most that the wallet may add for routing, such as "5 sat". Default: "10 sat".
	MaxFee string `json:"max_fee,omitempty"`

	// The most that may be spent in any stretch of a time, such as "5000 sat per 24h". Several
	// hold at once. At least one, here or in host_budget, is required.
	Budget []string `json:"budget,omitempty"`

	// The same for each upstream host, "500 sat per 24h", or for one,
	// "api.example.com=500 sat per 24h".
	HostBudget []string `json:"host_budget,omitempty"`

	// The account that payments count in. Transports with the same one share what they spend;
	// each keeps to its own budgets. Default: the name of the wallet.
	Account string `json:"account,omitempty"`

	// The longest that a payment may take. Default: 60s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// The greatest body of a request, in bytes, that is kept in memory to be sent again after a
	// payment. A larger one is sent as well, but not paid for. Default: 1 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// The settings of the HTTP transport. Default: its own.
	HTTP *reverseproxy.HTTPTransport `json:"http,omitempty"`

	buyer   *buyer.Buyer
	account *buyer.Account
}

// The defaults of a transport.
const (
	defaultPurchaseFee  = "10 sat"
	defaultPurchaseBody = 1 << 20
	maxPurchaseBody     = 1 << 30
)

// CaddyModule returns the Caddy module information.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.l402",
		New: func() caddy.Module { return new(Transport) },
	}
}

// Provision checks the settings and finds the wallet. It neither dials nor pays.
func (t *Transport) Provision(ctx caddy.Context) error {
	loaded, err := ctx.App("l402")
	if err != nil {
		return fmt.Errorf("getting the l402 app: %w", err)
	}
	app := loaded.(*App)
	if t.HTTP == nil {
		t.HTTP = new(reverseproxy.HTTPTransport)
	}
	if t.HTTP.ProxyProtocol != "" {
		return errors.New("http: proxy_protocol hides which upstream a token is for: remove it")
	}
	if err := t.HTTP.Provision(ctx); err != nil {
		return err
	}
	name, wallet, err := t.payer(app)
	if err != nil {
		return err
	}
	shopper := &paying.Client{Wallet: wallet, Timeout: time.Duration(t.Timeout)}
	if err := t.limits(shopper); err != nil {
		return err
	}
	rules, err := t.rules()
	if err != nil {
		return err
	}
	setDefault(&t.Account, name)
	if len(t.Account) > buyer.MaxAccountName {
		return fmt.Errorf("account %q: use at most %d bytes", t.Account, buyer.MaxAccountName)
	}
	t.account = &buyer.Account{Store: app.purchases, Name: t.Account, Rules: rules}
	shopper.Budget = t.account
	t.buyer = &buyer.Buyer{
		House: app.buying, ID: fmt.Sprintf("%p", t), Client: shopper, MaxBody: t.MaxBody,
		Logger: ctx.Logger(), Events: metrics.purchases(name),
	}
	app.buys(t)
	return nil
}

// payer finds the wallet that pays.
func (t *Transport) payer(app *App) (name string, _ *paying.Wallet, err error) {
	w, err := app.wallet(t.Wallet)
	if err != nil {
		return "", nil, err
	}
	name = t.Wallet
	setDefault(&name, app.DefaultWallet)
	var payer wallets.Payer
	if w.cashier != nil {
		payer = w.cashier.Payer()
	}
	if payer == nil {
		return "", nil, fmt.Errorf("wallet %q cannot pay: declare one of %s, and name it with `wallet`", name, strings.Join(payingAdapters, ", "))
	}
	return name, &paying.Wallet{Payer: payer, Network: w.guest.Network()}, nil
}

// payingAdapters are the adapters whose wallets can pay.
var payingAdapters = []string{"cashu", "cln", "eclair", "lnbits", "lnc", "lnd", "nwc", "phoenixd", "sandbox"}

// limits reads what one purchase may cost.
func (t *Transport) limits(shopper *paying.Client) (err error) {
	if t.MaxPrice == "" {
		return errors.New("max_price is missing: say what one purchase may cost at most, such as `max_price 100 sat`")
	}
	if shopper.MaxPrice, err = pricing.ParseText(t.MaxPrice); err != nil {
		return fmt.Errorf("max_price: %w", err)
	}
	setDefault(&t.MaxFee, defaultPurchaseFee)
	if t.MaxFee != "0" { // ParseText takes no price of zero, but no fee is a limit that makes sense
		if shopper.MaxFee, err = pricing.ParseText(t.MaxFee); err != nil {
			return fmt.Errorf("max_fee: %w", err)
		}
	}
	switch {
	case t.Timeout < 0:
		return errors.New("timeout: a time cannot be less than zero")
	case t.MaxBody < 0 || t.MaxBody > maxPurchaseBody:
		return fmt.Errorf("max_body %d: use between 0 and %d bytes", t.MaxBody, maxPurchaseBody)
	case t.MaxBody == 0:
		t.MaxBody = defaultPurchaseBody
	}
	return nil
}

// rules reads the budgets.
func (t *Transport) rules() ([]budget.Rule, error) {
	var rules []budget.Rule
	for _, text := range t.Budget {
		limit, err := budget.ParseLimit(text)
		if err != nil {
			return nil, fmt.Errorf("budget: %w", err)
		}
		rules = append(rules, budget.Rule{Limit: limit})
	}
	for _, text := range t.HostBudget {
		rule, err := budget.ParseHostLimit(text)
		if err != nil {
			return nil, fmt.Errorf("host_budget: %w", err)
		}
		rules = append(rules, rule)
	}
	if len(rules) == 0 {
		return nil, errors.New("budget is missing: say what may be spent at most, such as `budget 5000 sat per 24h`")
	}
	return rules, nil
}

// RoundTrip sends a request to the upstream and pays for it where that is asked and allowed. Health
// checks are never paid for.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.HTTP.SetScheme(req)
	if !ofClient(req) {
		return t.HTTP.RoundTrip(req)
	}
	resp, err := t.buyer.RoundTrip(req, t.HTTP)
	var refusal *buyer.Refusal
	if errors.As(err, &refusal) {
		return notBought(req, refusal), nil
	}
	return resp, err
}

// ofClient tells requests of clients from health checks, which have the server in their context, too, but
// none of the variables that a server makes for each request.
func ofClient(req *http.Request) bool {
	_, ok := req.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	return ok
}

// TLSEnabled implements reverseproxy.TLSTransport.
func (t *Transport) TLSEnabled() bool { return t.HTTP != nil && t.HTTP.TLSEnabled() }

// EnableTLS implements reverseproxy.TLSTransport.
func (t *Transport) EnableTLS(base *reverseproxy.TLSConfig) error { return t.inner().EnableTLS(base) }

// EnableH2C implements reverseproxy.H2CTransport.
func (t *Transport) EnableH2C() error { return t.inner().EnableH2C() }

func (t *Transport) inner() *reverseproxy.HTTPTransport {
	if t.HTTP == nil {
		t.HTTP = new(reverseproxy.HTTPTransport)
	}
	return t.HTTP
}

// OverrideHealthCheckScheme implements reverseproxy.HealthCheckSchemeOverriderTransport.
func (t *Transport) OverrideHealthCheckScheme(base *url.URL, port string) {
	t.HTTP.OverrideHealthCheckScheme(base, port)
}

// RequestHeaderOps implements reverseproxy.RequestHeaderOpsTransport.
func (t *Transport) RequestHeaderOps() *headers.HeaderOps { return t.HTTP.RequestHeaderOps() }

// Cleanup closes idle connections.
func (t *Transport) Cleanup() error {
	if t.HTTP == nil {
		return nil
	}
	return t.HTTP.Cleanup()
}

// buys notes a transport that spends, for the status.
func (a *App) buys(t *Transport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.buyers = append(a.buyers, t)
}

// accountFacts is what a budget of a transport still allows.
type accountFacts struct {
	Account       string          `json:"account"`
	Network       wallets.Network `json:"network"`
	Host          string          `json:"host,omitempty"`
	LimitMsat     uint64          `json:"limit_msat"`
	WindowSeconds int64           `json:"window_seconds"`
	SpentMsat     uint64          `json:"spent_msat"`
	LeftMsat      uint64          `json:"left_msat"`
}

// accountTimeout bounds what the status reads of the accounts.
const accountTimeout = 2 * time.Second

// accounts tells what the budgets of all transports still allow.
func (a *App) accounts(ctx context.Context) ([]accountFacts, error) {
	a.mu.Lock()
	buyers := slices.Clone(a.buyers)
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, accountTimeout)
	defer cancel()
	facts := []accountFacts{}
	for _, t := range buyers {
		network := t.buyer.Client.Wallet.Network
		left, err := t.account.Report(ctx, network)
		if err != nil {
			return facts, err
		}
		for _, l := range left {
			facts = append(facts, accountFacts{
				Account: t.Account, Network: network, Host: l.Host, LimitMsat: uint64(l.Amount),
				WindowSeconds: int64(l.Window.Seconds()), SpentMsat: uint64(l.Spent), LeftMsat: uint64(l.Left),
			})
		}
	}
	return facts, nil
}

// Guards.
var (
	_ caddy.Module                                     = (*Transport)(nil)
	_ caddy.Provisioner                                = (*Transport)(nil)
	_ caddy.CleanerUpper                               = (*Transport)(nil)
	_ http.RoundTripper                                = (*Transport)(nil)
	_ reverseproxy.TLSTransport                        = (*Transport)(nil)
	_ reverseproxy.H2CTransport                        = (*Transport)(nil)
	_ reverseproxy.HealthCheckSchemeOverriderTransport = (*Transport)(nil)
	_ reverseproxy.RequestHeaderOpsTransport           = (*Transport)(nil)
)
