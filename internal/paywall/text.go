package paywall

import (
	"bytes"
	"fmt"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// textBody is the answer for people in front of a terminal.
func textBody(p *Problem) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d %s\n", p.Status, p.Title)
	if p.Detail != "" {
		fmt.Fprintf(&b, "%s (%s)\n", p.Detail, p.Code)
	}
	if o := p.Offer; o != nil {
		fmt.Fprintf(&b, "\nPrice:   %s", pricing.Format(o.Price))
		if worth := o.worth(); worth != "" {
			fmt.Fprintf(&b, " (%s)", worth)
		}
		if o.Terms != "" {
			fmt.Fprintf(&b, ", %s", o.Terms)
		}
		if o.Address != "" {
			fmt.Fprintf(&b, "\nPay at:  %s (in a browser)", o.Address)
		}
		fmt.Fprintf(&b, "\nInvoice: %s\nToken:   %s\nExpires: %s\n", o.Invoice, o.Macaroon,
			o.InvoiceExpires.UTC().Format(time.RFC3339))
		for i, a := range o.Offers {
			if i == 0 {
				b.WriteString("\nOffers, by the header X-L402-Offer:\n")
			}
			fmt.Fprintf(&b, "  %s: %s, %s\n", a.Name, pricing.Format(a.Price), a.Terms)
		}
		if o.NotMoney {
			b.WriteString("\nThis is the sandbox wallet: its invoices are not money.\n")
		}
	}
	if p.Netrc != "" {
		fmt.Fprintf(&b, "\n%s\n", p.Netrc)
	}
	if p.Change != "" {
		fmt.Fprintf(&b, "\n%s\n", p.Change)
	}
	if p.Cure != "" {
		fmt.Fprintf(&b, "\n%s\n", p.Cure)
	}
	return b.Bytes()
}

// worth is the price in a currency, with a sign before what is not exact; empty where it is not known.
func (o *Offer) worth() string {
	if o.Fiat == "" && o.About != "" {
		return "≈ " + o.About
	}
	return o.Fiat
}
