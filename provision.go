package caddyl402

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/l402"
)

// The defaults of a handler.
const (
	defaultService       = "default"
	defaultValid         = 24 * time.Hour
	defaultMeteredValid  = 365 * 24 * time.Hour
	defaultInvoiceExpiry = 10 * time.Minute
	defaultPrefetch      = 4
	maxPrefetch          = 1000
	maxUses              = 1 << 50
	defaultLimitEvents   = 120
	defaultLimitWindow   = time.Minute
)

// The scopes of a token.
const (
	scopeHost = "host"
	scopePath = "path"
	scopeAny  = "any"
)

// Provision checks the settings and finds the wallet. It changes nothing outside.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	app, err := ctx.App("l402")
	if err != nil {
		return fmt.Errorf("getting the l402 app: %w", err)
	}
	h.app = app.(*App)

	h.setDefaults()
	for _, step := range []func() error{h.checkPrice, h.checkTimes, h.checkWords, h.readOffers, h.checkSize, h.checkDiscovery} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := h.provisionWallet(ctx); err != nil {
		return err
	}
	if err := h.provisionExempt(ctx); err != nil {
		return err
	}
	if err := h.provisionTariff(ctx); err != nil {
		return err
	}
	if err := h.provisionPrices(); err != nil {
		return err
	}
	if h.limiter, err = h.app.limiter(h.Service); err != nil {
		return err
	}
	if h.Free != nil {
		if h.freeCounter, err = h.app.freeCounter(h.Service); err != nil {
			return err
		}
	}
	if err := h.provisionPage(); err != nil {
		return err
	}
	h.provisionCheckout(ctx)
	if err := h.provisionCashu(); err != nil {
		return err
	}
	h.byMethod = h.dependsOnMethod()
	h.paid = metrics.paidRequests.WithLabelValues(h.Service)
	h.gate = gate{keys: h.app.keys, forms: h.forms, want: l402.Want{
		Service: h.Service, Tier: h.Tier, Capabilities: h.Capabilities,
		RequireHost: h.Scope != scopeAny, RequirePath: h.Scope == scopePath,
		SkipUnknown: h.UnknownCaveats == "skip", SizedRequest: h.PerSize != nil,
	}}
	return h.app.sells(h.terms(), h.offerTerms())
}

