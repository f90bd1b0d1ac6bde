package buyer

import (
	"fmt"
	"time"
)

// The codes of refusals. They are stable.
const (
	// CodeOverBudget says that a budget does not allow the payment.
	CodeOverBudget = "upstream_over_budget"
	// CodeTooDear says that the price is above the limit.
	CodeTooDear = "upstream_price_too_high"
	// CodeBadChallenge says that the challenge must not be paid.
	CodeBadChallenge = "upstream_bad_challenge"
	// CodeUnpayable says that the upstream asks for money in a way that is not understood.
	CodeUnpayable = "upstream_asks_otherwise"
	// CodePaymentFailed says that paying failed and no money left.
	CodePaymentFailed = "upstream_payment_failed"
	// CodePaymentUnknown says that the end of a payment is not known yet.
	CodePaymentUnknown = "upstream_payment_unknown"
	// CodeRefused says that the upstream took money and asks for more.
	CodeRefused = "upstream_refuses_paid_token"
	// CodeBodyTooLarge says that the request cannot be sent again after paying.
	CodeBodyTooLarge = "upstream_body_too_large"
	// CodeNoAccount says that the storage does not work, so that nothing may be spent.
	CodeNoAccount = "upstream_account_unavailable"
)

// Refusal says why a request got no answer of the upstream.
type Refusal struct {
	// Code is one of the constants.
	Code string
	// Detail is for clients and names no amount; Err is for the operator.
	Detail string
	Err    error
	// RetryAfter is when to come again; zero where that does not help.
	RetryAfter time.Duration
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.Code
	}
	return fmt.Sprintf("%s: %v", r.Code, r.Err)
}

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Err }

// details are what clients are told.
var details = map[string]string{
	CodeOverBudget:     "The upstream asks for a payment that this server's budget does not allow at the moment.",
	CodeTooDear:        "The upstream asks for more than this server pays.",
	CodeBadChallenge:   "The upstream asks for a payment that would buy nothing.",
	CodeUnpayable:      "The upstream asks for a payment in a way that this server does not understand.",
	CodePaymentFailed:  "The upstream could not be paid.",
	CodePaymentUnknown: "The upstream is being paid. Nothing is paid twice.",
	CodeRefused:        "The upstream was paid and asks for another payment.",
	CodeBodyTooLarge:   "The upstream asks for a payment, and the request is too large to be sent again after it.",
	CodeNoAccount:      "The upstream asks for a payment, and this server cannot keep account of it at the moment.",
}

func refuse(code string, err error, retry time.Duration) *Refusal {
	return &Refusal{Code: code, Detail: details[code], Err: err, RetryAfter: retry}
}

// Codes lists all codes.
func Codes() []string {
	all := make([]string, 0, len(details))
	for code := range details {
		all = append(all, code)
	}
	return all
}

// Interface guards
var _ error = (*Refusal)(nil)
