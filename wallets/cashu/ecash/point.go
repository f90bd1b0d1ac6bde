package ecash

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// PublicKey is a point of secp256k1, never the one at infinity.
type PublicKey = secp256k1.PublicKey

// PrivateKey is a scalar of secp256k1: a mint's key, a blinding factor, or a key that ecash is
// locked to.
type PrivateKey = secp256k1.PrivateKey

// domain separates the hashes to the curve from any other use of SHA-256 (NUT-00).
const domain = "Secp256k1_HashToCurve_Cashu_"

// maxTries bounds the search for a point. Half of all tries succeed, so that the bound is never
// reached.
const maxTries = 1 << 16

// HashToCurve maps a secret to a point whose logarithm nobody knows (NUT-00). The error is a
// formality.
func HashToCurve(secret []byte) (*PublicKey, error) {
	hash := sha256.Sum256(append([]byte(domain), secret...))
	var in [sha256.Size + 4]byte
	copy(in[:], hash[:])
	var candidate [33]byte
	candidate[0] = secp256k1.PubKeyFormatCompressedEven
	for counter := range uint32(maxTries) {
		binary.LittleEndian.PutUint32(in[sha256.Size:], counter)
		x := sha256.Sum256(in[:])
		copy(candidate[1:], x[:])
		if p, err := secp256k1.ParsePubKey(candidate[:]); err == nil {
			return p, nil
		}
	}
	return nil, errors.New("hashing to the curve: no point found")
}

// Y is the point of a secret in compressed form, by which mints name a proof and by which replays
// are recognized.
func Y(secret string) ([33]byte, error) {
	p, err := HashToCurve([]byte(secret))
	if err != nil {
		return [33]byte{}, err
	}
	return [33]byte(p.SerializeCompressed()), nil
}

// ParsePublicKey reads a point in compressed form. Errors wrap ErrPoint.
func ParsePublicKey(b []byte) (*PublicKey, error) {
	if len(b) != secp256k1.PubKeyBytesLenCompressed {
		return nil, fmt.Errorf("%w: %d bytes where 33 are needed", ErrPoint, len(b))
	}
	p, err := secp256k1.ParsePubKey(b)
	if err != nil {
		return nil, ErrPoint
	}
	return p, nil
}

// ParsePublicKeyHex reads a point in compressed form as hex. Errors wrap ErrPoint.
func ParsePublicKeyHex(text string) (*PublicKey, error) {
	if len(text) != 2*secp256k1.PubKeyBytesLenCompressed {
		return nil, fmt.Errorf("%w: %d characters where 66 of hex are needed", ErrPoint, len(text))
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not hex", ErrPoint)
	}
	return ParsePublicKey(b)
}

// ParsePrivateKey reads a scalar of 32 bytes. Numbers that are zero or too large are refused
// instead of reduced. Errors wrap ErrScalar.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	s, err := parseScalar(b)
	if err != nil {
		return nil, err
	}
	if s.IsZero() {
		return nil, fmt.Errorf("%w: it is zero", ErrScalar)
	}
	return secp256k1.NewPrivateKey(s), nil
}

func parseScalar(b []byte) (*secp256k1.ModNScalar, error) {
	if len(b) != 32 {
		return nil, fmt.Errorf("%w: %d bytes where 32 are needed", ErrScalar, len(b))
	}
	var s secp256k1.ModNScalar
	if s.SetByteSlice(b) {
		return nil, fmt.Errorf("%w: it is not below the order of the curve", ErrScalar)
	}
	return &s, nil
}

// sum adds two points, given that the result is not infinity.
func sum(a, b *secp256k1.JacobianPoint) (*PublicKey, error) {
	var out secp256k1.JacobianPoint
	secp256k1.AddNonConst(a, b, &out)
	return affine(&out)
}

func affine(p *secp256k1.JacobianPoint) (*PublicKey, error) {
	if p.Z.IsZero() || p.X.IsZero() && p.Y.IsZero() {
		return nil, fmt.Errorf("%w: it is the point at infinity", ErrPoint)
	}
	p.ToAffine()
	return secp256k1.NewPublicKey(&p.X, &p.Y), nil
}

func jacobian(p *PublicKey) *secp256k1.JacobianPoint {
	var out secp256k1.JacobianPoint
	p.AsJacobian(&out)
	return &out
}

func times(k *secp256k1.ModNScalar, p *PublicKey) *secp256k1.JacobianPoint {
	var out secp256k1.JacobianPoint
	secp256k1.ScalarMultNonConst(k, jacobian(p), &out)
	return &out
}

func timesG(k *secp256k1.ModNScalar) *secp256k1.JacobianPoint {
	var out secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(k, &out)
	return &out
}