func (h *Handler) setDefaults() {
	if h.Scope == "" {
		h.Scope = scopeAny
		if h.Service == "" {
			h.Scope = scopeHost
		}
	}
	setDefault(&h.Service, defaultService)
	if h.Uses > 0 || h.Bytes > 0 {
		setDefault(&h.Valid, caddy.Duration(defaultMeteredValid))
	}
	setDefault(&h.Valid, caddy.Duration(defaultValid))
	setDefault(&h.Charge, chargeSuccess)
	setDefault(&h.InvoiceExpiry, min(caddy.Duration(defaultInvoiceExpiry), h.Valid))
	setDefault(&h.Prefetch, defaultPrefetch)
	setDefault(&h.OnWalletError, "503")
	setDefault(&h.UpstreamCredentials, "strip")
	setDefault(&h.UnknownCaveats, "refuse")
	if len(h.Schemes) == 0 {
		h.Schemes = []string{schemeL402}
		if len(h.Credentials) == 0 || slices.Contains(h.Credentials, "payment") || slices.Contains(h.Credentials, "all") {
			h.Schemes = append(h.Schemes, schemePayment)
		}
	}
	if h.Limit == nil {
		h.Limit = &Limit{Events: defaultLimitEvents, Window: caddy.Duration(defaultLimitWindow)}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (h *Handler) checkPrice() error {
	if h.Price == "" {
		return errors.New(`no price: add one, such as "10 sat"`)
	}
	return h.readTariff()
}

func (h *Handler) checkTimes() error {
	switch valid, expiry := time.Duration(h.Valid), time.Duration(h.InvoiceExpiry); {
	case valid < time.Second:
		return fmt.Errorf("valid %v is too short: a token lives for at least 1s", valid)
	case expiry < time.Second:
		return fmt.Errorf("invoice_expiry %v is too short: nobody can pay in less than 1s", expiry)
	case expiry > valid:
		return fmt.Errorf("invoice_expiry %v is longer than valid %v: a late payer would buy a dead token",
			shortDuration(expiry), shortDuration(valid))
	case h.Uses > maxUses || h.Bytes > maxUses:
		return fmt.Errorf("uses %d, bytes %d: use at most %d", h.Uses, h.Bytes, uint64(maxUses))
	case h.Prefetch > maxPrefetch:
		return fmt.Errorf("prefetch %d: use at most %d", h.Prefetch, maxPrefetch)
	case h.Free != nil && (h.Free.Requests < 1 || time.Duration(h.Free.Window) < time.Second):
		return fmt.Errorf("free %d in %v: use a number greater than zero and a window of at least 1s",
			h.Free.Requests, time.Duration(h.Free.Window))
	case !h.Limit.Off && (h.Limit.Events < 1 || h.Limit.Window <= 0):
		return fmt.Errorf("limit of %d in %v: both must be more than zero; turn the limit off with `limit off`",
			h.Limit.Events, time.Duration(h.Limit.Window))
	}
	return nil
}

func (h *Handler) checkWords() (err error) {
	if !l402.ValidServiceName(h.Service) {
		return fmt.Errorf("service %q: use up to 64 letters, digits, '-', '_' and '.'", h.Service)
	}
	for _, capability := range h.Capabilities {
		if !l402.ValidCapability(capability) {
			return fmt.Errorf("capability %q: use letters, digits, '-', '_' and '.'", capability)
		}
	}
	for i, scheme := range h.Schemes {
		if scheme != schemeL402 && scheme != schemeLSAT && scheme != schemePayment {
			return fmt.Errorf("scheme %q: use L402, LSAT or Payment", scheme)
		}
		if slices.Contains(h.Schemes[:i], scheme) {
			return fmt.Errorf("scheme %q is named twice", scheme)
		}
	}
	for _, method := range h.Methods {
		if method == "" || strings.EqualFold(method, http.MethodHead) {
			return fmt.Errorf("method %q: HEAD is charged where GET is", method)
		}
	}
	for _, word := range []struct {
		setting, value string
		allowed        []string
	}{
		{"scope", h.Scope, []string{scopeHost, scopePath, scopeAny}},
		{"cashu", h.Cashu, []string{"", "on", "off"}},
		{"charge", h.Charge, []string{chargeSuccess, chargeAlways}},
		{"on_wallet_error", h.OnWalletError, []string{"503", "pass"}},
		{"upstream_credentials", h.UpstreamCredentials, []string{"strip", "keep"}},
		{"unknown_caveats", h.UnknownCaveats, []string{"refuse", "skip"}},
	} {
		if !slices.Contains(word.allowed, word.value) {
			return fmt.Errorf("%s %q: use one of %v", word.setting, word.value, word.allowed)
		}
	}
	h.forms = l402.FormAll
	if len(h.Credentials) > 0 {
		rest := slices.DeleteFunc(slices.Clone(h.Credentials), func(name string) bool { return name == "cashu" })
		h.takesCashu = len(rest) < len(h.Credentials) || slices.Contains(h.Credentials, "all")
		if h.forms, err = l402.ParseForms(rest...); err != nil {
			return fmt.Errorf("credentials: %w; or cashu", err)
		}
	}
	if slices.Contains(h.Schemes, schemePayment) && h.forms&l402.FormPayment == 0 {
		return errors.New("schemes names Payment, but credentials leaves payment out, so that a client would pay for nothing: " +
			"add payment to credentials or take Payment from schemes")
	}
	return nil
}

// checkSize makes sure that a token for any request can be made: one that cannot would refuse
// every client.
func (h *Handler) checkSize() error {
	to := deal{payee: payee{binding: bindingOf("", "")}}
	to.quote = quote{
		price: pricing.MaxAmount, uses: h.Uses, bytes: h.Bytes, valid: time.Duration(h.Valid), size: pricing.AnySize,
		tier: h.Tier,
	}
	for i := range h.choices {
		to.tier = max(to.tier, h.choices[i].tier)
	}
	longest := h.sold(l402.Terms{Host: strings.Repeat("x", maxBound)}, to)
	if _, err := l402.Mint(new(l402.MasterKey), l402.Identifier{}, longest.Caveats()); err != nil {
		return fmt.Errorf("capabilities: no token can hold these %d: use fewer or shorter ones: %w", len(h.Capabilities), err)
	}
	return nil
}

func (h *Handler) provisionWallet(ctx caddy.Context) error {
	if isTemplate(h.Wallet) {
		return h.provisionTenants(ctx)
	}
	wallet, err := h.app.wallet(h.Wallet)
	if err != nil {
		return err
	}
	setDefault(&h.Wallet, h.app.DefaultWallet)
	h.cashier = wallet.cashier // nil for a wallet that each request fills in
	h.notMoney, err = checkMoney(ctx, h.Wallet, wallet)
	return err
}

// provisionTenants is for a handler whose requests name one of the declared wallets.
func (h *Handler) provisionTenants(ctx caddy.Context) error {
	if len(h.app.open) == 0 {
		return fmt.Errorf("requests choose the wallet %s, but none is declared: add `wallet <name> <adapter> …` "+
			"to the global l402 options", h.Wallet)
	}
	for name, wallet := range h.app.open {
		if _, err := checkMoney(ctx, name, wallet); err != nil {
			return err
		}
	}
	return nil
}

// checkMoney tells whether a wallet's invoices are no money. Others than the operator must not
// be asked for such.
func checkMoney(ctx caddy.Context, name string, wallet *openWallet) (notMoney bool, err error) {
	if wallet.notMoney == "" {
		return false, nil
	}
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if public := publicAddress(server); public != "" {
		return true, fmt.Errorf("wallet %q %s, whose invoices are not money, and the site listens on %s, "+
			"where others reach it: declare a real wallet, or add `bind 127.0.0.1` to the site", name, wallet.notMoney, public)
	}
	return true, nil
}

// publicAddress gives the first address of a server that is not loopback, or nothing.
func publicAddress(server *caddyhttp.Server) string {
	if server == nil {
		return ""
	}
	for _, listen := range server.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		// What a socket that somebody else opened listens on is not known here.
		if err != nil || address.IsFdNetwork() || !address.IsUnixNetwork() && !isLoopback(address.Host) {
			return listen
		}
	}
	return ""
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (h *Handler) provisionExempt(ctx caddy.Context) error {
	if h.NoExemptions && len(h.ExemptRaw) > 0 {
		return errors.New("no_exemptions and exempt contradict each other: leave one of them out")
	}
	if len(h.ExemptRaw) == 0 {
		return nil
	}
	for i, set := range h.ExemptRaw {
		if len(set) == 0 {
			return fmt.Errorf("exempt: set %d has no matcher, which would make every request free", i+1)
		}
	}
	loaded, err := ctx.LoadModule(h, "ExemptRaw")
	if err != nil {
		return fmt.Errorf("loading what is exempt: %w", err)
	}
	return h.exempt.FromInterface(loaded)
}

// Guards.
var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
