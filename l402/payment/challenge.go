package payment

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"

	"github.com/caddy-l402/caddy-l402/l402/internal/authparam"
)

const (
	// Scheme is the name of the authentication scheme.
	Scheme = "Payment"
	// Method is the payment method of Lightning.
	Method = "lightning"
	// IntentCharge is the intent of a single payment.
	IntentCharge = "charge"

	// HeaderAuthorization is the header of a credential beside a foreign Authorization.
	HeaderAuthorization = "Payment-Authorization"
	// HeaderAccept tells which methods and intents a client can pay with.
	HeaderAccept = "Accept-Payment"
	// HeaderReceipt carries a receipt.
	HeaderReceipt = "Payment-Receipt"
)

const (
	// MaxChallenges is the greatest number of challenges that ParseChallenges reads.
	MaxChallenges = 16
	// MaxHeaderText is the greatest number of bytes of header text that ParseChallenges reads.
	MaxHeaderText = 64 << 10
)

// Challenge is what a server asks for, with its parameters as they stand in the header: Request and
// Opaque are base64url of canonical JSON.
type Challenge struct {
	// ID binds the parameters: see ComputeID.
	ID string `json:"id"`
	// Realm is the protection space.
	Realm string `json:"realm"`
	// Method and Intent say how and what for is paid, such as lightning and charge.
	Method string `json:"method"`
	// Intent is the kind of payment.
	Intent string `json:"intent"`
	// Request is what the method needs, for lightning and charge a ChargeRequest.
	Request string `json:"request"`
	// Expires is when the challenge can no longer be paid, in the format of RFC 3339.
	Expires string `json:"expires,omitempty"`
	// Digest is a digest of the request's body (RFC 9530).
	Digest string `json:"digest,omitempty"`
	// Description is for people. The id does not cover it.
	Description string `json:"description,omitempty"`
	// Header is the header that the credential is to travel in; empty means Authorization.
	Header string `json:"header,omitempty"`
	// Opaque is the server's own data.
	Opaque string `json:"opaque,omitempty"`
}

// parameters are the parameters in the order of the header.
func (c *Challenge) parameters() [10]struct {
	name  string
	value *string
} {
	return [...]struct {
		name  string
		value *string
	}{
		{"id", &c.ID},
		{"realm", &c.Realm},
		{"method", &c.Method},
		{"intent", &c.Intent},
		{"request", &c.Request},
		{"expires", &c.Expires},
		{"digest", &c.Digest},
		{"description", &c.Description},
		{"header", &c.Header},
		{"opaque", &c.Opaque},
	}
}

// complete reports whether all parameters are there that every challenge has.
func (c *Challenge) complete() bool {
	return c.ID != "" && c.Realm != "" && c.Method != "" && c.Intent != "" && c.Request != ""
}

// Seal sets the id for a secret. It returns ErrMalformedChallenge, wrapped, if the challenge must
// not be written: see Format.
func (c *Challenge) Seal(secret []byte) error {
	c.ID = c.ComputeID(secret)
	return c.validate()
}

// ComputeID returns the id that binds the parameters to a secret: HMAC-SHA256 over
// realm|method|intent|request|expires|digest|opaque, absent ones empty, in base64url. A challenge
// that names the credential's header has it as a further slot before opaque.
func (c *Challenge) ComputeID(secret []byte) string {
	slots := []string{c.Realm, c.Method, c.Intent, c.Request, c.Expires, c.Digest}
	if c.Header != "" {
		slots = append(slots, c.Header)
	}
	slots = append(slots, c.Opaque)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(strings.Join(slots, "|")))
	return Encode(mac.Sum(nil))
}

// Verify returns ErrInvalidChallenge unless the challenge has the id that Seal gives it for the
// secret. It compares in constant time.
func (c *Challenge) Verify(secret []byte) error {
	// A blank slot behind a "|" inside of another would be a second spelling of one id.
	if c.piped() || subtle.ConstantTimeCompare([]byte(c.ID), []byte(c.ComputeID(secret))) != 1 {
		return ErrInvalidChallenge
	}
	return nil
}

// piped reports whether a slot of the id holds the character that separates the slots.
func (c *Challenge) piped() bool {
	for _, slot := range []string{c.Realm, c.Method, c.Intent, c.Request, c.Expires, c.Digest, c.Header, c.Opaque} {
		if strings.Contains(slot, "|") {
			return true
		}
	}
	return false
}

func (c *Challenge) validate() error {
	switch {
	case !c.complete():
		return fmt.Errorf("%w: a required parameter is missing", ErrMalformedChallenge)
	case c.piped():
		return fmt.Errorf("%w: a parameter holds a |, which separates them in the id", ErrMalformedChallenge)
	}
	for _, p := range c.parameters() {
		for i := range len(*p.value) {
			if b := (*p.value)[i]; b < ' ' && b != '\t' || b == 0x7f {
				return fmt.Errorf("%w: its %s holds a control character", ErrMalformedChallenge, p.name)
			}
		}
	}
	return nil
}

// Format returns the value of a WWW-Authenticate header with the challenge. It returns an error that
// wraps ErrMalformedChallenge if a required parameter is missing, or if one holds a control
// character, or a slot of the id the character |.
func (c *Challenge) Format() (string, error) {
	if err := c.validate(); err != nil {
		return "", err
	}
	return c.format(), nil
}

func (c *Challenge) format() string {
	var b strings.Builder
	b.WriteString(Scheme)
	separator := " "
	for _, p := range c.parameters() {
		if *p.value == "" {
			continue
		}
		b.WriteString(separator)
		b.WriteString(p.name)
		b.WriteString(`="`)
		for i := range len(*p.value) {
			if char := (*p.value)[i]; char == '"' || char == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte((*p.value)[i])
		}
		b.WriteByte('"')
		separator = ", "
	}
	return b.String()
}

// ParseChallenges reads the Payment challenges from WWW-Authenticate lines, in their order, also
// several in a line and among other schemes. A challenge without all required parameters is passed
// over; of a repeated parameter the first counts. With none left the error wraps ErrNoChallenge.
func ParseChallenges(lines []string) ([]Challenge, error) {
	var all []Challenge
	text := 0
	for _, line := range lines {
		if text += len(line); text > MaxHeaderText {
			return nil, fmt.Errorf("%w: more than %d bytes of challenges", ErrNoChallenge, MaxHeaderText)
		}
		for rest := line; rest != "" && len(all) < MaxChallenges; {
			var c Challenge
			var scheme string
			scheme, rest = authparam.Next(rest, c.set)
			if strings.EqualFold(scheme, Scheme) && c.complete() {
				all = append(all, c)
			}
		}
	}
	if len(all) == 0 {
		return nil, ErrNoChallenge
	}
	return all, nil
}

// set keeps the first value of each parameter.
func (c *Challenge) set(name, value string) {
	for _, p := range c.parameters() {
		if strings.EqualFold(p.name, name) && *p.value == "" {
			*p.value = value
			return
		}
	}
}
