package caddyl402

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
)

// The codes of problems that are about receipts. They are stable.
const (
	codeReceiptUnknown     = "receipt_unknown"
	codeReceiptCredential  = "receipt_credential"
	codeReceiptUnavailable = "receipt_unavailable"
	codeMethod             = "method_not_allowed"
)

// errOtherPayment refuses a good token of another payment.
var errOtherPayment = errors.New("The token belongs to another payment.")

// receiptRefused is the 401 for a request that shows no token of the payment.
func receiptRefused(refusal error) *paywall.Problem {
	p := &paywall.Problem{
		Status: http.StatusUnauthorized, Title: "Unauthorized", Code: l402.Code(refusal), Detail: refusal.Error(),
		Cure: "Send the token of this payment with its preimage: `Authorization: L402 <token>:<preimage>`. It may be expired or used up.",
	}
	switch {
	case errors.Is(refusal, l402.ErrNoCredential):
		p.Code, p.Detail = codeReceiptCredential, "A receipt is for whoever paid."
	case errors.Is(refusal, errOtherPayment):
		p.Code = codeReceiptCredential
	}
	return p
}

// noReceipt is the 404 for a payment that is not recorded.
func noReceipt(detail string) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusNotFound, Title: "Not Found", Code: codeReceiptUnknown, Detail: detail,
		Cure: "A payment is recorded when its token is used for the first time, if not sooner: use it, then ask again.",
	}
}

// noReceiptNow is the 503 while storage does not work.
func noReceiptNow(wait time.Duration) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusServiceUnavailable, Title: "Receipts Unavailable", Code: codeReceiptUnavailable,
		Detail: "Receipts cannot be made at the moment.", Cure: cureLater, RetryAfter: wait,
	}
}

// tooManyReceipts is the 429 for a client that asked for what it does not get, again and again.
func tooManyReceipts(wait time.Duration) *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusTooManyRequests, Title: "Too Many Requests", Code: codeTooMany,
		Detail: "This client asked for too many receipts that it does not get.", Cure: cureLater, RetryAfter: wait,
	}
}

// methodRefused is the 405.
func methodRefused() *paywall.Problem {
	return &paywall.Problem{
		Status: http.StatusMethodNotAllowed, Title: "Method Not Allowed", Code: codeMethod,
		Detail: "Receipts and keys can only be read.", Cure: "Use GET.",
	}
}
