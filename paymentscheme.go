package caddyl402

import (
	"errors"
	"net/http"
	"slices"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// The schemes of a challenge. All are for the same invoice and the same token.
const (
	schemeL402    = "L402"
	schemeLSAT    = "LSAT"
	schemePayment = payment.Scheme
)

// writeChallenge writes the WWW-Authenticate lines. It returns the id of the Payment challenge, or
// nothing where there is none.
func (h *Handler) writeChallenge(header http.Header, r *http.Request, c l402.Challenge, inv *wallets.Invoice) (id string) {
	var lines []string
	for _, scheme := range h.Schemes {
		switch scheme {
		case schemeL402:
			lines = append(lines, c.L402())
		case schemeLSAT:
			lines = append(lines, c.LSAT())
		}
	}
	if slices.Contains(h.Schemes, schemePayment) {
		header.Add("Vary", payment.HeaderAccept)
		line, paymentID := "", ""
		preference := preferenceOf(r)
		if preference != payment.Unwanted || len(lines) == 0 {
			line, paymentID = h.paymentLine(r, c, inv, preference)
		}
		switch {
		case line == "":
		case preference == payment.Wanted:
			lines = slices.Insert(lines, 0, line)
		default:
			lines = append(lines, line)
		}
		id = paymentID
	}
	if len(lines) == 0 {
		// The Payment scheme alone was asked for and has no words for this: see paymentLine.
		lines = []string{c.L402()}
	}
	header["Www-Authenticate"] = append(header["Www-Authenticate"], lines...)
	return id
}

// paymentLine is the challenge in the Payment scheme with its id, or nothing where the scheme has no
// words for it or the token's key is gone.
func (h *Handler) paymentLine(r *http.Request, c l402.Challenge, inv *wallets.Invoice, preference payment.Preference) (line, id string) {
	var token l402.Credential
	if token.SetMacaroon(c.Macaroon) != nil {
		return "", ""
	}
	identifier, ok := token.Identifier()
	key := h.app.keys.MasterKey(identifier.TokenID.KeyID())
	if !ok || key == nil {
		return "", ""
	}
	terms := l402.PaymentTerms{Realm: h.realm(r), Amount: inv.Amount, Expires: inv.ExpiresAt}
	if preference == payment.Wanted && authorizedElsewhere(r) {
		// The client needs Authorization for something else, and knows the newer draft.
		terms.Header = payment.HeaderAuthorization
	}
	challenge, err := c.Payment(key, terms)
	if err != nil {
		return "", ""
	}
	if line, err = challenge.Format(); err != nil {
		return "", ""
	}
	return line, challenge.ID
}

// realm names the protection space to people: what a token is bound to stands in the token. It holds
// nothing that a client may take for the end of the value.
func (h *Handler) realm(r *http.Request) string {
	host := hostOf(r)
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == ':', c == '[', c == ']', c == '_':
		default:
			return h.Service
		}
	}
	if host == "" {
		return h.Service
	}
	return host
}

func preferenceOf(r *http.Request) payment.Preference {
	return payment.Preferred(r.Header[payment.HeaderAccept], payment.Method, payment.IntentCharge)
}

// authorizedElsewhere tells whether the request carries a credential that is none of ours.
func authorizedElsewhere(r *http.Request) bool {
	foreign := http.Header{"Authorization": r.Header["Authorization"]}
	l402.Strip(foreign, l402.FormAll)
	return len(foreign["Authorization"]) > 0
}

// likelyScheme is the scheme by which a request is likely to be paid for.
func (h *Handler) likelyScheme(r *http.Request) string {
	if slices.Contains(h.Schemes, schemePayment) && (len(h.Schemes) == 1 || preferenceOf(r) == payment.Wanted) {
		return schemePayment
	}
	return schemeL402
}

// schemeOf is the scheme of the credential that a grant came from.
func schemeOf(g *l402.Grant) string {
	if g.ChallengeID != "" {
		return schemePayment
	}
	return schemeL402
}

// problemType is a refusal in the words of the Payment scheme.
func problemType(refusal error) string {
	switch refusal {
	case l402.ErrNoCredential, l402.ErrPreimageMissing, errPending:
		return payment.ProblemPaymentRequired
	case l402.ErrWrongPrice:
		return payment.ProblemPaymentInsufficient
	case l402.ErrExpired, errInvoiceExpired:
		return payment.ProblemPaymentExpired
	case l402.ErrMalformedCredential, l402.ErrTokenTooLong, l402.ErrMalformedToken, l402.ErrUnsupportedVersion,
		payment.ErrMalformedCredential, payment.ErrTooLong:
		return payment.ProblemMalformedCredential
	case l402.ErrUnknownKey, l402.ErrBadSignature, l402.ErrRevoked, l402.ErrUsedUp, l402.ErrBytesUsedUp,
		payment.ErrInvalidChallenge:
		return payment.ProblemInvalidChallenge
	}
	if errors.Is(refusal, payment.ErrMethodUnsupported) {
		return payment.ProblemMethodUnsupported
	}
	return payment.ProblemVerificationFailed
}

// methodUnsupported is the 400 for a credential of another method or intent.
func methodUnsupported(refusal error) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusBadRequest, Title: "Method Unsupported", Type: payment.ProblemMethodUnsupported,
		Code: l402.Code(refusal), Detail: refusal.Error(),
		Cure: "Ask without a credential and pay the challenge of the answer.",
	}
}
