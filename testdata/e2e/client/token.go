package client

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Token is a macaroon with the proof that its invoice was paid.
type Token struct {
	// Macaroon is in standard base64.
	Macaroon string
	// Preimage is in hex; empty leaves it to the gateway to ask its wallet.
	Preimage string
}

// Header is the value for Authorization.
func (t Token) Header() string {
	if t.Preimage == "" {
		return "L402 " + t.Macaroon
	}
	return "L402 " + t.Macaroon + ":" + t.Preimage
}

// Narrow adds caveats, as any holder of a token can.
func (t Token) Narrow(caveats ...string) (Token, error) {
	mac, err := decodeMacaroon(t.Macaroon)
	if err != nil {
		return Token{}, err
	}
	for _, c := range caveats {
		if err := mac.AddFirstPartyCaveat([]byte(c)); err != nil {
			return Token{}, fmt.Errorf("adding a caveat: %w", err)
		}
	}
	raw, err := mac.MarshalBinary()
	if err != nil {
		return Token{}, fmt.Errorf("writing a narrowed macaroon: %w", err)
	}
	return Token{Macaroon: base64.StdEncoding.EncodeToString(raw), Preimage: t.Preimage}, nil
}

// Caveats lists the token's conditions in order.
func (t Token) Caveats() ([]string, error) {
	mac, err := decodeMacaroon(t.Macaroon)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, c := range mac.Caveats() {
		list = append(list, string(c.Id))
	}
	return list, nil
}

// Proves tells whether a preimage in hex belongs to a payment hash in hex.
func Proves(preimage, hash string) bool {
	raw, err := hex.DecodeString(preimage)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]) == hash
}

// TokenID is the 32 bytes of the identifier after the payment hash.
func (t Token) TokenID() ([]byte, error) {
	mac, err := decodeMacaroon(t.Macaroon)
	if err != nil {
		return nil, err
	}
	if _, err := paymentHash(mac); err != nil {
		return nil, err
	}
	return mac.Id()[34:], nil
}
