package receipts

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Type is the "typ" in the header of a receipt's JWS.
const Type = "l402-receipt"

// Receipt says that a payment arrived and what it was for.
type Receipt struct {
	// Issuer is the host that the receipt was asked for at. Its keys are at
	// https://<issuer>/.well-known/l402/keys.json, and only a receipt that is signed with one
	// of them is the issuer's.
	Issuer string `json:"iss"`
	// PaymentHash is the payment hash of the invoice, in hex.
	PaymentHash string `json:"payment_hash"`
	// AmountMsat is in millisatoshi.
	AmountMsat uint64 `json:"amount_msat"`
	// Service and Tier are what was sold.
	Service string `json:"service"`
	Tier    uint8  `json:"tier"`
	// SettledAt is when the payment was first seen, in UTC, to the second.
	SettledAt time.Time `json:"settled_at"`
	// Scheme is how the proof of payment came, such as "L402".
	Scheme string `json:"scheme"`
	// TokenID is the id of the token that was first shown for the payment, in hex. It opens
	// nothing.
	TokenID string `json:"token_id"`
}

// sign makes the compact JWS of a receipt.
func (k *key) sign(r *Receipt) (string, error) {
	payload, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encoding a receipt: %w", err)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}},
		new(jose.SignerOptions).WithType(Type))
	if err != nil {
		return "", fmt.Errorf("signing a receipt: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("signing a receipt: %w", err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("signing a receipt: %w", err)
	}
	return compact, nil
}

// public is the key as the JWK set shows it.
func (k *key) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: string(jose.EdDSA), Use: "sig"}
}
