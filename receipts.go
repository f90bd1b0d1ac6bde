package caddyl402

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(Receipts))
	httpcaddyfile.RegisterHandlerDirective("l402_receipts", parseReceiptsDirective)
	httpcaddyfile.RegisterDirectiveOrder("l402_receipts", httpcaddyfile.After, "forward_auth")
}

// Receipts answers requests for receipts and for the public keys that they can be checked with,
// and passes all others on:
//
//	/.well-known/l402/receipts/<payment hash>   for whoever shows a token of the payment
//	/.well-known/l402/keys.json                 for everybody
//
// A receipt is for whoever shows a token of the payment, in any form that the gate takes, with its
// preimage or after the wallet told of the payment. The token may be expired, used up or revoked.
// Answers: 200 with JSON, or with the bare JWS for `Accept: application/jose`; 401 without such a
// token, 404 where no payment is recorded, 429 and 503.
//
// In a Caddyfile each site with an l402 directive has it already. The directive l402_receipts adds
// it where l402 stands in a block that such paths do not reach.
type Receipts struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (*Receipts) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.l402_receipts",
		New: func() caddy.Module { return new(Receipts) },
	}
}

// Provision finds the app, which holds the keys and the ledger.
func (h *Receipts) Provision(ctx caddy.Context) error {
	app, err := ctx.App("l402")
	if err != nil {
		return err
	}
	h.app = app.(*App)
	return nil
}

// ServeHTTP answers what is asked of the desk.
func (h *Receipts) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if question := deskQuestion(r); question != "" {
		h.app.desk.serve(w, r, question)
		return nil
	}
	return next.ServeHTTP(w, r)
}

const (
	deskPrefix   = "/.well-known/l402/"
	deskKeys     = "keys.json"
	deskReceipts = "receipts/"
)

// deskQuestion is what a request asks of the desk: "keys.json", "receipts/<something>" or nothing.
// The path counts as the client sent it, too: a site that rewrites all unknown paths to a page of
// its own has receipts all the same.
func deskQuestion(r *http.Request) string {
	if question := questionIn(r.URL.Path); question != "" {
		return question
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return questionIn(original.URL.Path)
	}
	return ""
}

func questionIn(path string) string {
	question, ok := strings.CutPrefix(path, deskPrefix)
	if !ok {
		return ""
	}
	if hash, ok := strings.CutPrefix(question, deskReceipts); question == deskKeys || ok && hash != "" && !strings.Contains(hash, "/") {
		return question
	}
	return ""
}

// parseReceiptsDirective reads
//
//	l402_receipts [<matcher>]
func parseReceiptsDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next()
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	if h.NextBlock(0) {
		return nil, h.Errf("l402_receipts has no options, so remove %q", h.Val())
	}
	return new(Receipts), nil
}

// receiptsKey is where a block of a Caddyfile notes that its site has receipts.
const receiptsKey = "l402.receipts"

// receiptsRoute is the route that an l402 directive brings along, or nothing where the block or one
// around it has it already.
func receiptsRoute(h httpcaddyfile.Helper) []httpcaddyfile.ConfigValue {
	if site, ok := siteOf(h); ok {
		if known, ok := h.BlockState[receiptsKey].(uintptr); ok && known == site {
			return nil
		}
		h.BlockState[receiptsKey] = site
	}
	return h.NewRoute(nil, new(Receipts))
}

// Guards.
var (
	_ caddy.Module                = (*Receipts)(nil)
	_ caddy.Provisioner           = (*Receipts)(nil)
	_ caddyhttp.MiddlewareHandler = (*Receipts)(nil)
)
