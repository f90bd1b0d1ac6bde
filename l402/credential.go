package l402

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/l402/payment"
)

// MaxMacaroonSize is the greatest length in bytes of a token in binary form.
const MaxMacaroonSize = 4096

// Credential is a token as a client presents it, with the preimage if there is one. Nothing in it
// is verified. It is 4 KiB large and lives on the stack of the function that reads and verifies it;
// only a credential of the Payment scheme has a part elsewhere. It is not safe for concurrent use.
type Credential struct {
	// Form is the form in which it was presented: exactly one bit.
	Form Form
	// Preimage is the proof of payment that stood beside the token, if HasPreimage is set. A
	// preimage inside the token, as a caveat, is found by Verify.
	Preimage lntypes.Preimage
	// HasPreimage says that a preimage stood beside the token.
	HasPreimage bool

	echo *payment.Challenge // what a credential of the Payment scheme echoes

	size int
	mac  [MaxMacaroonSize]byte
}

// Macaroon returns the token in binary form. It is a part of c, valid until c is used again.
func (c *Credential) Macaroon() []byte { return c.mac[:c.size] }

// SetMacaroon puts a copy of a token in binary form into c. It returns ErrTokenTooLong, and leaves
// c without a token, if it is longer than MaxMacaroonSize.
func (c *Credential) SetMacaroon(mac []byte) error {
	c.size = 0
	if len(mac) > len(c.mac) {
		return ErrTokenTooLong
	}
	c.size = copy(c.mac[:], mac)
	return nil
}

// Identifier reads the identifier of the token in c, before anything is verified. It returns false
// if the token is not laid out as tokens of this package are.
func (c *Credential) Identifier() (Identifier, bool) {
	t, err := open(c)
	return t.id, err == nil
}

// FormatAuthorization returns the value of an Authorization header that presents a token in binary
// form with its preimage, in the form that every L402 server takes.
func FormatAuthorization(mac []byte, preimage lntypes.Preimage) string {
	return "L402 " + base64.StdEncoding.EncodeToString(mac) + ":" + hex.EncodeToString(preimage[:])
}

// clear makes c empty without wiping the 4 KiB that size hides anyway.
func (c *Credential) clear() {
	c.Form, c.Preimage, c.HasPreimage, c.size, c.echo = 0, lntypes.Preimage{}, false, 0, nil
}

// set reads a token from text, with its preimage unless it is alone. On error c is empty.
func (c *Credential) set(form Form, token, preimage string, alone bool) error {
	c.clear()
	n, err := decodeMacaroon(c.mac[:], token)
	if err != nil {
		return err
	}
	if !alone {
		if !decodePreimage(&c.Preimage, preimage) {
			c.clear()
			return ErrMalformedCredential
		}
		c.HasPreimage = true
	}
	c.Form, c.size = form, n
	return nil
}

// setPair reads "<token>:<preimage>" or a token alone.
func (c *Credential) setPair(form Form, pair string) error {
	token, preimage, found := strings.Cut(pair, ":")
	return c.set(form, trim(token), trim(preimage), !found)
}
