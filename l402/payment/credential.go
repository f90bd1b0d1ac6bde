package payment

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"
)

// MaxCredential is the greatest length in characters of a credential, far above the four kilobytes
// that every server has to take.
const MaxCredential = 24 << 10

// Credential is a challenge with what proves its payment.
type Credential struct {
	// Challenge is the challenge that was paid, every parameter as it came.
	Challenge Challenge `json:"challenge"`
	// Source names the payer, if he cares to.
	Source string `json:"source,omitempty"`
	// Payload is the proof as the method defines it.
	Payload json.RawMessage `json:"payload"`
}

// chargePayload is the payload of a Lightning charge.
type chargePayload struct {
	Preimage string `json:"preimage"`
}

// NewChargeCredential makes the credential of a Lightning charge that was paid.
func NewChargeCredential(c Challenge, preimage lntypes.Preimage) *Credential {
	return &Credential{Challenge: c, Payload: json.RawMessage(`{"preimage":"` + preimage.String() + `"}`)}
}

// Format returns the value of an Authorization or Payment-Authorization header.
func (c *Credential) Format() (string, error) {
	token, err := encodeJSON(c)
	if err != nil {
		return "", err
	}
	return Scheme + " " + token, nil
}

// ParseCredential reads the value of an Authorization or Payment-Authorization header, with the name
// of the scheme in any case. It returns ErrMalformedCredential or ErrTooLong.
func ParseCredential(header string) (*Credential, error) {
	scheme, token, _ := strings.Cut(strings.TrimLeft(header, " \t"), " ")
	if !strings.EqualFold(scheme, Scheme) {
		return nil, ErrMalformedCredential
	}
	return ParseToken(strings.Trim(token, " \t"))
}

// ParseToken reads a credential without the name of the scheme. It returns ErrMalformedCredential
// or ErrTooLong.
func ParseToken(token string) (*Credential, error) {
	if len(token) > MaxCredential {
		return nil, ErrTooLong
	}
	document, err := Decode(token)
	if err != nil {
		return nil, ErrMalformedCredential
	}
	c := new(Credential)
	if json.Unmarshal(document, c) != nil || !c.Challenge.complete() || !bytes.HasPrefix(c.Payload, []byte("{")) {
		return nil, ErrMalformedCredential
	}
	return c, nil
}

// Preimage returns the preimage that proves the payment of a Lightning charge. It returns
// ErrMethodUnsupported for another method or intent and ErrMalformedCredential for a preimage that
// is not 64 lower-case hex digits.
func (c *Credential) Preimage() (lntypes.Preimage, error) {
	var preimage lntypes.Preimage
	if c.Challenge.Method != Method || c.Challenge.Intent != IntentCharge {
		return preimage, ErrMethodUnsupported
	}
	var payload chargePayload
	if json.Unmarshal(c.Payload, &payload) != nil || len(payload.Preimage) != hex.EncodedLen(len(preimage)) ||
		strings.ToLower(payload.Preimage) != payload.Preimage {
		return preimage, ErrMalformedCredential
	}
	if _, err := hex.Decode(preimage[:], []byte(payload.Preimage)); err != nil {
		return lntypes.Preimage{}, ErrMalformedCredential
	}
	return preimage, nil
}
