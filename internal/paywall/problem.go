// Package paywall writes the answers of the gate: what an unpaid, refused or limited client
// reads, in the form that it accepts. It decides nothing; the gate says what to write.
package paywall

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// Problem is an answer of the gate in place of the upstream's.
type Problem struct {
	// Status is the HTTP status: 402, 429 or 503; for receipts also 401, 404 or 405.
	Status int
	// Type is the URI of the problem's type (RFC 9457); empty is about:blank.
	Type string
	// Code is stable and made for programs, such as "payment_required" or "token_expired".
	Code string
	// Title says in a few words what the status means.
	Title string
	// Detail says what was wrong with this request.
	Detail string
	// Cure says what the client can do.
	Cure string
	// CureFirst is set where a payment may be for nothing before the client tried the cure.
	CureFirst bool
	// RetryAfter is when to come again; zero where that is not the cure.
	RetryAfter time.Duration
	// Offer is what can be paid; nil where nothing can.
	Offer *Offer
	// Netrc is a line for a netrc, for whoever paid and asked for it.
	Netrc string
	// Change is ecash that belongs to whoever paid with more, for a person.
	Change string
	// Back leads a person back to the page, where there is no offer; it may be empty.
	Back string
	// Look is how the page for browsers looks; nil is the built-in look.
	Look *Look
}

// Offer is what the client gets for a payment.
type Offer struct {
	Service string
	Tier    uint8
	// Price is in millisatoshi.
	Price lnwire.MilliSatoshi
	// Fiat is the price in a currency where the operator set it so, such as "0.02 USD"; else empty.
	Fiat string
	// About is what the price is about worth in a currency; empty where that is not known.
	About string
	// Offers are all that the route sells, this one too; empty where it sells nothing else.
	Offers []Alternative
	// Invoice is the payment request, BOLT 11 as a rule.
	Invoice string
	// PaymentHash is the invoice's, in hex.
	PaymentHash string
	// Macaroon is the token in padded base64.
	Macaroon string
	// ChallengeID is the id of the challenge in the Payment scheme; empty where there is none.
	ChallengeID string
	// InvoiceExpires is when the invoice can no longer be paid.
	InvoiceExpires time.Time
	// Terms says in words what the payment buys, such as "valid for 24h".
	Terms string
	// Uses and Bytes are what the payment buys of each; zero where it is not limited.
	Uses, Bytes uint64
	// NotMoney is set for a wallet whose invoices cost nothing.
	NotMoney bool
	// Subject says to people what is sold, such as "example.com".
	Subject string
	// Ecash is set where the answer asks for ecash, too.
	Ecash bool
	// Manifest and Guide are the paths of the host's manifest and of its text for language models;
	// empty where there are none.
	Manifest, Guide string
	// Address is where a browser gets the payment page for this; empty where it gets none.
	Address string
	// Checkout is set for a browser that can go on by itself after the payment.
	Checkout *Checkout
}

// Alternative is something that can be had instead.
type Alternative struct {
	// Name is how a client asks for it.
	Name string
	// Price is in millisatoshi.
	Price lnwire.MilliSatoshi
	Tier  uint8
	// Uses and Bytes are what the payment buys of each; zero where it is not limited. Valid is how
	// long.
	Uses, Bytes uint64
	Valid       time.Duration
	// Terms says it in words.
	Terms string
	// Link is the same page with this offer, relative to the page; empty where the page answers a
	// form.
	Link string
}

// offerDocument is an alternative in the problem's body.
type offerDocument struct {
	Name         string `json:"name"`
	PriceMsat    uint64 `json:"price_msat"`
	Tier         uint8  `json:"tier"`
	Uses         uint64 `json:"uses,omitempty"`
	Bytes        uint64 `json:"bytes,omitempty"`
	ValidSeconds int64  `json:"valid_seconds"`
	Terms        string `json:"terms"`
	Header       string `json:"header"`
}

