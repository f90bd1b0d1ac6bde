package caddyl402

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/internal/free"
	"github.com/caddy-l402/caddy-l402/internal/limit"
	"github.com/caddy-l402/caddy-l402/internal/meter"
	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler charges for the requests that reach it. A request with a paid token goes on to the
// next handler, at the cost of a check in memory. Any other request is answered here and never
// goes on:
//
//   - 402 with a fresh invoice and token for a request without a valid credential, or with the
//     same invoice again for the holder of its unpaid token;
//   - 429 with Retry-After for a client that caused too many invoices or refusals;
//   - 503 with Retry-After while no invoice can be made, or nobody is known who could be paid.
//
// On a site with error routes (handle_errors) these answers are errors of that status instead,
// with the challenge's headers already set. Preflights and requests that `exempt` matches pass.
//
// Placeholders: {http.l402.service}, .tier, .token_id, .payment_hash and .valid_until of the
// token that passed, which also sets {http.auth.user.id} to the token's id; on a refusal
// {http.l402.code}, .detail, .cure, .price_sat, .price_msat, .invoice, .macaroon and .terms.
type Handler struct {
	// What a payment costs: a number and a unit, such as "10 sat", "1500 msat" or
	// "0.0001 btc". The number may be a placeholder, such as "{http.vars.sat} sat"; then min and
	// max are required, and a token opens requests for which the placeholder gives the price
	// that it was sold at. Required.
	Price string `json:"price,omitempty"`

	// The prices of requests that match something. The first row that matches counts, and the
	// handler's price where none does. A token opens the requests of the row that it was sold
	// for.
	Prices []PriceRow `json:"prices,omitempty"`

	// A price for each begun part of a size, besides the handler's price: of what a request
	// uploads or, for GET, of what would be sent, which the next handlers are asked for with HEAD.
	// Min and max then raise and lower the price instead of refusing it, and what tells no size
	// costs the max. A token opens the method and the address that it was sold for, up to the size.
	// Default: none.
	PerSize *PerSize `json:"per_size,omitempty"`

	// The least price of a request. A request that names less is refused. Default: none.
	Min string `json:"min,omitempty"`

	// The greatest price of a request. A request that names more is refused. Default: none.
	Max string `json:"max,omitempty"`

	// What else the route sells: bundles, longer times and higher tiers. A client asks for one with
	// the header X-L402-Offer or, where it has no headers, with l402_offer in the query. Default:
	// nothing.
	Offers []Offer `json:"offers,omitempty"`

	// The name of the wallet that is paid, as declared in the l402 app. With a placeholder,
	// such as {http.vars.tenant}, each request names its own; tokens are then bound to it, and
	// a request that names none is answered 503. Default: the app's default wallet.
	Wallet string `json:"wallet,omitempty"`

	// The service that a token opens: letters, digits, '-', '_' and '.'. Handlers with the
	// same service accept each other's tokens and must sell them on the same terms. Default:
	// "default".
	Service string `json:"service,omitempty"`

	// The tier of the service, from 0 to 255. A token opens the tier that it was sold for
	// and no other. Default: 0.
	Tier uint8 `json:"tier,omitempty"`

	// The capabilities that a token sold here carries, and that a token must carry here.
	Capabilities []string `json:"capabilities,omitempty"`

	// How long a token is valid, from the challenge on. Default: 24h; 365d where uses or bytes
	// are limited.
	Valid caddy.Duration `json:"valid,omitempty"`

	// How many requests a payment buys; 1 is pay per request. Uses are counted by payment, and
	// over all instances that share Caddy's storage. Default: no limit.
	Uses uint64 `json:"uses,omitempty"`

	// How many bytes of answers a payment buys. Default: no limit.
	Bytes uint64 `json:"bytes,omitempty"`

	// When a use is spent: "success", when an answer below 500 begins, or "always", which is for
	// upstreams whose work costs something: a client that goes away pays too. Default: "success".
	Charge string `json:"charge,omitempty"`

	// What a token is bound to besides the service: "host" (the request's host), "path" (host
	// and exact path) or "any" (nothing else). Default: "any" where a service is named, else
	// "host".
	Scope string `json:"scope,omitempty"`

	// The invoice's description; placeholders are replaced. At most 639 bytes are used.
	// Default: "<service> at <host>".
	Memo string `json:"memo,omitempty"`

	// How long an invoice can be paid; never longer than the token is valid. Default: 10m.
	InvoiceExpiry caddy.Duration `json:"invoice_expiry,omitempty"`

	// The schemes of the challenge, of "L402", "LSAT" and "Payment", in the order of the header
	// lines. LSAT is wanted by very old clients only, and its line breaks some newer ones.
	// Payment stands behind the others wherever it is named here, since a client would pay
	// again and again otherwise, and before them for a client that asks for it with
	// Accept-Payment. What it has no words for, such as a price that is no whole satoshi, is
	// offered by L402. Default: L402 and Payment; L402 alone where the credentials leave
	// payment out.
	Schemes []string `json:"schemes,omitempty"`

	// The forms of credential that are accepted, of "l402", "lsat", "bearer", "basic",
	// "macaroon", "cookie", "payment" and "cashu", which is ecash. Default: all.
	Credentials []string `json:"credentials,omitempty"`

	// Whether ecash is taken: "on" or "off". Default: "on" where the app names mints.
	Cashu string `json:"cashu,omitempty"`

	// How many invoices are made beforehand while there is demand, so that a challenge does
	// not wait for the wallet; -1 makes none. Default: 4.
	Prefetch int `json:"prefetch,omitempty"`

	// How many invoices and refused credentials a client gets, counted by service and by IPv4
	// address or IPv6 /64. A valid credential always passes. Default: 120 in 1m.
	Limit *Limit `json:"limit,omitempty"`

	// How many requests without a credential are free, by client. Instances that share Caddy's
	// storage tell each other what they counted every five seconds, so that a client who goes
	// to several gets more for at most that long. Default: none.
	Free *Free `json:"free,omitempty"`

	// Lets everything pass and only tells what would have happened: in the header
	// X-L402-Dry-Run and in the metrics. No wallet is asked and nothing is spent.
	DryRun bool `json:"dry_run,omitempty"`

	// What an unpaid request gets while no invoice can be made: "503" or "pass", which lets
	// it through for free. Default: "503".
	OnWalletError string `json:"on_wallet_error,omitempty"`

	// Whether the upstream sees the credential: "strip" or "keep". Default: "strip".
	UpstreamCredentials string `json:"upstream_credentials,omitempty"`

	// The methods that are charged; other methods pass for free. HEAD is charged where GET
	// is. Default: all methods.
	Methods []string `json:"methods,omitempty"`

	// Requests that match are free. Default: the path /.well-known/*, where proofs of domain
	// ownership and manifests lie.
	ExemptRaw caddyhttp.RawMatcherSets `json:"exempt,omitempty" caddy:"namespace=http.matchers"`

	// Charges for everything, /.well-known/* too.
	NoExemptions bool `json:"no_exemptions,omitempty"`

	// Leaves receipts and the keys that they can be checked with to others: by default this
	// handler answers for /.well-known/l402/receipts/<payment hash> and
	// /.well-known/l402/keys.json where such requests reach it.
	NoReceipts bool `json:"no_receipts,omitempty"`

	// Leaves the description of what is for sale to others: by default this handler answers for
	// /.well-known/l402.json, /.well-known/l402-services and /.well-known/l402.txt where such
	// requests reach it.
	NoManifest bool `json:"no_manifest,omitempty"`

	// How the route is described there. Default: by its paths, methods, price and terms.
	Discovery *Discovery `json:"discovery,omitempty"`

	// What a caveat that is not known means: "refuse" or "skip", the literal reading of the
	// L402 specification. Default: "refuse", so that a holder's restriction means something.
	UnknownCaveats string `json:"unknown_caveats,omitempty"`

	// How the payment page for browsers looks. Default: the app's page.
	Page *Page `json:"page,omitempty"`

	app     *App
	logger  *zap.Logger
	cashier *cashier.Cashier
	limiter *limit.Limiter

	freeCounter *free.Counter

	price    lnwire.MilliSatoshi // zero where it depends on the request
	tariff   *tariff             // nil where it does not
	source   priceSource         // nil where memory tells the price
	choices  []choice            // the base first; nil where there are no offers
	byMethod bool                // the price may depend on the method
	forms    l402.Form
	gate     gate
	exempt   caddyhttp.MatcherSets
	notMoney bool
	till     *till // nil where no ecash is taken
	// takesCashu says that the credentials name cashu.
	takesCashu bool
	look       *paywall.Look
	closing    context.Context    // ends when the server begins to shut down
	paid       prometheus.Counter // resolved once: it counts every paid request

	// matcherToken reads a matcher by its name, while a Caddyfile is adapted.
	matcherToken func() (caddy.ModuleMap, bool, error)
}

