package caddyl402

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
)

// The codes of problems that are not refusals of a token. They are stable.
const (
	codePaymentRequired = "payment_required"
	codePaymentPending  = "payment_pending"
	codeInvoiceExpired  = "invoice_expired"
	codeTooMany         = "too_many_requests"
	codeUnavailable     = "wallet_unavailable"
	codeNoPayee         = "payee_unknown"
)

// errPending and errInvoiceExpired refuse a token whose payment the wallet was asked for.
var (
	errPending        = errors.New("The invoice of this token has not been paid yet.")
	errInvoiceExpired = errors.New("The invoice of this token expired unpaid.")
)

const (
	curePay   = "Pay the invoice, then repeat the request with the header `Authorization: L402 <token>:<preimage>`."
	cureWait  = "Pay the invoice that came with this token, then repeat the request."
	cureLater = "Try again after the time that Retry-After tells."
)

// paymentRequired is the 402 for a refusal.
func paymentRequired(refusal error, offer *paywall.Offer) *paywall.Problem {
	p := &paywall.Problem{
		Status: http.StatusPaymentRequired, Title: "Payment Required",
		Code: l402.Code(refusal), Detail: refusal.Error(), Cure: curePay, Offer: offer,
	}
	switch {
	case errors.Is(refusal, l402.ErrNoCredential):
		p.Code, p.Detail = codePaymentRequired, "This resource is for sale."
	case errors.Is(refusal, errPending):
		p.Code, p.Cure = codePaymentPending, cureWait
	case errors.Is(refusal, errInvoiceExpired):
		p.Code = codeInvoiceExpired
	}
	return p
}

// tooMany is the 429 for a client over its limit.
func tooMany(wait time.Duration, refusal error) *paywall.Problem {
	p := &paywall.Problem{
		Status: http.StatusTooManyRequests, Title: "Too Many Requests", Code: codeTooMany,
		Detail:     "This client asked for too many invoices.",
		Cure:       cureLater + " A request with a valid token passes at any time.",
		RetryAfter: wait,
	}
	if !errors.Is(refusal, l402.ErrNoCredential) {
		p.Detail = "This client sent too many credentials that were refused, the last one because: " + refusal.Error()
	}
	return p
}

// unavailable is the 503 while no invoice can be made or no payment looked up.
func unavailable(wait time.Duration) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusServiceUnavailable, Title: "Payments Unavailable", Code: codeUnavailable,
		Detail: "The wallet of this service cannot be reached at the moment.",
		Cure:   cureLater + " A request with a valid token and its preimage passes at any time.", RetryAfter: wait,
	}
}

// noPayee is the 503 for a request that does not tell whom to pay.
func noPayee() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusServiceUnavailable, Title: "Payments Unavailable", Code: codeNoPayee,
		Detail: "There is nobody who could be paid for this resource.", RetryAfter: time.Minute,
	}
}
