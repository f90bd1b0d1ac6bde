package ecash

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// nonceDomain begins what the nonce of a proof is computed from (NUT-12).
const nonceDomain = "Cashu_DLEQ_R_v1"

// DLEQ proves that a blind signature was made with the private key of a published one (NUT-12),
// without telling that key.
type DLEQ struct {
	// E is the challenge.
	E [32]byte
	// S is the response.
	S [32]byte
}

// ProveDLEQ is the mint's part: it proves that signature = kB_ for the k of the public key kG. The
// nonce is deterministic, so that no two challenges share one.
func ProveDLEQ(k *PrivateKey, blinded, signature *PublicKey) (DLEQ, error) {
	key := k.PubKey()
	secret := k.Serialize()
	for counter := range 256 {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(nonceDomain))
		for _, p := range []*PublicKey{key, blinded, signature} {
			mac.Write(p.SerializeUncompressed())
		}
		mac.Write([]byte{byte(counter)})
		nonce, err := parseScalar(mac.Sum(nil))
		if err != nil || nonce.IsZero() {
			continue
		}
		r1, err := affine(timesG(nonce))
		if err != nil {
			continue
		}
		r2, err := affine(times(nonce, blinded))
		if err != nil {
			continue
		}
		e := challenge(r1, r2, key, signature)
		var s secp256k1.ModNScalar
		s.SetByteSlice(e[:])
		s.Mul(&k.Key).Add(nonce)
		return DLEQ{E: e, S: s.Bytes()}, nil
	}
	return DLEQ{}, errors.New("proving a DLEQ: no nonce found")
}

// VerifyDLEQ is what a wallet checks on a blind signature for which it knows the blinded secret.
// Errors wrap ErrDLEQ.
func VerifyDLEQ(key, blinded, signature *PublicKey, d DLEQ) error {
	s, err := parseScalar(d.S[:])
	if err != nil {
		return fmt.Errorf("%w: s is %w", ErrDLEQ, err)
	}
	// The challenge is a hash and may be above the order: it is reduced, as the mint did.
	var minusE secp256k1.ModNScalar
	minusE.SetByteSlice(d.E[:])
	minusE.Negate()
	r1, err := sum(timesG(s), times(&minusE, key))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDLEQ, err)
	}
	r2, err := sum(times(s, blinded), times(&minusE, signature))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDLEQ, err)
	}
	e := challenge(r1, r2, key, signature)
	if subtle.ConstantTimeCompare(e[:], d.E[:]) != 1 {
		return ErrDLEQ
	}
	return nil
}

// VerifyProofDLEQ is what a receiver checks on a proof with whose DLEQ the payer told the blinding
// factor: that the mint signed the secret with this key, without asking the mint. It does not say
// that the proof is unspent. Errors wrap ErrDLEQ.
func VerifyProofDLEQ(key *PublicKey, secret string, c *PublicKey, d DLEQ, r *PrivateKey) error {
	blinded, err := Blind(secret, r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDLEQ, err)
	}
	signature, err := Reblind(c, r, key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDLEQ, err)
	}
	return VerifyDLEQ(key, blinded, signature, d)
}

// challenge hashes points as NUT-12 says: the hex of their uncompressed forms, one after another.
func challenge(points ...*PublicKey) [32]byte {
	h := sha256.New()
	var text [130]byte
	for _, p := range points {
		hex.Encode(text[:], p.SerializeUncompressed())
		h.Write(text[:])
	}
	return [32]byte(h.Sum(nil))
}
