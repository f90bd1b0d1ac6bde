package caddyl402

import (
	"net"
	"net/http"

	"github.com/caddy-l402/caddy-l402/internal/client/netrc"
	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
)

// preimageLength is that of a preimage in hex, with the colon in front of it.
const preimageLength = 1 + 64

// hasLine tells whether a token can stand in a netrc and open this route from there: as the password
// of the scheme Basic.
func (h *Handler) hasLine(r *http.Request, token string) bool {
	line, err := netrc.Line(netrcHost(r), token)
	return err == nil && h.forms&l402.FormBasic != 0 && len(line) <= netrc.MaxLine-preimageLength
}

// netrcLine is the page with the line for a paid token. Without the preimage the token stands alone:
// that the wallet told of the payment is written down with its first use. It returns nil where no
// line can be had.
func (h *Handler) netrcLine(r *http.Request, token, proof string) *paywall.Problem {
	if !h.hasLine(r, token) {
		return nil
	}
	if proof != "" {
		token += ":" + proof
	}
	line, err := netrc.Line(netrcHost(r), token)
	if err != nil {
		return nil
	}
	return &paywall.Problem{
		Status: http.StatusOK, Title: "Paid", Code: "paid",
		Detail: "This line lets curl, git, nix, pip, apt and other programs in. It is as good as money.",
		Cure:   "Put it into ~/.netrc, or into the file that netrc-file in nix.conf names.",
		Netrc:  line, Look: h.look,
	}
}

// netrcHost is the host as a netrc knows it: without the port.
func netrcHost(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}
