package discovery

import (
	"fmt"
	"strings"
)

// Text is a description for language models in the form of llms.txt. The function amount writes a
// price, which is in millisatoshi, for people.
func (c *Catalog) Text(amount func(msat uint64) string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n> %s\n\n## Paid requests\n\n", line(c.name()), line(c.summary()))
	for _, r := range c.resources() {
		fmt.Fprintf(&b, "- [%s %s](%s)", r.method, r.path, strings.TrimSuffix(c.Provider.URI, "/")+r.endpoint())
		for i, part := range r.words(amount) {
			if i == 0 {
				b.WriteString(":")
			}
			b.WriteString(" " + line(part))
		}
		b.WriteString("\n")
		for _, example := range r.examples() {
			fmt.Fprintf(&b, "  - Example: `%s %s`", example.Method, line(example.Path))
			if len(example.Body) > 0 {
				fmt.Fprintf(&b, " with the body `%s`", line(string(example.Body)))
			}
			b.WriteString("\n")
		}
	}
	b.WriteString(`
## How to pay

1. Send the request without a credential. The answer is 402 with the header
   ` + "`WWW-Authenticate: L402 macaroon=\"<token>\", invoice=\"<BOLT 11 invoice>\", …`" + `
   and a body in JSON for ` + "`Accept: application/json`" + `. What the invoice says is the price.
2. Pay the invoice with a Lightning wallet, which then tells the preimage: 64 hex digits.
3. Repeat the request with the header ` + "`Authorization: L402 <token>:<preimage>`" + `.
   The same header works for further requests for as long as the terms say.
`)
	if len(c.methods("")) > 1 {
		b.WriteString(`
Where ecash is taken it pays without Lightning: the answer 402 has a request in the header ` + "`X-Cashu`" + ` (NUT-18).
Repeat the request with ` + "`X-Cashu: <token>`" + `, a token of one of the mints that is worth at least the price.
The answer has change in ` + "`X-Cashu`" + `, and in ` + "`X-L402-Token`" + ` what to send as ` + "`Authorization`" + ` from then on.
`)
	}
	b.WriteString(`
## Documents

`)
	for _, doc := range []struct{ name, path, about string }{
		{"Manifest", c.ManifestPath, "services, prices and caveats, in JSON"},
		{"Services", ServicesPath, "endpoints and prices for directories, in JSON"},
		{"OpenAPI", c.OpenAPIPath, "requests and prices, OpenAPI in JSON"},
	} {
		if doc.path != "" {
			fmt.Fprintf(&b, "- [%s](%s): %s\n", doc.name, doc.path, doc.about)
		}
	}
	return []byte(b.String())
}

func (c *Catalog) summary() string {
	if c.Provider.Description != "" {
		return c.Provider.Description
	}
	return "Requests to this host that are paid for over Lightning, with the L402 protocol."
}

// words are the sentences about a resource.
func (r resource) words(amount func(uint64) string) []string {
	var list []string
	for _, text := range []string{r.Title, r.Description} {
		if text = strings.TrimRight(line(text), "."); text != "" {
			list = append(list, text+".")
		}
	}
	price := "depends on the request"
	if r.LeastMsat > 0 && r.MostMsat > 0 {
		price = amount(r.LeastMsat) + " to " + amount(r.MostMsat) + ", it depends on the request"
	}
	if r.Fiat != "" {
		price = r.Fiat + " at the rate of the moment"
	}
	if r.PriceMsat > 0 {
		price = amount(r.PriceMsat)
	}
	text := "Price: " + price
	if r.Terms.Text != "" {
		text += ", " + r.Terms.Text
	}
	list = append(list, text+".")
	for _, o := range r.Offers {
		list = append(list, fmt.Sprintf("With the header `X-L402-Offer: %s`: %s, %s.", o.Name, amount(o.PriceMsat), o.Terms.Text))
	}
	if r.Ecash != nil {
		list = append(list, fmt.Sprintf("Takes Cashu ecash in %s of %s.", r.Ecash.Unit, strings.Join(r.Ecash.Mints, " or ")))
	}
	if r.Free != nil {
		list = append(list, fmt.Sprintf("Free: %d requests in %d seconds for each client.", r.Free.Events, r.Free.WindowSeconds))
	}
	return list
}

// line makes one line of a text, so that it cannot add headings or items of its own.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