// Limit is a number of events in a time.
type Limit struct {
	// Turns the limit off.
	Off bool `json:"off,omitempty"`

	// How many events are allowed in a window, at once or spread.
	Events int `json:"events,omitempty"`

	// The window.
	Window caddy.Duration `json:"window,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.l402",
		New: func() caddy.Module { return new(Handler) },
	}
}

// ServeHTTP is a request's way through the gate.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if question := deskQuestion(r); question != "" && !h.NoReceipts {
		h.app.desk.serve(w, r, question)
		return nil
	}
	if kind := askedFor(r, wellKnown); kind != noDocument && !h.NoManifest && h.app.describe(w, r, kind) {
		return nil
	}
	if h.isCheckout(r) && !h.DryRun {
		return h.serveCheckout(w, r)
	}
	if paywall.IsPreflight(r) {
		return servePreflight(w, r, next)
	}
	h.settleMethod(r.Header)
	if h.free(r) {
		return h.give(w, r, next)
	}

	if h.DryRun {
		return h.rehearse(w, r, next)
	}
	to, err := h.dealOf(r)
	if err != nil {
		return h.nobodyToPay(w, r, err)
	}

	var grant l402.Grant
	unproven, refusal := h.check(r, &to, &grant)
	if refusal == nil {
		return h.admit(w, r, next, to, &grant)
	}
	if ecash := h.ecashOf(r); len(ecash) > 0 {
		return h.cashIn(w, r, next, to, ecash)
	}
	if refusal == l402.ErrNoCredential && h.gift(w, r) {
		return h.give(w, r, next)
	}
	if !errors.Is(refusal, l402.ErrPreimageMissing) {
		return h.challenge(w, r, next, to, refusal)
	}

	// The token is good and nothing proves its payment: the wallet knows.
	return h.detect(w, r, next, to, &grant, unproven)
}

// admit lets a paid request go on, unless its token was revoked or is used up.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to deal, g *l402.Grant) error {
	if h.app.revoked(g) {
		return h.challenge(w, r, next, to, l402.ErrRevoked)
	}
	h.settledByUse(g, to)
	if h.source != nil {
		if s, ok := h.source.(*sized); ok {
			return h.admitSized(s, w, r, next, to, g)
		}
	}
	return h.let(w, r, next, to, g)
}

// let lets a paid request go on, at the cost of a use where the token has a number of them.
func (h *Handler) let(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to deal, g *l402.Grant) error {
	if (g.Uses > 0 || g.Bytes > 0) && !passageOf(r).isCharged(g.PaymentHash) {
		return h.serveMetered(w, r, next, to, g)
	}
	return h.pass(w, r, next, g, nil)
}

// revoked tells whether the operator took a token back.
func (a *App) revoked(g *l402.Grant) bool {
	book := a.books.Ledger()
	return book != nil && book.Revoked(g.TokenID, g.PaymentHash, g.Service, g.TokenID.MintedAt())
}

// pass hands an admitted request to the upstream.
func (h *Handler) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, g *l402.Grant, charged *meter.Writer) error {
	h.paid.Inc()
	tellLife(w, r, g)
	p := enter(r, h, g)
	p.keepPrivate(w, r)
	if charged != nil {
		p.charged = append(p.charged, charge{g.PaymentHash, charged})
	}
	if h.UpstreamCredentials != "keep" {
		p.strip(r.Header, h.forms)
		if h.till != nil {
			p.stripEcash(r.Header)
		}
	}
	if c := h.logger.Check(zap.DebugLevel, "paid request"); c != nil {
		c.Write(zap.String("service", h.Service), zap.Stringer("payment_hash", g.PaymentHash))
	}
	return next.ServeHTTP(receiptOf(w, r, g), r)
}

// terms is what two handlers that share a product must agree on.
func (h *Handler) terms() terms {
	t := terms{
		Service: h.Service, Tier: h.Tier, Capabilities: h.Capabilities,
		Price: h.price, Wallet: h.Wallet, Valid: time.Duration(h.Valid), Scope: h.Scope,
		Uses: h.Uses, Bytes: h.Bytes,
	}
	switch {
	case h.tariff != nil:
		t.Tariff = h.tariff.text
	case h.source != nil:
		t.Tariff = h.source.String()
	}
	return t
}
