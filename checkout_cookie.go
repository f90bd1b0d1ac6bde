package caddyl402

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

// maxCookie is the longest value of a cookie that browsers keep everywhere, with room for its name.
const maxCookie = 3900

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
	path := "/"
	if h.Scope == scopePath || h.source != nil {
		path = cookiePath(originalRequest(r).URL.EscapedPath())
	}
	http.SetCookie(w, &http.Cookie{
		Name: h.cookieName(to), Value: value, Path: path, MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: isHTTPS(r), SameSite: http.SameSiteLaxMode,
	})
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
