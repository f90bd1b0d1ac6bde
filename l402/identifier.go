package l402

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
)

const (
	// IdentifierSize is the length in bytes of an identifier of version 0: two bytes of
	// version, 32 bytes of payment hash, 32 bytes of token id.
	IdentifierSize = 66

	hashOffset    = 2
	tokenIDOffset = 34
)

// KeyID names a master key. It is public: it stands in every token.
type KeyID [8]byte

// String returns the key id as 16 lower-case hex digits.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// ParseKeyID reads a key id from 16 hex digits.
func ParseKeyID(s string) (KeyID, error) {
	var k KeyID
	if len(s) != 2*len(k) {
		return k, fmt.Errorf("reading key id: want %d hex digits, got %d characters", 2*len(k), len(s))
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return KeyID{}, fmt.Errorf("reading key id: %w", err)
	}
	return k, nil
}

// TokenID is the token's own part of the identifier: the key id, the time at which the token was
// made (Unix seconds, 5 bytes, big-endian) and 19 random bytes. The token's signature covers it.
type TokenID [32]byte

// KeyID returns the id of the master key that the token was made with.
func (t TokenID) KeyID() KeyID { return KeyID(t[:len(KeyID{})]) }

// String returns the token id as 64 lower-case hex digits.
func (t TokenID) String() string { return hex.EncodeToString(t[:]) }

// MintedAt returns the time at which the token was made, so that a service's tokens can be revoked
// up to a moment.
func (t TokenID) MintedAt() time.Time {
	var seconds int64
	for _, b := range t[len(KeyID{}) : len(KeyID{})+mintTimeSize] {
		seconds = seconds<<8 | int64(b)
	}
	return time.Unix(seconds, 0)
}

// mintTimeSize is enough for the next 34,000 years.
const mintTimeSize = 5

// NewTokenID makes a token id for the master key k at a time, with randomness from random, or
// from crypto/rand if random is nil.
func NewTokenID(k KeyID, at time.Time, random io.Reader) (TokenID, error) {
	if random == nil {
		random = rand.Reader
	}
	var t TokenID
	n := copy(t[:], k[:])
	for seconds, i := at.Unix(), n+mintTimeSize-1; i >= n; i-- {
		t[i] = byte(seconds)
		seconds >>= 8
	}
	n += mintTimeSize
	if _, err := io.ReadFull(random, t[n:]); err != nil {
		return TokenID{}, fmt.Errorf("reading randomness for a token id: %w", err)
	}
	return t, nil
}

// MasterKey is the secret that the root keys of tokens are derived from. Whoever has it can make
// tokens.
type MasterKey [32]byte

// String hides the key, so that it cannot slip into a log.
func (MasterKey) String() string { return "[master key]" }

// GoString hides the key, so that it cannot slip into a log.
func (MasterKey) GoString() string { return "[master key]" }

// Format hides the key from every verb of package fmt, %x and %d among them.
func (MasterKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[master key]") }

// RootKey derives the macaroon root key of one token: HMAC-SHA256(master key, token id). Deriving
// it means that nothing has to be stored for a token.
func RootKey(m *MasterKey, id *TokenID) [32]byte {
	var root [32]byte
	hmacSHA256(&root, (*[32]byte)(m), id[:])
	return root
}

// Identifier is what a token says about itself: which invoice buys it and which token it is.
type Identifier struct {
	// PaymentHash is the payment hash of the invoice, the SHA-256 of the preimage.
	PaymentHash lntypes.Hash
	// TokenID holds the key id and the token's random part. Several tokens may share a payment
	// hash; no two share a token id.
	TokenID TokenID
}

// Bytes returns the identifier in its binary form of version 0.
func (i Identifier) Bytes() [IdentifierSize]byte {
	var b [IdentifierSize]byte
	copy(b[hashOffset:], i.PaymentHash[:])
	copy(b[tokenIDOffset:], i.TokenID[:])
	return b
}

// ParseIdentifier reads an identifier from its binary form. It returns ErrUnsupportedVersion for a
// version other than 0 and ErrMalformedToken for another length.
func ParseIdentifier(b []byte) (Identifier, error) {
	var id Identifier
	if len(b) < hashOffset {
		return id, ErrMalformedToken
	}
	if b[0] != 0 || b[1] != 0 {
		return id, ErrUnsupportedVersion
	}
	if len(b) != IdentifierSize {
		return id, ErrMalformedToken
	}
	copy(id.PaymentHash[:], b[hashOffset:])
	copy(id.TokenID[:], b[tokenIDOffset:])
	return id, nil
}

// Interface guards
var (
	_ fmt.Stringer   = KeyID{}
	_ fmt.Stringer   = TokenID{}
	_ fmt.Formatter  = MasterKey{}
	_ fmt.GoStringer = MasterKey{}
)
