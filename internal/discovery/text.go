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
	c.writePayment(&b)
	b.WriteString("\n## Documents\n\n")
	for _, doc := range []struct{ name, path, about string }{
		{"Manifest", c.ManifestPath, "services, prices and caveats, in JSON"},
		{"Services", ServicesPath, "endpoints and prices for directories, in JSON"},
		{"OpenAPI", c.OpenAPIPath, "requests and prices, OpenAPI in JSON"},
		{"Text", c.TextPath, "this text"},
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
	if r.NotMoney {
		list = append(list, "Of the sandbox.")
	}
	return list
}

// line makes one line of a text, so that it cannot add headings or items of its own.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
