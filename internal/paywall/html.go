package paywall

import (
	"crypto/rand"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// Checkout is how a page goes on after its payment: it asks the gate at its own address, so that the
// request finds its way to the same gate wherever that stands in the site.
type Checkout struct {
	// Action is where forms and scripts send the token, relative to the page.
	Action string
	// Back is the page itself, relative to Action. It is empty where the page answers a form.
	Back string
	// Earlier is a token of the client whose payment the wallet cannot tell, or empty.
	Earlier string
	// Blind says that the wallet does not tell of payments, so that the preimage is asked for.
	Blind bool
	// Netrc says that the gate gives the token's line for a netrc after the payment.
	Netrc bool
	// Ecash is what ecash the gate takes from the page's form, or nil.
	Ecash *Ecash
	// Sandbox says that the gate can pay by itself, with what is not money.
	Sandbox bool
}

// Ecash is how a person can pay with ecash.
type Ecash struct {
	// Request asks for it as all wallets read it (NUT-18), Unified as a unified URI has it (NUT-26).
	Request, Unified string
	// Mints are those whose ecash is taken.
	Mints []string
}

// refreshEvery is how often a page without scripts looks for its payment, in seconds.
const refreshEvery = 8

// script is what pages get.
var script = template.JS(minified(pageScript))

// htmlBody is the page for browsers: one self-contained document.
func htmlBody(h http.Header, r *http.Request, p *Problem) []byte {
	look := p.Look
	if look == nil {
		look = builtIn
	}
	nonce := newNonce()
	v := view(p, look, nonce)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		v.Retry = 0 // loading an answer to a form again would ask for a page that may not exist
	}
	body, err := look.fill(v)
	if err != nil {
		return textBody(p)
	}
	h.Set("Content-Security-Policy", policy(v, look))
	// Same-origin and not less: without it the browser hides the origin of the page's own forms.
	h.Set("Referrer-Policy", "same-origin")
	return body
}

// policy allows what the page needs and nothing else: nothing of another site, no script but ours.
func policy(v *View, look *Look) string {
	parts := []string{
		"default-src 'none'", "img-src 'self' data:", "base-uri 'none'", "frame-ancestors 'none'",
	}
	style := "style-src 'nonce-" + v.Nonce + "'"
	if look.own {
		style += " 'self'"
		parts = append(parts, "font-src 'self'")
	}
	parts = append(parts, style)
	if v.Offer != nil && v.Offer.Checkout != nil {
		parts = append(parts, "script-src 'nonce-"+v.Nonce+"'", "connect-src 'self'", "form-action 'self'")
	} else {
		parts = append(parts, "form-action 'none'")
	}
	return strings.Join(parts, "; ")
}

// newNonce is a fresh value that an injected script cannot know.
func newNonce() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// view puts together what a template shows.
func view(p *Problem, look *Look, nonce string) *View {
	words := &English
	v := &View{
		Status: p.Status, Code: p.Code, Title: look.title, Text: look.text, Logo: look.logo,
		Nonce: nonce, Style: look.style, Words: words,
	}
	o := p.Offer
	if o == nil {
		v.Heading, v.Notice, v.Cure, v.Netrc = p.Title, p.Detail, p.Cure, p.Netrc
		v.Change, v.Back = p.Change, p.Back
		v.Retry = int64((p.RetryAfter + time.Second - 1) / time.Second)
		return v
	}
	v.Heading, v.Notice = words.Heading, words.Notices[p.Code]
	v.Offer = &OfferView{
		Subject: o.Subject, Price: pricing.Format(o.Price), Fiat: o.worth(), Terms: o.Terms, Invoice: o.Invoice,
		// html/template knows no lightning: scheme and would blank it; an invoice is bech32 and
		// was checked to be, so that nothing can break out of it, and the context's escaping
		// remains.
		URI: template.URL("lightning:" + o.Invoice), QR: qrCode(strings.ToUpper("lightning:"+o.Invoice), words.QR),
		Token: o.Macaroon, Expires: o.InvoiceExpires.UTC().Format(time.RFC3339),
		Clock:    o.InvoiceExpires.UTC().Format("15:04:05 UTC"),
		Seconds:  max(0, int64(time.Until(o.InvoiceExpires)/time.Second)),
		NotMoney: o.NotMoney, Checkout: o.Checkout,
	}
	for _, a := range o.Offers {
		if a.Link != "" {
			v.Offer.Offers = append(v.Offer.Offers, ChoiceView{pricing.Format(a.Price), a.Terms, a.Link})
		}
	}
	if o.Checkout != nil {
		v.Script, v.Back = script, o.Checkout.Back
		v.Offer.Ecash = ecashView(o, len(v.Offer.QR)+len(look.logo), words)
		// A page that asks for a preimage or for ecash must not go away while it is typed.
		if o.Checkout.Back != "" && !o.Checkout.Blind && o.Checkout.Ecash == nil {
			v.Retry = refreshEvery
		}
	}
	return v
}
