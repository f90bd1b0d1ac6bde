package caddyl402

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

// maxCookie is the longest value of a cookie that browsers keep everywhere, with room for its name.
const maxCookie = 3900

// maxCookies is how many bytes of tokens a browser has before those that nobody paid for are dropped.
// Caddy takes 16 KiB of headers by default, so that a browser with more is locked out of the site.
const maxCookies = 6 << 10

// cookieName is the name of the cookie for what this handler sells. A browser keeps one token of
// each product: of a service, and where the service has several, of its tier, its capabilities and
// its payee.
func (h *Handler) cookieName(to deal) string {
	name := l402.CookieName + "_" + h.Service
	if h.Tier == 0 && len(h.Capabilities) == 0 && to.binding == "" {
		return name
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%q\x00%s", h.Tier, h.Capabilities, to.binding))
	return name + "~" + hex.EncodeToString(sum[:4]) // no service's name has a "~"
}

// setCookie gives a browser a token, with its preimage or without: then the wallet tells whether it
// was paid. The cookie is for this host alone, and no script sees it.
func (h *Handler) setCookie(w http.ResponseWriter, r *http.Request, to deal, token, preimage string, life time.Duration) {
	value := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(token), "=")
	if preimage != "" {
		value += ":" + preimage
	}
	if len(value) > maxCookie || life < time.Second {
		return
	}
	name, path := h.cookieName(to), "/"
	if h.Scope == scopePath || h.source != nil || to.floats != nil && to.floats.row.program != "" {
		path = cookiePath(originalRequest(r).URL.EscapedPath())
	}
	h.makeRoom(w, r, name, path, len(name)+len(value))
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: isHTTPS(r), SameSite: http.SameSiteLaxMode,
	})
}

// makeRoom drops the oldest tokens of a service that nobody paid for, where a browser has more of them
// than fit beside a further one.
func (h *Handler) makeRoom(w http.ResponseWriter, r *http.Request, name, path string, room int) {
	cookies := slices.DeleteFunc(cookiesOf(r), func(c *http.Cookie) bool {
		return c.Name == name || !strings.HasPrefix(c.Name, l402.CookieName)
	})
	for _, c := range cookies {
		room += len(c.Name) + len(c.Value)
	}
	for _, c := range cookies {
		if room <= maxCookies {
			return
		}
		if strings.HasPrefix(c.Name, l402.CookieName+"_"+h.Service+"~") && !h.mayBePaid(c) {
			http.SetCookie(w, &http.Cookie{Name: c.Name, Path: path, MaxAge: -1})
			room -= len(c.Name) + len(c.Value)
		}
	}
}

// mayBePaid tells whether a cookie's token is paid as far as memory tells.
func (h *Handler) mayBePaid(c *http.Cookie) bool {
	var credential l402.Credential
	reader := l402.NewReader(http.Header{"Cookie": {c.Name + "=" + c.Value}}, l402.FormCookie)
	if more, err := reader.Next(&credential); !more || err != nil {
		return false
	}
	id, ok := credential.Identifier()
	book := h.app.books.Ledger()
	return ok && (credential.HasPreimage || book == nil || book.Settled(id.PaymentHash))
}

// check is the gate's check. Where a browser has more tokens than are read of a request, the one for
// this product is looked for by its name.
func (h *Handler) check(r *http.Request, to *deal, grant *l402.Grant) (unproven []byte, err error) {
	unproven, refusal := h.gate.check(r, to.binding, grant)
	if refusal == nil || refusal == l402.ErrNoCredential || unproven != nil || h.forms&l402.FormCookie == 0 {
		return unproven, refusal
	}
	name := h.cookieName(*to)
	for _, c := range cookiesOf(r) {
		if c.Name != name {
			continue
		}
		unproven, err := h.gate.checkIn(r, http.Header{"Cookie": {name + "=" + c.Value}}, to.binding, grant)
		if err == nil || unproven != nil {
			return unproven, err
		}
	}
	return nil, refusal
}

// cookiesOf are the request's cookies in their order, also those that an earlier gate took out.
func cookiesOf(r *http.Request) []*http.Cookie {
	return (&http.Request{Header: credentialHeaders(r)}).Cookies()
}

// cookiePath is the path of a cookie for one page. Where the page's path has letters that a cookie's
// cannot have, it is the folder around it.
func cookiePath(path string) string {
	bad := func(c rune) bool { return c <= ' ' || c == ';' || c == ',' || c > '~' }
	if i := strings.IndexFunc(path, bad); i >= 0 {
		path = path[:strings.LastIndexByte(path[:i], '/')+1]
	}
	if path == "" || path[0] != '/' {
		return "/"
	}
	return path
}

// isHTTPS tells whether the browser speaks TLS, with this server or with a proxy that the operator
// trusts.
func isHTTPS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// encodeToken writes a token as pages hold it; nothing becomes nothing.
func encodeToken(mac []byte) string { return base64.StdEncoding.EncodeToString(mac) }

// sandboxOf is the payee's wallet if it is a sandbox and the client is on this machine, else nil.
func sandboxOf(r *http.Request, to deal) *sandbox.Wallet {
	if to.cashier == nil {
		return nil
	}
	wallet, ok := to.cashier.Wallet().(*sandbox.Wallet)
	if !ok {
		return nil
	}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if publicAddress(server) != "" {
		return nil
	}
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && !addr.Addr().Unmap().IsLoopback() {
		return nil // without an address it came through a unix socket
	}
	return wallet
}
