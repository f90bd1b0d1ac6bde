package explain

import (
	"net/http"
	"strings"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
)

// isPayment tells whether a text is a challenge or a credential of the Payment scheme.
func isPayment(word string) bool { return strings.EqualFold(word, payment.Scheme) }

// payments explains the Lightning charges among the challenges of the Payment scheme, for answers
// that hold no L402 challenge: both are for the same invoice. It returns nil where there are none.
func (e *Explainer) payments(h http.Header) *Explanation {
	challenges, _ := payment.ParseChallenges(h.Values("WWW-Authenticate"))
	out := &Explanation{Kind: "challenge"}
	for _, challenge := range challenges {
		charge, err := payment.ParseChargeRequest(challenge.Request)
		if err != nil || challenge.Method != payment.Method {
			continue
		}
		var item Item
		if mac, ok := l402.PaymentToken(&challenge); ok {
			if item, err = e.describe(mac); err != nil {
				item.Problems = append(item.Problems, "the token cannot be read: "+err.Error())
			}
		}
		item.Form = "payment"
		if item.Invoice, err = e.invoice(charge.MethodDetails.Invoice); err != nil {
			item.Problems = append(item.Problems, err.Error())
		} else if hash := charge.MethodDetails.PaymentHash; hash != "" && hash != item.Invoice.PaymentHash ||
			item.Token != nil && item.Token.PaymentHash != item.Invoice.PaymentHash {
			item.Problems = append(item.Problems, "challenge and invoice name different payment hashes: paying would buy nothing")
		}
		out.Items = append(out.Items, item)
	}
	if len(out.Items) == 0 {
		return nil
	}
	return out
}
