// Package client is the buying side of L402 for tests, written from the specification and
// sharing no code with the gateway: it reads challenges, carries tokens and narrows them.
package client

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	macaroon "gopkg.in/macaroon.v2"
)

// Challenge is what a 402 asks for.
type Challenge struct {
	// Macaroon is the token in standard base64, not valid before the invoice is paid.
	Macaroon string
	// Invoice is the BOLT 11 text.
	Invoice string
	// PaymentHash is the invoice's payment hash in hex, as the token's identifier has it.
	PaymentHash string
	// Header is the challenge line.
	Header string
}

// Deployed clients find the two values in this order with exactly this between them.
var challengeLine = regexp.MustCompile(`^L402 macaroon="([^"]+)", invoice="([^"]+)"`)

// ReadChallenge finds the L402 challenge of a response.
func ReadChallenge(resp *http.Response) (*Challenge, error) {
	for _, line := range resp.Header.Values("WWW-Authenticate") {
		m := challengeLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		mac, err := decodeMacaroon(m[1])
		if err != nil {
			return nil, err
		}
		hash, err := paymentHash(mac)
		if err != nil {
			return nil, err
		}
		return &Challenge{Macaroon: m[1], Invoice: m[2], PaymentHash: hash, Header: line}, nil
	}
	return nil, fmt.Errorf("no L402 challenge in status %d with %q", resp.StatusCode, resp.Header.Values("WWW-Authenticate"))
}

func decodeMacaroon(b64 string) (*macaroon.Macaroon, error) {
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return nil, fmt.Errorf("decoding a challenge's macaroon: %w", err)
	}
	var mac macaroon.Macaroon
	if err := mac.UnmarshalBinary(raw); err != nil {
		return nil, fmt.Errorf("reading a challenge's macaroon: %w", err)
	}
	return &mac, nil
}

// paymentHash takes the hash out of an identifier: version 0 in two bytes, hash, token id.
func paymentHash(mac *macaroon.Macaroon) (string, error) {
	id := mac.Id()
	if len(id) != 66 || id[0] != 0 || id[1] != 0 {
		return "", errors.New("the macaroon's identifier is not version 0 with 66 bytes")
	}
	return hex.EncodeToString(id[2:34]), nil
}
