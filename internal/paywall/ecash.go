package paywall

import (
	"html/template"
	"strings"
)

// maxDrawn is how long the images of a page may be together with the code for ecash, so that the page
// stays small.
const maxDrawn = 13 << 10

// EcashView is the part of a View about paying with ecash.
type EcashView struct {
	// Request asks for ecash (NUT-18), and QR draws it; it is empty where there is no room.
	Request string
	QR      template.HTML
	// URI is for wallets that take Lightning or ecash (BIP 321, NUT-26).
	URI template.URL
	// Mints are those whose ecash is taken.
	Mints []string
}

// ecashView shows how to pay with ecash beside an invoice. The invoice keeps a code of its own: few
// wallets read a unified one that has no address on the chain, and all read the plain invoice.
func ecashView(o *Offer, drawn int, words *Strings) *EcashView {
	e := o.Checkout.Ecash
	if e == nil {
		return nil
	}
	// Both are of letters and digits, so that nothing can break out.
	query := "creq=" + e.Unified
	if !strings.HasPrefix(o.Invoice, "lni") { // BIP 321 has a word for offers, and none for BOLT 12 invoices
		query = "lightning=" + o.Invoice + "&" + query
	}
	v := &EcashView{Request: e.Request, Mints: e.Mints, URI: template.URL("bitcoin:?" + query)}
	// In its own letters: base64 has both cases.
	if code := qrCode(e.Request, words.EcashQR); drawn+len(code) <= maxDrawn {
		v.QR = code
	}
	return v
}
