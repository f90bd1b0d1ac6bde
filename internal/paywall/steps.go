package paywall

import (
	"fmt"
	"net/http"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// way is a way to pay besides the invoice and a token.
type way struct {
	Scheme string `json:"scheme"`
	How    string `json:"how"`
}

// steps tell a program that knows nothing of the protocol what to do, with the names of the members of
// the same body. They are nil where nothing can be paid.
func (p *Problem) steps() []string {
	o := p.Offer
	if o == nil || p.Status != http.StatusPaymentRequired {
		return nil
	}
	var list []string
	if p.CureFirst {
		list = append(list, p.Cure)
	}
	if o.NotMoney {
		list = append(list, "`invoice` is of the sandbox and not money: pay it from no real wallet. On the server's machine `curl "+
			"http://localhost:2019/l402/sandbox/pay -d '{\"invoice\":\"<invoice>\"}'` pays it and tells the preimage.")
	} else {
		list = append(list, fmt.Sprintf("Pay `invoice`, %s, with a Lightning wallet. It tells the preimage: 64 hex digits.", pricing.Format(o.Price)))
	}
	keep := "The same header works for further requests to this host"
	if o.Terms != "" {
		keep += ": " + o.Terms
	}
	if o.Uses == 1 {
		keep = "One payment is for one request"
	}
	list = append(list, "Repeat the request with the header `Authorization: L402 <macaroon>:<preimage>`, where <macaroon> stands for "+
		"the member `macaroon`.", keep+".")
	if len(o.Offers) > 0 {
		list = append(list, "For another of `offers`, ask again with its header, before paying.")
	}
	return list
}

// ways are the other ways to pay for the same.
func (p *Problem) ways() (list []way) {
	if p.Offer == nil {
		return nil
	}
	if p.Offer.Ecash {
		list = append(list, way{"X-Cashu", "The header X-Cashu of this answer asks for ecash (Cashu, NUT-24). Repeat the request with the " +
			"header `X-Cashu: <cashuB token>` of one of its mints."})
	}
	if p.Offer.ChallengeID != "" {
		list = append(list, way{"Payment", "The line `WWW-Authenticate: Payment` of this answer is for the same invoice, by the Payment scheme " +
			"(method lightning, intent charge)."})
	}
	return list
}
