package l402

import (
	"strings"

	"github.com/caddy-l402/caddy-l402/l402/internal/authparam"
	"github.com/caddy-l402/caddy-l402/l402/payment"
)

// scheme is the authentication scheme that an element of an Authorization line belongs to.
type scheme uint8

const (
	schemeOther scheme = iota
	schemeL402
	schemeLSAT
	schemeBearer
	schemeBasic
	schemePayment
)

// element is a part of an Authorization line between two commas.
type element struct {
	text   string // the whole element
	value  string // the element without the name of the scheme
	scheme scheme // what it belongs to: the scheme named last
	head   bool   // it names the scheme itself
}

// elements walks over the elements of one Authorization line. RFC 9110 allows one credential in a
// line, but clients and proxies join several with commas, and some schemes have commas of their
// own. A copy of it looks ahead.
type elements struct {
	rest    string
	scheme  scheme
	started bool
}

// next returns the next element that is not empty.
func (s *elements) next() (e element, ok bool) {
	for e.text == "" {
		if s.rest == "" {
			return element{}, false
		}
		e.text, s.rest = cutElement(s.rest)
	}
	e.value = e.text
	if name, value, ok := cutScheme(e.text); ok {
		e.value, e.head = value, true
		s.scheme = schemeOf(name)
	}
	e.scheme = s.scheme
	return e, true
}

// cutElement cuts at the first comma outside of a quoted string. An unclosed quote reaches to the
// end of the line.
func cutElement(line string) (text, rest string) {
	comma := strings.IndexByte(line, ',')
	if comma < 0 {
		return trim(line), ""
	}
	if quote := strings.IndexByte(line[:comma], '"'); quote < 0 {
		return trim(line[:comma]), line[comma+1:]
	}
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return trim(line[:i]), line[i+1:]
		}
	}
	return trim(line), ""
}

// cutScheme splits "L402 value". A scheme without a value is recognized only if it is one of the
// two that a credential can be missing from. What goes on with "=" or ":" behind the blanks is a
// parameter or a token with blanks in it, no scheme.
func cutScheme(text string) (name, value string, ok bool) {
	blank := strings.IndexAny(text, " \t")
	if blank < 0 {
		return text, "", schemeOf(text).own()
	}
	name, value = text[:blank], trim(text[blank:])
	if schemeOf(name).own() {
		return name, value, true
	}
	for i := range len(name) {
		if !authparam.IsTokenChar(name[i]) {
			return "", "", false
		}
	}
	if value[0] == '=' || value[0] == ':' {
		return "", "", false
	}
	return name, value, true
}

func schemeOf(name string) scheme {
	switch {
	case strings.EqualFold(name, "L402"):
		return schemeL402
	case strings.EqualFold(name, "LSAT"):
		return schemeLSAT
	case strings.EqualFold(name, "Bearer"):
		return schemeBearer
	case strings.EqualFold(name, "Basic"):
		return schemeBasic
	case strings.EqualFold(name, payment.Scheme):
		return schemePayment
	}
	return schemeOther
}

// own reports whether the scheme is one of this protocol's own.
func (s scheme) own() bool { return s == schemeL402 || s == schemeLSAT }

// single reports whether a credential of the scheme is one element: what stands behind its comma is
// no further one.
func (s scheme) single() bool { return s == schemeBearer || s == schemeBasic || s == schemePayment }

// form is the form of a credential under a scheme, or 0.
func (s scheme) form() Form {
	switch s {
	case schemeL402:
		return FormL402
	case schemeLSAT:
		return FormLSAT
	case schemeBearer:
		return FormBearer
	case schemeBasic:
		return FormBasic
	case schemePayment:
		return FormPayment
	}
	return 0
}

// ours reports whether an element that names its scheme begins a credential for this protocol.
// Under the schemes of its own everything does, well-formed or not; in what others use as well, a
// token must be seen.
func (e *element) ours(allowed Form) bool {
	switch {
	case e.scheme.form()&allowed == 0:
		return false
	case e.scheme == schemeBearer:
		return looksLikeToken(e.value)
	case e.scheme == schemeBasic:
		_, _, _, ok := cutBasic(e.value)
		return ok
	}
	return true
}

// cutParameter splits `name="value"` or name=value. Without quotes only the names that a credential
// has are parameters, because base64 ends in "=" as well.
func cutParameter(text string) (name, value string, ok bool) {
	name, value, found := strings.Cut(text, "=")
	name, value = trim(name), trim(value)
	if !found || name == "" {
		return "", "", false
	}
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return name, value[1 : len(value)-1], true
	}
	return name, value, isTokenParameter(name) || isPreimageParameter(name)
}

// isTokenParameter reports whether a parameter of this name holds a token.
func isTokenParameter(name string) bool {
	return strings.EqualFold(name, "token") || strings.EqualFold(name, "macaroon")
}

// isPreimageParameter reports whether a parameter of this name holds a preimage.
func isPreimageParameter(name string) bool { return strings.EqualFold(name, "preimage") }
