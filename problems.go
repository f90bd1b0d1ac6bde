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
	codeNotCounted      = "ledger_unavailable"
	codeInUse           = "uses_in_flight"
	codeRepeated        = "request_in_flight"
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

// notCounted is the 503 while the ledger cannot keep what is spent.
func notCounted(wait time.Duration) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusServiceUnavailable, Title: "Uses Cannot Be Counted", Code: codeNotCounted,
		Detail: "What is left of this payment cannot be counted at the moment. Nothing was spent.",
		Cure:   cureLater, RetryAfter: wait,
	}
}

// allInUse is the 429 for a request beside the last ones of a payment.
func allInUse() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusTooManyRequests, Title: "Too Many Requests", Code: codeInUse,
		Detail: "All that is left of this payment is held by requests that are still under way.",
		Cure:   "Wait for them: what they do not spend is given back.", RetryAfter: time.Second,
	}
}

// repeated is the 409 for a retry that comes before the first try ended.
func repeated() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusConflict, Title: "Conflict", Code: codeRepeated,
		Detail: "A request with this Idempotency-Key is still under way.",
		Cure:   "Wait for its answer.", RetryAfter: time.Second,
	}
}
