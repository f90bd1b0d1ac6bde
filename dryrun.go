package caddyl402

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
)

// headerDryRun tells what would have happened.
const headerDryRun = "X-L402-Dry-Run"

// rehearse lets a request pass and tells, in a header and in the metrics, what the gate would
// have done. It asks no wallet, spends nothing and blocks nobody.
func (h *Handler) rehearse(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	verdict := h.verdict(r)
	metrics.rehearsed(h.Service, verdict)
	w.Header().Set(headerDryRun, verdict)
	paywall.Expose(w.Header(), r, headerDryRun)
	return h.give(w, r, next)
}

// verdict is "paid", or the code of the refusal.
func (h *Handler) verdict(r *http.Request) string {
	to, err := h.dealOf(r)
	if err != nil {
		return h.noDeal(err).Code
	}
	var grant l402.Grant
	_, refusal := h.check(r, &to, &grant)
	if refusal == nil {
		if h.app.revoked(&grant) {
			return l402.Code(l402.ErrRevoked)
		}
		return "paid"
	}
	if refusal == l402.ErrNoCredential {
		return codePaymentRequired
	}
	return l402.Code(refusal)
}
