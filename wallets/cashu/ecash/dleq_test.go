package ecash

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// The vectors of NUT-12.
func TestChallengeVector(t *testing.T) {
	r := point(t, "020000000000000000000000000000000000000000000000000000000000000001")
	c := point(t, "02a9acc1e48c25eeeb9289b5031cc57da9fe72f3fe2861d264bdc074209b107ba2")
	e := challenge(r, r, r, c)
	if got := hex.EncodeToString(e[:]); got != "a4dc034b74338c28c6bc3ea49731f2a24440fc7c4affc08b31a93fc9fbe6401e" {
		t.Errorf("got %s", got)
	}
}

func TestProveVector(t *testing.T) {
	a := scalar(t, "0000000000000000000000000000000000000000000000000000000000000002")
	b := point(t, "02a9acc1e48c25eeeb9289b5031cc57da9fe72f3fe2861d264bdc074209b107ba2")
	c, err := Sign(b, a)
	if err != nil || text(c) != "0244eccfc7a348274458bb38044c7f3c389b3c2086c7ec18b5812d2877ab937787" {
		t.Fatalf("signature %s, %v", text(c), err)
	}
	d, err := ProveDLEQ(a, b, c)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(d.E[:]); got != "2a16ffee280aff3c429045607f9b8e0bf8b35910c44c1b20b9dfaf01b263d7b3" {
		t.Errorf("e %s", got)
	}
	if got := hex.EncodeToString(d.S[:]); got != "9df27731238334718d120d4f74611a7c668233f988e687ac3fb188f0a34a2dab" {
		t.Errorf("s %s", got)
	}
	if err := VerifyDLEQ(a.PubKey(), b, c, d); err != nil {
		t.Error(err)
	}
}

func dleq(t testing.TB, e, s string) DLEQ {
	return DLEQ{E: [32]byte(unhex(t, e)), S: [32]byte(unhex(t, s))}
}

func TestVerifyVectors(t *testing.T) {
	a := point(t, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
	b := point(t, "02a9acc1e48c25eeeb9289b5031cc57da9fe72f3fe2861d264bdc074209b107ba2")
	d := dleq(t, "9818e061ee51d5c8edc3342369a554998ff7b4381c8652d724cdf46429be73d9", "9818e061ee51d5c8edc3342369a554998ff7b4381c8652d724cdf46429be73da")
	if err := VerifyDLEQ(a, b, b, d); err != nil {
		t.Error(err)
	}
	d = dleq(t, "b31e58ac6527f34975ffab13e70a48b6d2b0d35abc4b03f0151f09ee1a9763d4", "8fbae004c59e754d71df67e392b6ae4e29293113ddc2ec86592a0431d16306d8")
	r := scalar(t, "a6d13fcd7a18442e6076f5e1e7c887ad5de40a019824bdfa9fe740d302e8d861")
	c := point(t, "024369d2d22a80ecf78f3937da9d5f30c1b9f74f0c32684d583cca0fa6a61cdcfc")
	if err := VerifyProofDLEQ(a, "daf4dd00a2b68a0858a80450f52c8a7d2ccf87d375e43e216e0c571f089f63e9", c, d, r); err != nil {
		t.Error(err)
	}
}

// Whatever a forger changes, the proof fails.
func TestForgedDLEQ(t *testing.T) {
	key, _ := NewBlindingFactor()
	forger, _ := NewBlindingFactor()
	r, _ := NewBlindingFactor()
	b, err := Blind("secret", r)
	if err != nil {
		t.Fatal(err)
	}
	good, _ := Sign(b, key)
	d, _ := ProveDLEQ(key, b, good)
	c, _ := Unblind(good, r, key.PubKey())
	if err := VerifyProofDLEQ(key.PubKey(), "secret", c, d, r); err != nil {
		t.Fatalf("good proof: %v", err)
	}
	forged, _ := Sign(b, forger)
	forgedC, _ := Unblind(forged, r, key.PubKey())
	forgedProof, _ := ProveDLEQ(forger, b, forged)
	flip := func(x [32]byte) [32]byte { x[31] ^= 1; return x }
	for name, err := range map[string]error{
		"signed by another key":     VerifyDLEQ(key.PubKey(), b, forged, forgedProof),
		"good proof, other C_":      VerifyDLEQ(key.PubKey(), b, forged, d),
		"other B_":                  VerifyDLEQ(key.PubKey(), forger.PubKey(), good, d),
		"other key":                 VerifyDLEQ(forger.PubKey(), b, good, d),
		"e changed":                 VerifyDLEQ(key.PubKey(), b, good, DLEQ{flip(d.E), d.S}),
		"s changed":                 VerifyDLEQ(key.PubKey(), b, good, DLEQ{d.E, flip(d.S)}),
		"zeros":                     VerifyDLEQ(key.PubKey(), b, good, DLEQ{}),
		"s above the order":         VerifyDLEQ(key.PubKey(), b, good, DLEQ{d.E, [32]byte(unhex(t, "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"))}),
		"carol, other secret":       VerifyProofDLEQ(key.PubKey(), "secret2", c, d, r),
		"carol, other r":            VerifyProofDLEQ(key.PubKey(), "secret", c, d, forger),
		"carol, C of another key":   VerifyProofDLEQ(key.PubKey(), "secret", forgedC, forgedProof, r),
		"carol, the blinded C":      VerifyProofDLEQ(key.PubKey(), "secret", good, d, r),
		"challenge of zero, s of 1": VerifyDLEQ(key.PubKey(), b, good, DLEQ{S: [32]byte{31: 1}}),
	} {
		if !errors.Is(err, ErrDLEQ) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A response above the order that is right modulo the order would make one proof have two forms.
func TestResponseIsNotReduced(t *testing.T) {
	key := scalar(t, "0000000000000000000000000000000000000000000000000000000000000001")
	b := key.PubKey()
	if err := VerifyDLEQ(key.PubKey(), b, b, DLEQ{S: [32]byte(unhex(t, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364142"))}); !errors.Is(err, ErrDLEQ) {
		t.Errorf("got %v", err)
	}
}

func FuzzVerifyDLEQ(f *testing.F) {
	key := secp256k1.NewPrivateKey(new(secp256k1.ModNScalar).SetInt(7))
	b := secp256k1.NewPrivateKey(new(secp256k1.ModNScalar).SetInt(11)).PubKey()
	c, err := Sign(b, key)
	if err != nil {
		f.Fatal(err)
	}
	d, err := ProveDLEQ(key, b, c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.E[:], d.S[:])
	f.Fuzz(func(t *testing.T, e, s []byte) {
		if len(e) != 32 || len(s) != 32 {
			return
		}
		other := DLEQ{[32]byte(e), [32]byte(s)}
		if err := VerifyDLEQ(key.PubKey(), b, c, other); (err == nil) != (other == d) {
			t.Errorf("%x %x: %v", e, s, err)
		}
	})
}
