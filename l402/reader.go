package l402

import (
	"net/http"

	"github.com/caddy-l402/caddy-l402/l402/payment"
)

const (
	// MaxCandidates is the greatest number of credentials that a Reader reads from a request.
	MaxCandidates = 16
	// MaxHeaderText is the greatest number of bytes of header text that a Reader looks at.
	MaxHeaderText = 64 << 10
)

// authorizationForms are the forms of an Authorization line.
const authorizationForms = FormL402 | FormLSAT | FormBearer | FormBasic | FormPayment

// sources are the headers that a Reader walks over, in this order, and who may present what there.
var sources = [...]struct {
	header string
	forms  Form
}{
	{"Authorization", authorizationForms},
	{"Macaroon", FormMacaroonHeader},
	{"Grpc-Metadata-Macaroon", FormMacaroonHeader},
	{"Cookie", FormCookie},
	{payment.HeaderAuthorization, FormPayment},
}

// Reader walks over the credentials of a request in the order in which they stand there. A request
// may carry several, for instance an old one in a cookie and the new one in a header: the first one
// that verifies counts.
//
// What is clearly not meant for this protocol, such as a bearer token of another make, is passed
// over in silence. A Reader does not change the header and is not safe for concurrent use.
type Reader struct {
	header  http.Header
	allowed Form

	source int      // index of the header that comes next
	lines  []string // lines of the current header that come next
	form   Form     // what the current header may hold
	auth   elements // the rest of the current line of Authorization
	line   string   // the rest of the current line of another header

	ours  bool // the current element's scheme was ours when it was named
	found int  // number of candidates so far
	text  int  // bytes of header text so far
	over  bool
}

// NewReader returns a Reader over the credentials in h that have one of the allowed forms. The
// names in h must be in canonical form, as a server gives them.
func NewReader(h http.Header, allowed Form) Reader {
	return Reader{header: h, allowed: allowed}
}

// Next reads the next credential into c. It returns false when there are no more. An error says
// that there is a credential which cannot be read; c is then empty, and Next goes on with the one
// after it. With ErrTokenTooLong for the whole request (see MaxCandidates, MaxHeaderText) there is
// no further one.
func (r *Reader) Next(c *Credential) (ok bool, err error) {
	c.clear()
	for !r.over {
		switch {
		case r.auth.rest != "":
			ok, err = r.nextAuthorization(c)
		case r.line != "" && r.form == FormCookie:
			ok, err = r.nextCookie(c)
		case r.line != "":
			ok, err = r.nextMacaroon(c)
		default:
			ok, err = r.nextLine()
		}
		if ok {
			return true, err
		}
	}
	return false, nil
}

// nextLine goes on to the next line, or ends the walk.
func (r *Reader) nextLine() (ok bool, err error) {
	for len(r.lines) == 0 {
		if r.source == len(sources) {
			r.over = true
			return false, nil
		}
		source := &sources[r.source]
		r.source++
		if r.form = source.forms & r.allowed; r.form != 0 {
			r.lines = r.header[source.header]
		}
	}
	line := r.lines[0]
	r.lines = r.lines[1:]
	if r.text += len(line); r.text > MaxHeaderText {
		r.over = true
		return true, ErrTokenTooLong
	}
	r.ours = false
	if r.form&authorizationForms != 0 {
		r.auth = elements{rest: line}
	} else {
		r.line = line
	}
	return false, nil
}

// candidate counts one more candidate and ends the walk if it is one too many.
func (r *Reader) candidate() bool {
	r.found++
	if r.found > MaxCandidates {
		r.over = true
	}
	return !r.over
}

// nextAuthorization looks at the next element of an Authorization line.
func (r *Reader) nextAuthorization(c *Credential) (ok bool, err error) {
	e, more := r.auth.next()
	if !more {
		return false, nil
	}
	if e.head {
		r.ours = e.ours(r.form)
	}
	if !r.ours || !e.head && e.scheme.single() {
		return false, nil
	}
	if !r.candidate() {
		return true, ErrTokenTooLong
	}
	switch e.scheme {
	case schemeBearer:
		return true, c.setPair(FormBearer, e.value)
	case schemePayment:
		return true, c.setPayment(e.value)
	case schemeBasic:
		token, preimage, alone, _ := cutBasic(e.value)
		return true, c.set(FormBasic, token, preimage, alone)
	}
	if _, _, parameter := cutParameter(e.value); parameter {
		return true, r.parameters(c, e)
	}
	if preimage, shared := r.sharedPreimage(e); shared {
		return true, c.set(e.scheme.form(), e.value, preimage, false)
	}
	return true, c.setPair(e.scheme.form(), e.value)
}

// sharedPreimage looks ahead for the preimage of a token in "L402 token,token:preimage". It looks no
// further than there can be candidates.
func (r *Reader) sharedPreimage(e element) (preimage string, shared bool) {
	if r.auth.rest == "" {
		return "", false
	}
	if _, _, own := cut(e.value, ':'); own {
		return "", false
	}
	ahead := r.auth
	for range MaxCandidates {
		e, more := ahead.next()
		if !more || e.head {
			break
		}
		if _, _, parameter := cutParameter(e.value); parameter {
			break
		}
		if _, preimage, found := cut(e.value, ':'); found {
			return trim(preimage), true
		}
	}
	return "", false
}

// parameters reads token="…", preimage="…", beginning with the element e, up to the next element
// that is none of them. Parameters of other names are passed over, contradicting ones refused.
func (r *Reader) parameters(c *Credential, e element) error {
	var token, preimage string
	var hasToken, hasPreimage, bad bool
	for {
		name, value, parameter := cutParameter(e.value)
		if !parameter {
			break
		}
		switch {
		case isTokenParameter(name):
			bad = bad || hasToken && token != value
			token, hasToken = value, true
		case isPreimageParameter(name):
			bad = bad || hasPreimage && preimage != value
			preimage, hasPreimage = value, true
		}
		ahead := r.auth
		following, more := ahead.next()
		if !more {
			r.auth = ahead
			break
		}
		if _, _, parameter := cutParameter(following.value); following.head || !parameter {
			break
		}
		e, r.auth = following, ahead
	}
	if bad || !hasToken || r.allowed&FormToken == 0 {
		return ErrMalformedCredential
	}
	return c.set(FormToken, token, preimage, !hasPreimage)
}

// nextMacaroon looks at a line of a macaroon header.
func (r *Reader) nextMacaroon(c *Credential) (ok bool, err error) {
	value := trim(r.line)
	r.line = ""
	if !looksLikeToken(value) {
		return false, nil
	}
	if !r.candidate() {
		return true, ErrTokenTooLong
	}
	return true, c.setPair(FormMacaroonHeader, value)
}

// nextCookie looks at the next cookie of a Cookie line.
func (r *Reader) nextCookie(c *Credential) (ok bool, err error) {
	_, name, value, rest := nextCookie(r.line)
	r.line = rest
	if !isOurCookie(name) {
		return false, nil
	}
	if !r.candidate() {
		return true, ErrTokenTooLong
	}
	return true, c.setPair(FormCookie, value)
}
