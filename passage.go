package caddyl402

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/meter"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
)

// passageVar is the request variable that holds a request's passage.
const passageVar = "l402.passage"

// passage is what the gates on a request's way know of it. There is one for a request, made by
// the first gate that lets it pass; it is one allocation because it is made for every paid request.
type passage struct {
	handler *Handler // nil while no gate found a payment
	grant   l402.Grant

	// stripped are the credentials that were taken out of the headers, for a further gate.
	stripped                                 bool
	probing                                  bool // the request asks for a size: see sized.probe
	authorization, payment, cookie, mac, rpc []string
	ecash                                    []string

	// charged are the payments that the request was charged to, so that a second gate on its
	// way charges nothing.
	charged []charge

	// private is the value of the answer's Cache-Control: a slice of it costs no allocation.
	private [1]string
}

// charge is a payment with the answer that it is spent on.
type charge struct {
	hash  [32]byte
	meter *meter.Writer
}

// passageOf finds the request's passage, or returns nil where no gate let it pass yet.
func passageOf(r *http.Request) *passage {
	p, _ := caddyhttp.GetVar(r.Context(), passageVar).(*passage)
	return p
}

// passageFor finds the request's passage or makes it.
func passageFor(r *http.Request) *passage {
	if p := passageOf(r); p != nil {
		return p
	}
	p := new(passage)
	caddyhttp.SetVar(r.Context(), passageVar, p)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(p.placeholder)
	}
	return p
}

// enter notes that a handler lets the request pass with a grant.
func enter(r *http.Request, h *Handler, g *l402.Grant) *passage {
	p := passageFor(r)
	p.handler, p.grant = h, *g
	return p
}

// keepPrivate tells caches between the client and this server that an answer belongs to whoever
// paid. Those that follow RFC 9111 (section 3.5) know by an Authorization header; there are others
// that look at the answer alone, and no cache knows by a cookie.
func (p *passage) keepPrivate(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch control := h["Cache-Control"]; {
	case len(control) == 0:
		p.private[0] = "private"
		h["Cache-Control"] = p.private[:]
	case !slices.Contains(control, "private"):
		h["Cache-Control"] = append(control[:len(control):len(control)], "private")
	}
	if len(r.Header["Authorization"]) == 0 && slices.ContainsFunc(r.Header["Cookie"], func(line string) bool {
		return strings.Contains(line, l402.CookieName)
	}) {
		h.Add("Vary", "Cookie")
	}
}

// give lets a request pass that nobody paid for. A token that it carries all the same is for the
// gates behind this one and not for the upstream.
func (h *Handler) give(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.UpstreamCredentials != "keep" && mayCarry(r.Header) {
		passageFor(r).strip(r.Header, h.forms)
	}
	if h.UpstreamCredentials != "keep" && h.till != nil && len(ecashIn(r.Header)) > 0 {
		passageFor(r).stripEcash(r.Header)
	}
	return next.ServeHTTP(w, r)
}

// mayCarry tells whether there is any header that credentials can stand in.
func mayCarry(h http.Header) bool {
	return len(h["Authorization"])+len(h[payment.HeaderAuthorization])+len(h["Cookie"])+len(h["Macaroon"])+len(h["Grpc-Metadata-Macaroon"]) > 0
}

// strip removes our credentials from the request, so that the upstream and its logs never see a
// paid token. Foreign ones stay.
func (p *passage) strip(h http.Header, forms l402.Form) {
	if !p.stripped {
		p.stripped = true
		// Strip replaces these slices and does not change them.
		p.authorization, p.cookie = h["Authorization"], h["Cookie"]
		p.payment = h[payment.HeaderAuthorization]
		p.mac, p.rpc = h["Macaroon"], h["Grpc-Metadata-Macaroon"]
	}
	l402.Strip(h, forms)
}

// isCharged tells whether the request was charged to a payment already.
func (p *passage) isCharged(hash [32]byte) bool {
	return p != nil && slices.ContainsFunc(p.charged, func(c charge) bool { return c.hash == hash })
}

// waive gives back what the gates before charged: a gate behind them refuses the request, so that
// nothing is had for it.
func (p *passage) waive() {
	if p == nil {
		return
	}
	for _, c := range p.charged {
		c.meter.GiveBack()
	}
}

// giveBack notes that a charge was taken back: a further gate charges anew.
func (p *passage) giveBack(hash [32]byte) {
	p.charged = slices.DeleteFunc(p.charged, func(c charge) bool { return c.hash == hash })
}

// credentialHeaders are the headers that may hold credentials: those of the request, or what an
// earlier gate took out of them.
func credentialHeaders(r *http.Request) http.Header {
	p := passageOf(r)
	if p == nil || !p.stripped {
		return r.Header
	}
	return http.Header{
		"Authorization": p.authorization, "Cookie": p.cookie, payment.HeaderAuthorization: p.payment,
		"Macaroon": p.mac, "Grpc-Metadata-Macaroon": p.rpc,
	}
}
