package caddyl402

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

const (
	// headerCashu asks for ecash, carries it, and carries the change (NUT-24).
	headerCashu = "X-Cashu"
	// headerToken is the L402 token that ecash bought, as it stands in Authorization.
	headerToken = "X-L402-Token"
)

// cashuScheme is that of "Authorization: Cashu <token>".
const cashuScheme = "cashu "

func isCashu(line string) bool {
	return len(line) > len(cashuScheme) && strings.EqualFold(line[:len(cashuScheme)], cashuScheme)
}

// ecashIn lists the ecash in a request's headers.
func ecashIn(h http.Header) (found []string) {
	for _, line := range h[headerCashu] {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	for _, line := range h["Authorization"] {
		if isCashu(line) {
			found = append(found, strings.TrimSpace(line[len(cashuScheme):]))
		}
	}
	return found
}

// ecashOf lists the ecash that a request brings to this gate, or that an earlier gate kept from the
// upstream.
func (h *Handler) ecashOf(r *http.Request) []string {
	if h.till == nil {
		return nil
	}
	found := ecashIn(r.Header)
	if p := passageOf(r); p != nil && len(found) == 0 {
		found = p.ecash
	}
	return found
}

// stripEcash keeps ecash from the upstream, whose logs might tell it.
func (p *passage) stripEcash(h http.Header) {
	if found := ecashIn(h); len(found) > 0 {
		p.ecash = found
		dropEcash(h)
	}
}

// dropEcash takes ecash out of headers. The slices are replaced, never changed.
func dropEcash(h http.Header) {
	delete(h, headerCashu)
	if slices.ContainsFunc(h["Authorization"], isCashu) {
		kept := slices.DeleteFunc(slices.Clone(h["Authorization"]), isCashu)
		if len(kept) == 0 {
			delete(h, "Authorization")
		} else {
			h["Authorization"] = kept
		}
	}
}

// bought makes the request one that carries the token its ecash bought, for the gates behind this one.
func (h *Handler) bought(r *http.Request, line string) {
	p := passageOf(r)
	if p != nil {
		p.ecash = nil
	}
	dropEcash(r.Header)
	switch {
	case h.forms&l402.FormL402 == 0: // nobody would strip it
	case p != nil && p.stripped:
		p.authorization = append(slices.Clip(p.authorization), line)
	default:
		r.Header["Authorization"] = append(slices.Clip(r.Header["Authorization"]), line)
	}
}

// askForEcash adds the request for ecash to an answer. An answer that carries change has none. It returns
// whether it asks.
func (h *Handler) askForEcash(w http.ResponseWriter, r *http.Request, price lnwire.MilliSatoshi) bool {
	if len(w.Header()[headerCashu]) > 0 {
		return false
	}
	request := h.ecashRequest(price)
	if request == nil {
		return false
	}
	text, err := request.Encode()
	if err == nil {
		w.Header().Add(headerCashu, text)
		if h.till.second {
			if text, err = request.EncodeB(); err == nil {
				w.Header().Add(headerCashu, text)
			}
		}
	}
	if err != nil && cashuLogged.due() {
		h.logger.Error("no request for ecash can be written", zap.Error(err))
	}
	return err == nil
}

// ecashRequest asks for ecash over a price; nil where it cannot be paid so.
func (h *Handler) ecashRequest(price lnwire.MilliSatoshi) *token.Request {
	if h.till == nil {
		return nil
	}
	amount, ok := h.till.amount(price)
	if !ok {
		return nil
	}
	request := &token.Request{Amount: amount, Unit: h.till.unit, Mints: h.till.mints}
	if key := h.till.house.LockKey(); h.till.offline && key != nil {
		request.Lock = &token.LockOption{Kind: token.KindP2PK, Data: hex.EncodeToString(key.SerializeCompressed())}
	}
	return request
}

// cashuLogged bounds how often what cannot happen is reported.
var cashuLogged seldom

// exposeCashu lets scripts read what the answer to a payment carries.
func exposeCashu(w http.ResponseWriter, r *http.Request) {
	paywall.Expose(w.Header(), r, headerCashu, headerToken)
}
