package caddyl402

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
)

// free tells whether the operator gives this request away.
func (h *Handler) free(r *http.Request) bool {
	if len(h.Methods) > 0 && !h.charges(r.Method) {
		return true
	}
	if h.NoExemptions {
		return false
	}
	if len(h.exempt) == 0 {
		return isWellKnown(r)
	}
	matched, err := h.exempt.AnyMatchWithError(r)
	return err == nil && matched // a matcher in doubt exempts nothing
}

// charges tells whether a method is charged. HEAD tells what GET costs and shows its headers,
// so it is charged with it. Methods are case-sensitive, but many upstreams take "post" for "POST".
func (h *Handler) charges(method string) bool {
	if strings.EqualFold(method, http.MethodHead) {
		method = http.MethodGet
	}
	return slices.ContainsFunc(h.Methods, func(charged string) bool { return strings.EqualFold(charged, method) })
}

// isWellKnown tells whether a path lies in /.well-known/ however the upstream reads it: a path
// that could mean another place after one more round of decoding or cleaning is not exempt.
func isWellKnown(r *http.Request) bool {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/.well-known/")
	return ok && !strings.Contains(path, "..") && !strings.Contains(path, "//") && !strings.ContainsAny(path, `%\`)
}

// servePreflight lets the upstream answer a CORS preflight, and answers for it where it does not
// allow the request. Nothing but headers gets out.
func servePreflight(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer := paywall.NewPreflightWriter(w, r)
	// A preflight has no body (the Fetch standard), and an upstream that works on whatever it is
	// sent, by any method, must not get work to do from one.
	bare := r.WithContext(r.Context())
	bare.Body, bare.ContentLength, bare.TransferEncoding, bare.Trailer = http.NoBody, 0, nil, nil
	bare.Header = r.Header.Clone()
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "Expect", "Upgrade"} {
		bare.Header.Del(name)
	}
	for _, name := range methodOverrides {
		bare.Header.Del(name)
	}
	// An upstream that refuses OPTIONS with an error is one that does not know CORS.
	_ = next.ServeHTTP(answer, bare)
	answer.Finish()
	return nil
}
