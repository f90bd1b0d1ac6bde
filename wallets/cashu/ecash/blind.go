package ecash

import (
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// NewBlindingFactor makes a random blinding factor. Wallets take Seed.Derive instead, from which
// their money can be restored.
func NewBlindingFactor() (*PrivateKey, error) {
	r, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return nil, fmt.Errorf("making a blinding factor: %w", err)
	}
	return r, nil
}

// Blind hides a secret from the mint: B_ = Y + rG (NUT-00).
func Blind(secret string, r *PrivateKey) (*PublicKey, error) {
	y, err := HashToCurve([]byte(secret))
	if err != nil {
		return nil, err
	}
	b, err := sum(jacobian(y), timesG(&r.Key))
	if err != nil {
		return nil, fmt.Errorf("blinding: %w", err)
	}
	return b, nil
}

// Sign is what the mint does with a blinded secret: C_ = kB_ (NUT-00).
func Sign(blinded *PublicKey, k *PrivateKey) (*PublicKey, error) {
	c, err := affine(times(&k.Key, blinded))
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return c, nil
}

// Unblind makes the signature on the secret of the one on the blinded secret: C = C_ - rK, with the
// mint's public key K (NUT-00). It says nothing about whether the signature is good: only the mint,
// or a DLEQ proof, can.
func Unblind(signature *PublicKey, r *PrivateKey, key *PublicKey) (*PublicKey, error) {
	minus := new(secp256k1.ModNScalar).NegateVal(&r.Key)
	c, err := sum(jacobian(signature), times(minus, key))
	if err != nil {
		return nil, fmt.Errorf("unblinding: %w", err)
	}
	return c, nil
}

// Reblind is the way back from Unblind: C_ = C + rK, for whoever learns r with a proof (NUT-12).
func Reblind(c *PublicKey, r *PrivateKey, key *PublicKey) (*PublicKey, error) {
	signature, err := sum(jacobian(c), times(&r.Key, key))
	if err != nil {
		return nil, fmt.Errorf("blinding a signature: %w", err)
	}
	return signature, nil
}

// Verify is how the mint checks a proof: C = kY (NUT-00).
func Verify(secret string, c *PublicKey, k *PrivateKey) bool {
	y, err := HashToCurve([]byte(secret))
	if err != nil {
		return false
	}
	want, err := Sign(y, k)
	return err == nil && want.IsEqual(c)
}
