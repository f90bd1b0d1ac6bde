package caddyl402

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/internal/watch"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
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
	codeCheckout        = "checkout_refused"
	codeUnsellable      = "address_unsellable"
	codeRateUnknown     = "rate_unavailable"
	codePriceUnknown    = "price_unknown"
	codePriceRefused    = "price_refused"
	codeNothing         = "nothing_to_sell"
	codeOfferUnknown    = "offer_unknown"
	codeNoLength        = "length_required"
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

// What cures refusals that another payment does not cure, or not first.
const (
	cureToken   = "If you paid, do not pay again: send `Authorization: L402 <token>:<preimage>`, the token as it came."
	cureCaveats = "Send the token without the caveats that were added to it. If there are none, pay the invoice."
	cureBack    = "If you paid, do not pay again: send the challenge back as it came, with the preimage as 64 lower-case hex digits."
)

// refusalCures are these cures, by the code of the refusal.
var refusalCures = map[string]string{
	l402.Code(l402.ErrPreimageMissing): "If the token's invoice is paid, send its preimage too: " +
		"`Authorization: L402 <token>:<preimage>`. Else pay the invoice.",
	l402.Code(l402.ErrPreimageMismatch):       "Send the preimage of this very token's invoice. Paying again does not help.",
	l402.Code(l402.ErrMalformedCredential):    cureToken,
	l402.Code(l402.ErrMalformedToken):         cureToken,
	l402.Code(l402.ErrTokenTooLong):           cureToken,
	l402.Code(l402.ErrUnknownCaveat):          cureCaveats,
	l402.Code(l402.ErrMalformedCaveat):        cureCaveats,
	l402.Code(l402.ErrConflictingCaveats):     cureCaveats,
	l402.Code(l402.ErrWrongHost):              "Use the token at the host that it was bought for, or pay the invoice for this one.",
	l402.Code(l402.ErrWrongPath):              "Use the token at the path that it was bought for, or pay the invoice for this one.",
	l402.Code(l402.ErrRevoked):                "Ask the operator why, or pay the invoice for a new token.",
	l402.Code(payment.ErrMalformedCredential): cureBack,
	l402.Code(payment.ErrTooLong):             cureBack,
	l402.Code(payment.ErrInvalidChallenge):    cureBack,
}

// paymentRequired is the 402 for a refusal.
func paymentRequired(refusal error, offer *paywall.Offer) *paywall.Problem {
	p := &paywall.Problem{
		Status: http.StatusPaymentRequired, Title: "Payment Required",
		Code: l402.Code(refusal), Detail: refusal.Error(), Cure: curePay, Offer: offer,
	}
	if cure, ok := refusalCures[p.Code]; ok {
		p.Cure, p.CureFirst = cure, true
	}
	switch {
	case errors.Is(refusal, l402.ErrNoCredential):
		p.Code, p.Detail = codePaymentRequired, "This resource is for sale."
	case errors.Is(refusal, errPending):
		p.Code, p.Cure = codePaymentPending, cureWait
	case errors.Is(refusal, errInvoiceExpired):
		p.Code = codeInvoiceExpired
	}
	if offer != nil && offer.ChallengeID != "" {
		p.Type = problemType(refusal)
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

// unsellable is the 400 for a request whose host or path no token can be bound to.
func unsellable() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusBadRequest, Title: "Bad Request", Code: codeUnsellable,
		Detail: "A token is bound to the host or the path of the request, and this one has no host or too long an address.",
		Cure:   "Name the host, and use a shorter address.",
	}
}

// ambiguous is the 400 for an address that an upstream may read as one with another price.
func ambiguous() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusBadRequest, Title: "Bad Request", Code: codeUnsellable,
		Detail: "The address can be read in two ways that have different prices.",
		Cure:   "Write the path without %25, backslashes, semicolons, dot segments and empty ones, and each parameter and header once.",
	}
}

// priceUnknown is the 503 for a request whose price the operator's side does not tell now.
func priceUnknown() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusServiceUnavailable, Title: "Price Unknown", Code: codePriceUnknown,
		Detail: "What this request costs is not known at the moment.", Cure: cureLater, RetryAfter: 10 * time.Second,
	}
}

// rateUnknown is the 503 while there is no exchange rate for a price in a currency.
func rateUnknown(wait time.Duration) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusServiceUnavailable, Title: "Price Unknown", Code: codeRateUnknown,
		Detail: "The exchange rate for the price of this request is not known at the moment.",
		Cure:   cureLater + " A request with a valid token passes at any time.", RetryAfter: wait,
	}
}

// offerUnknown is the 400 for a request that asks for an offer that there is not.
func offerUnknown(names string) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusBadRequest, Title: "Bad Request", Code: codeOfferUnknown,
		Detail: "The request asks for an offer that there is not.", Cure: "Ask for one of: " + names + ".",
	}
}

// nothingThere is the 404 for an address at which there is nothing to sell.
func nothingThere() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusNotFound, Title: "Not Found", Code: codeNothing,
		Detail: "There is nothing to sell at this address.", Cure: "Look for the right address.",
	}
}

// noLength is the 411 for an upload whose price depends on its length.
func noLength() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusLengthRequired, Title: "Length Required", Code: codeNoLength,
		Detail: "The price depends on the length of the body, and the request does not tell it.",
		Cure:   "Send the header Content-Length.",
	}
}

// priceRefused is the 400 for a request that names a price which is none or out of bounds.
func priceRefused(t *tariff) *paywall.Problem {
	p := &paywall.Problem{
		Status: http.StatusBadRequest, Title: "Bad Request", Code: codePriceRefused,
		Detail: "This request names its own price, and what it names is no price that is accepted.",
		Cure:   "Name a plain decimal number.",
	}
	if t != nil {
		p.Cure = "Name a plain decimal number that is worth " + pricing.Format(t.least) + " to " + pricing.Format(t.most) + "."
	}
	return p
}

// checkoutRefused is the 403 for a request of a payment page that is not answered.
func checkoutRefused(refusal error) *paywall.Problem {
	p := &paywall.Problem{
		Status: http.StatusForbidden, Title: "Forbidden", Code: codeCheckout, Detail: refusal.Error(),
		Cure: "Load the page again.",
	}
	if code := l402.Code(refusal); code != "internal" {
		p.Code = code
	}
	return p
}

// watchedOut is the 429 or 503 for a watcher too many.
func watchedOut(refusal error) *paywall.Problem {
	p := &paywall.Problem{
		Status: http.StatusServiceUnavailable, Title: "Too Many Watchers", Code: codeTooMany,
		Detail: "As many payments as possible are being watched.", Cure: "Ask now and then.", RetryAfter: 10 * time.Second,
	}
	if errors.Is(refusal, watch.ErrTooMany) {
		p.Status, p.Title = http.StatusTooManyRequests, "Too Many Requests"
		p.Detail = "This client watches as many payments as it may."
	}
	return p
}

// sendAgain tells a person what to do whose form was not taken for want of a payment.
func sendAgain(state watch.State) *paywall.Problem {
	if state.Name == watch.Settled {
		return &paywall.Problem{
			Status: http.StatusOK, Title: "Paid", Code: "paid", Detail: "The payment has arrived.",
			Cure: "Go back and send the form again.",
		}
	}
	return &paywall.Problem{
		Status: http.StatusPaymentRequired, Title: "Not Paid Yet", Code: codePaymentPending, Detail: errPending.Error(),
		Cure: "Go back, pay the invoice and try again.",
	}
}
