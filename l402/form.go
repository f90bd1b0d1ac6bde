package l402

import (
	"fmt"
	"strings"
)

// Form is a set of the ways in which clients present a credential.
type Form uint16

const (
	// FormL402 is "Authorization: L402 <token>:<preimage>", or the token alone, or several
	// tokens that share a preimage: "L402 <token>,<token>:<preimage>".
	FormL402 Form = 1 << iota
	// FormLSAT is the same under the older name of the scheme, LSAT.
	FormLSAT
	// FormToken is `L402 token="…", preimage="…"`, under either name of the scheme. ParseForms
	// adds it to "l402" and "lsat".
	FormToken
	// FormBearer is "Authorization: Bearer <token>:<preimage>", for programs that know only API
	// keys. A bearer token that is none of this protocol's is left alone.
	FormBearer
	// FormBasic is "Authorization: Basic", with "<token>:<preimage>" as "user:password" or in
	// the password behind any user name, for programs that know only passwords. A password
	// that holds no token of this protocol is left alone.
	FormBasic
	// FormMacaroonHeader is the token in a header "Macaroon" or "Grpc-Metadata-Macaroon", in
	// hex as a rule, with the preimage as a caveat. gRPC metadata "macaroon" arrives so. A
	// macaroon of another system is left alone.
	FormMacaroonHeader
	// FormCookie is a cookie named "l402" or "l402_<anything>" with the value
	// "<token>:<preimage>".
	FormCookie
	// FormPayment is "Authorization: Payment <credential>" or the same in Payment-Authorization:
	// a credential of the Payment scheme (draft-httpauth-payment).
	FormPayment

	// FormAll is all of them.
	FormAll = FormL402 | FormLSAT | FormToken | FormBearer | FormBasic | FormMacaroonHeader | FormCookie | FormPayment
)

// formNames pairs each form with its name in configurations, in the order of printing.
var formNames = []struct {
	form Form
	name string
}{
	{FormL402, "l402"},
	{FormLSAT, "lsat"},
	{FormToken, "token"},
	{FormBearer, "bearer"},
	{FormBasic, "basic"},
	{FormMacaroonHeader, "macaroon"},
	{FormCookie, "cookie"},
	{FormPayment, "payment"},
}

// ParseForms reads forms by their names in configurations: l402, lsat, bearer, basic, macaroon,
// cookie, payment, and all. The names l402 and lsat include FormToken.
func ParseForms(names ...string) (Form, error) {
	var forms Form
next:
	for _, name := range names {
		if name == "all" {
			forms |= FormAll
			continue
		}
		for _, f := range formNames {
			if f.name == name && f.form != FormToken {
				forms |= f.form
				if f.form&(FormL402|FormLSAT) != 0 {
					forms |= FormToken
				}
				continue next
			}
		}
		return 0, fmt.Errorf("unknown form of credentials %q: use l402, lsat, bearer, basic, macaroon, cookie, payment or all", name)
	}
	return forms, nil
}

// String returns the names of the forms, separated by commas, and "none" for the empty set.
func (f Form) String() string {
	var names []string
	for _, n := range formNames {
		if f&n.form != 0 {
			names = append(names, n.name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ",")
}

// Interface guards
var _ fmt.Stringer = Form(0)
