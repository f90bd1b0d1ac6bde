package paywall

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"price": pricing.Format,
	"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	// html/template knows no lightning: scheme and would blank it; an invoice is bech32 and
	// was checked to be, so that nothing can break out of it.
	"lightning": func(invoice string) template.URL { return template.URL("lightning:" + invoice) },
}).Parse(pageSource))

// htmlBody is the page for browsers: one self-contained document without scripts.
func htmlBody(h http.Header, p *Problem) []byte {
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	var b bytes.Buffer
	if err := page.Execute(&b, p); err != nil { // the template is fixed and its data are plain
		return textBody(p)
	}
	return b.Bytes()
}
