package paywall

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

var (
	//go:embed page.html
	pageSource string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// builtInPage has the templates "page", "style", "payment" and "script", which an operator's own
// template may call.
var builtInPage = parsedPage()

// parsedPage parses the built-in page anew: one that was filled cannot be copied any more.
func parsedPage() *template.Template { return template.Must(template.New("page").Parse(pageSource)) }

// View is what a template can show. Texts that clients can choose are in it, so that templates must
// leave the escaping of html/template as it is.
type View struct {
	// Status is the HTTP status: 402, 429 or 503; Code is the stable code of the refusal.
	Status int
	Code   string
	// Title and Text are the operator's words; Heading, Notice and Cure are ours, and each can be
	// empty.
	Title, Text, Heading, Notice, Cure string
	// Logo is the address of an image, or empty.
	Logo template.URL
	// Retry is after how many seconds the page is to be loaded again; 0 is never.
	Retry int64
	// Back is the address of the page itself, for a link that tries again. It is empty where the
	// page answers a form, which only its sender can send again.
	Back string

	// Netrc is the line for a netrc where that was asked for; the template "payment" shows it.
	Netrc string

	// Change is ecash that belongs to the person, or empty; the template "payment" shows it.
	Change string

	// Nonce must stand in each <style> and <script>.
	Nonce string
	Style template.CSS
	// Script is empty where there is nothing to wait for.
	Script template.JS
	// Words are the built-in texts.
	Words *Strings

	// Offer is what can be paid, or nil.
	Offer *OfferView
}

// OfferView is the part of a View that tells what can be paid.
type OfferView struct {
	// Subject is what is sold, Price what it costs ("10 sat"), Terms what the payment buys in
	// words ("valid for 24h").
	Subject, Price, Terms string
	// Fiat is the price in a currency: "0.02 USD", or "≈ 0.02 USD" where it is not exact. It is
	// empty where none is known.
	Fiat string
	// Invoice is the payment request, URI the same with its scheme, and QR an <svg>, which is empty
	// for an invoice that is too long to be drawn.
	Invoice string
	URI     template.URL
	QR      template.HTML
	// Token is the L402 token.
	Token string
	// Expires is the end of the invoice in RFC 3339 and Clock for people; Seconds is how long that
	// is from now.
	Expires, Clock string
	Seconds        int64
	// NotMoney is set for the sandbox, whose invoices are not money.
	NotMoney bool
	// Ecash is how to pay with ecash, or nil.
	Ecash *EcashView
	// Checkout is how the page goes on after the payment, or nil where the client has to do that.
	Checkout *Checkout
	// Offers are all that can be had here; empty where there is but one.
	Offers []ChoiceView
}

// ChoiceView is an offer on the page.
type ChoiceView struct {
	// Price and Terms are in words; Link leads to the same page with this offer.
	Price, Terms, Link string
}

// parseTemplate reads an operator's template and tries it out.
func parseTemplate(name string) (*template.Template, error) {
	source, err := readSmall(name, maxTemplate)
	if err != nil {
		return nil, err
	}
	page, err := parsedPage().New(name).Parse(string(source))
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	// A field that does not exist shows only when the template is filled.
	for _, p := range samples() {
		if err := page.Execute(io.Discard, view(p, &Look{}, "")); err != nil {
			return nil, fmt.Errorf("filling %s: %w", name, err)
		}
	}
	return page, nil
}

// samples are problems of all kinds.
func samples() []*Problem {
	offer := Offer{
		Service: "sample", Subject: "example.com", Price: lnwire.MilliSatoshi(21000), Invoice: "lnbcrt210n1sample",
		Macaroon: "AgEE", InvoiceExpires: time.Now().Add(time.Minute), Terms: "valid for 24h",
	}
	offer.Fiat = "0.02 USD"
	with := offer
	with.NotMoney, with.Checkout = true, &Checkout{Action: "?l402-checkout", Back: "./", Earlier: "AgEE", Blind: true, Sandbox: true, Netrc: true,
		Ecash: &Ecash{Request: "creqAsample", Unified: "creqb1sample", Mints: []string{"https://mint.example.com"}}}
	return []*Problem{
		{Status: 402, Code: "payment_required", Title: "Payment Required", Offer: &offer},
		{Status: 402, Code: "payment_pending", Title: "Payment Required", Offer: &with},
		{Status: 200, Code: "paid", Title: "Paid", Netrc: "machine example.com login l402 password AgEE"},
		{Status: 200, Code: "paid", Title: "Paid", Change: "cashuBsample", Back: "./"},
		{Status: 503, Code: "wallet_unavailable", Title: "Payments Unavailable", Detail: "Down.", Cure: "Wait.", RetryAfter: time.Second},
	}
}

// fill fills a look's template, or the built-in one where the operator's fails on this view.
func (l *Look) fill(v *View) ([]byte, error) {
	var b bytes.Buffer
	err := l.page.Execute(&b, v)
	if err == nil && l.own && !strings.Contains(b.String(), v.Change) {
		err = errors.New("it leaves out the payer's change: use the template \"payment\", or .Change")
	}
	if err != nil && l.own {
		if l.Failed != nil {
			l.Failed(err)
		}
		b.Reset()
		err = builtInPage.Execute(&b, v)
	}
	return b.Bytes(), err
}

// minified is source without comments that take a line, indentation and empty lines.
func minified(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "//") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
