package explain

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// String returns the explanation as lines of text that are safe for a terminal.
func (x *Explanation) String() string {
	var b strings.Builder
	for i := range x.Items {
		if i > 0 {
			b.WriteByte('\n')
		}
		x.Items[i].write(&b, x.Kind)
	}
	return b.String()
}

func line(b *strings.Builder, name, format string, args ...any) {
	fmt.Fprintf(b, "%-13s %s\n", name, fmt.Sprintf(format, args...))
}

func (i *Item) write(b *strings.Builder, kind string) {
	if i.Form != "" {
		kind += ", presented as " + i.Form
	}
	fmt.Fprintln(b, strings.ToUpper(kind[:1])+kind[1:])
	if i.Invoice != nil {
		i.Invoice.write(b)
	}
	if i.Token != nil {
		b.WriteString(i.Token.String())
	}
	if i.Expired {
		line(b, "problem", "the token has expired")
	}
	if i.Preimage != nil {
		fits := "it proves the payment"
		if !i.Preimage.Fits {
			fits = "it proves nothing"
		}
		line(b, "preimage", "%s (%s)", i.Preimage.Value, fits)
	}
	for _, problem := range i.Problems {
		line(b, "problem", "%s", printable(problem))
	}
}

func (i *Invoice) write(b *strings.Builder) {
	amount := "left to the payer"
	if i.AmountMsat > 0 {
		amount = pricing.Format(lnwire.MilliSatoshi(i.AmountMsat))
	}
	money := ""
	if !i.Network.IsRealMoney() {
		money = ", which is not money"
	}
	line(b, "invoice", "%s for %s%s", i.Format, i.Network, money)
	line(b, "amount", "%s", amount)
	line(b, "payment hash", "%s", i.PaymentHash)
	if i.Memo != "" {
		line(b, "memo", "%s", printable(i.Memo))
	}
	line(b, "created", "%s", i.Created.Format(time.RFC3339))
	expired := ""
	if i.Expired {
		expired = " (expired)"
	}
	line(b, "expires", "%s%s", i.Expires.Format(time.RFC3339), expired)
	line(b, "payee", "%s", i.Payee)
}

// printable quotes text of a stranger if it holds anything that a terminal might obey.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if quoted[1:len(quoted)-1] != s {
		return quoted
	}
	return s
}

// Interface guards
var _ fmt.Stringer = (*Explanation)(nil)
