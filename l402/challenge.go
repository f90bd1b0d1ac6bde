package l402

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// MaxInvoiceLength is the greatest length of an invoice in a challenge. It leaves a header line
// below the limits of common clients; BOLT 11 invoices have some hundred characters.
const MaxInvoiceLength = 4096

// Challenge is what a server asks for: pay the invoice, then come back with the token and the
// preimage.
type Challenge struct {
	// Macaroon is the token in binary form.
	Macaroon []byte
	// Invoice is the Lightning payment request, BOLT 11 as a rule.
	Invoice string
}

// Validate returns an error if the challenge must not be put into a header: no token or one that
// Verify would not take for its length, or an invoice that ValidInvoice refuses.
func (c Challenge) Validate() error {
	switch {
	case len(c.Macaroon) == 0:
		return fmt.Errorf("%w: no token", ErrMalformedChallenge)
	case len(c.Macaroon) > MaxMacaroonSize:
		return ErrTokenTooLong
	case !ValidInvoice(c.Invoice):
		return ErrMalformedInvoice
	}
	return nil
}

// L402 returns the value of a WWW-Authenticate header with the challenge:
//
//	L402 macaroon="<base64>", invoice="<bolt11>", version="0", token="<the same base64>"
//
// The order, the blanks and the doubled token are what deployed clients can read: some want the
// macaroon parameter, first and right before the invoice, the specification wants token.
//
// It returns "" if Validate refuses the challenge, so that nothing can be smuggled into a header
// by a wallet.
func (c Challenge) L402() string {
	if c.Validate() != nil {
		return ""
	}
	token := base64.StdEncoding.EncodeToString(c.Macaroon)
	return `L402 macaroon="` + token + `", invoice="` + c.Invoice + `", version="0", token="` + token + `"`
}

// LSAT returns the challenge in its older form, LSAT macaroon="…", invoice="…", or "" as L402 does.
func (c Challenge) LSAT() string {
	if c.Validate() != nil {
		return ""
	}
	return `LSAT macaroon="` + base64.StdEncoding.EncodeToString(c.Macaroon) + `", invoice="` + c.Invoice + `"`
}

// ValidInvoice reports whether s has the characters of a Lightning payment request: "ln", letters
// and digits, the separator "1" and behind the last one of these only the alphabet of bech32, all
// in one case. It checks no checksum and no content; it keeps quotes, line ends and the like out of
// headers and pages.
func ValidInvoice(s string) bool {
	if len(s) > MaxInvoiceLength {
		return false
	}
	lower := strings.ToLower(s)
	if s != lower && s != strings.ToUpper(s) || !strings.HasPrefix(lower, "ln") {
		return false
	}
	separator := strings.LastIndexByte(lower, '1')
	if separator < len("ln")+1 || separator == len(lower)-1 {
		return false
	}
	for i := range separator {
		if c := lower[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	for i := separator + 1; i < len(lower); i++ {
		if strings.IndexByte("qpzry9x8gf2tvdw0s3jn54khce6mua7l", lower[i]) < 0 {
			return false
		}
	}
	return true
}