// Write answers a request: headers that are common to all answers, then the body in the form
// that the client accepts. The WWW-Authenticate lines must be set before. HEAD gets the same
// headers and no body.
func Write(w http.ResponseWriter, r *http.Request, p *Problem) {
	Headers(w.Header(), r, p)
	if IsGRPC(r) {
		writeGRPC(w, p)
		return
	}
	var contentType string
	var body []byte
	switch Accepted(r.Header["Accept"]) {
	case HTML:
		contentType, body = "text/html; charset=utf-8", htmlBody(w.Header(), r, p)
	case Text:
		contentType, body = "text/plain; charset=utf-8", textBody(p)
	default:
		contentType, body = "application/problem+json", jsonBody(p)
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
	}
}

// Headers sets what every answer of the gate carries, whoever writes its body.
func Headers(h http.Header, r *http.Request, p *Problem) {
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Authorization, Accept")
	if p.RetryAfter > 0 {
		// Whole seconds, rounded up: zero would invite to come again at once.
		h.Set("Retry-After", strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10))
	}
	CORS(h, r)
}

// document is the body of application/problem+json: RFC 9457 with members of our own.
type document struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code"`
	Cure   string `json:"cure,omitempty"`

	Steps []string `json:"steps,omitempty"`

	Service        string     `json:"service,omitempty"`
	Tier           *uint8     `json:"tier,omitempty"`
	PriceMsat      uint64     `json:"price_msat,omitempty"`
	PriceFiat      string     `json:"price_fiat,omitempty"`
	Invoice        string     `json:"invoice,omitempty"`
	PaymentHash    string     `json:"payment_hash,omitempty"`
	Macaroon       string     `json:"macaroon,omitempty"`
	ChallengeID    string     `json:"challengeId,omitempty"`
	InvoiceExpires *time.Time `json:"invoice_expires,omitempty"`
	Terms          string     `json:"terms,omitempty"`
	Uses           uint64     `json:"uses,omitempty"`
	Bytes          uint64     `json:"bytes,omitempty"`
	RetryAfter     int64      `json:"retry_after,omitempty"`
	NotMoney       bool       `json:"not_money,omitempty"`
	Netrc          string     `json:"netrc,omitempty"`

	Offers []offerDocument `json:"offers,omitempty"`

	OtherWays []way  `json:"other_ways,omitempty"`
	Manifest  string `json:"manifest,omitempty"`
	Guide     string `json:"guide,omitempty"`
}

// JSON is the problem as application/problem+json, for answers that Write does not make.
func (p *Problem) JSON() []byte { return jsonBody(p) }

// RetrySeconds is RetryAfter in whole seconds, rounded up: zero would invite to come again at once.
func (p *Problem) RetrySeconds() int64 { return int64((p.RetryAfter + time.Second - 1) / time.Second) }

func jsonBody(p *Problem) []byte {
	doc := document{
		Type: cmp.Or(p.Type, "about:blank"), Title: p.Title, Status: p.Status, Detail: p.Detail, Code: p.Code, Cure: p.Cure, Netrc: p.Netrc,
		RetryAfter: p.RetrySeconds(),
	}
	if o := p.Offer; o != nil {
		doc.Service, doc.Tier, doc.PriceMsat = o.Service, &o.Tier, uint64(o.Price)
		doc.Invoice, doc.PaymentHash, doc.Macaroon = o.Invoice, o.PaymentHash, o.Macaroon
		doc.ChallengeID = o.ChallengeID
		expires := o.InvoiceExpires.UTC()
		doc.InvoiceExpires, doc.Terms, doc.NotMoney = &expires, o.Terms, o.NotMoney
		doc.Uses, doc.Bytes, doc.PriceFiat = o.Uses, o.Bytes, o.Fiat
		doc.Steps, doc.OtherWays, doc.Manifest, doc.Guide = p.steps(), p.ways(), o.Manifest, o.Guide
		for _, a := range o.Offers {
			doc.Offers = append(doc.Offers, offerDocument{
				a.Name, uint64(a.Price), a.Tier, a.Uses, a.Bytes, int64(a.Valid / time.Second), a.Terms, "X-L402-Offer: " + a.Name,
			})
		}
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // people read this in terminals too
	if err := encoder.Encode(doc); err != nil {
		return nil // strings and numbers always encode
	}
	return body.Bytes()
}
