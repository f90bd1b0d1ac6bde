package discovery

import (
	"slices"
	"strings"
)

// The sections of Text about paying. They are for readers who know nothing of the protocol.
const (
	textSteps = `
## How to pay

1. Send the request without a credential. The answer is 402 with the header
   ` + "`WWW-Authenticate: L402 macaroon=\"<token>\", invoice=\"<BOLT 11 invoice>\", …`" + `
   and, for ` + "`Accept: application/json`" + `, a body in JSON with the same as ` + "`macaroon`" + ` and ` + "`invoice`" + `.
   What the invoice says is the price; 1 sat is 1000 msat.
2. Pay the invoice with a Lightning wallet, which then tells the preimage: 64 hex digits.
3. Repeat the request with the header ` + "`Authorization: L402 <token>:<preimage>`" + `.
   The same header works for further requests for as long as the terms say. It is as good as what was
   paid: send it to this host alone.
`
	textEcash = `
Where a request says that it takes Cashu ecash, the answer 402 has the header ` + "`X-Cashu`" + ` with a payment request
(NUT-24): amount, unit and mints. Instead of steps 2 and 3 repeat the request with the header
` + "`X-Cashu: <cashuB token>`" + `, a token of one of the mints that is worth at least the amount. The answer has the change in
` + "`X-Cashu`" + `, and in ` + "`X-L402-Token`" + ` what goes into ` + "`Authorization`" + ` for further requests.
`
	textPaymentScheme = `
The answer 402 has a line ` + "`WWW-Authenticate: Payment …`" + ` as well, for clients of the Payment scheme
(method lightning, intent charge; https://paymentauth.org). It is for the same invoice: pay it once, and use either.
`
	textSandbox = `
The invoices of requests of the sandbox are not money: do not pay them from a real wallet. On the machine that serves
them, ` + "`curl http://localhost:2019/l402/sandbox/pay -d '{\"invoice\":\"<invoice>\"}'`" + ` pays one and answers with the
preimage.
`
	textTrouble = `
## If it does not work

- Do not pay again for something before you sent its token with its preimage: what was paid keeps its worth.
- 402 again: the body says why in ` + "`code`" + ` and ` + "`detail`" + `, and in ` + "`cure`" + ` what to do. With a code other than
  ` + "`payment_required`" + ` a further payment may not help.
- 429, 503: wait for as many seconds as the header ` + "`Retry-After`" + ` says.
- The connection broke while you paid: ask your wallet about the payment first.
`
)

// writePayment adds how to pay, in the ways that anything here can be paid by.
func (c *Catalog) writePayment(b *strings.Builder) {
	b.WriteString(textSteps)
	for _, way := range []struct {
		text  string
		taken func(Route) bool
	}{
		{textEcash, func(r Route) bool { return r.Ecash != nil }},
		{textPaymentScheme, func(r Route) bool { return r.Payment }},
		{textSandbox, func(r Route) bool { return r.NotMoney }},
	} {
		if slices.ContainsFunc(c.Routes, way.taken) {
			b.WriteString(way.text)
		}
	}
	b.WriteString(textTrouble)
}
