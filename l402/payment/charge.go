package payment

import (
	"encoding/json"
	"fmt"
)

// CurrencySat is the currency of amounts in satoshi.
const CurrencySat = "sat"

// ChargeRequest is the request of a Lightning charge (draft-lightning-charge).
type ChargeRequest struct {
	// Amount is the price in whole satoshi, in decimal digits.
	Amount string `json:"amount"`
	// Currency is CurrencySat.
	Currency string `json:"currency"`
	// Description is for people.
	Description string `json:"description,omitempty"`
	// ExternalID is the merchant's own reference.
	ExternalID string `json:"externalId,omitempty"`
	// MethodDetails are what is particular to Lightning.
	MethodDetails LightningDetails `json:"methodDetails"`
}

// LightningDetails are the invoice and what a client need not read from it.
type LightningDetails struct {
	// Invoice is the BOLT 11 payment request.
	Invoice string `json:"invoice"`
	// Network is mainnet, signet or regtest; empty means mainnet.
	Network string `json:"network,omitempty"`
	// PaymentHash is the invoice's, in lower-case hex.
	PaymentHash string `json:"paymentHash,omitempty"`
}

// Encode returns the request as it stands in a challenge: canonical JSON in base64url.
func (r *ChargeRequest) Encode() (string, error) {
	document, err := plainJSON(r)
	if err != nil {
		return "", err
	}
	if !inOrder(document) {
		if document, err = Canonicalize(document); err != nil {
			return "", err
		}
	}
	return Encode(document), nil
}

// inOrder tells whether the JSON of a ChargeRequest is canonical as it is: its members are in order and
// texts only, so that it is where no text needs an escape. This is for the challenge of each unpaid
// request.
func inOrder(document []byte) bool {
	for _, c := range document {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// ParseChargeRequest reads the request of a challenge. It returns an error that wraps
// ErrMalformedChallenge if it is no JSON in base64url or has no invoice.
func ParseChargeRequest(request string) (*ChargeRequest, error) {
	document, err := Decode(request)
	if err != nil {
		return nil, fmt.Errorf("%w: its request: %w", ErrMalformedChallenge, err)
	}
	r := new(ChargeRequest)
	if json.Unmarshal(document, r) != nil {
		return nil, fmt.Errorf("%w: its request is not the JSON of a charge", ErrMalformedChallenge)
	}
	if r.MethodDetails.Invoice == "" {
		return nil, fmt.Errorf("%w: its request has no invoice", ErrMalformedChallenge)
	}
	return r, nil
}
