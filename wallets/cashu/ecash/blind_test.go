package ecash

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func point(t testing.TB, s string) *PublicKey {
	t.Helper()
	p, err := ParsePublicKeyHex(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func scalar(t testing.TB, s string) *PrivateKey {
	t.Helper()
	k, err := ParsePrivateKey(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func text(p *PublicKey) string { return hex.EncodeToString(p.SerializeCompressed()) }

// The vectors of NUT-00.
func TestHashToCurve(t *testing.T) {
	for message, want := range map[string]string{
		"0000000000000000000000000000000000000000000000000000000000000000": "024cce997d3b518f739663b757deaec95bcd9473c30a14ac2fd04023a739d1a725",
		"0000000000000000000000000000000000000000000000000000000000000001": "022e7158e11c9506f1aa4248bf531298daa7febd6194f003edcd9b93ade6253acf",
		"0000000000000000000000000000000000000000000000000000000000000002": "026cdbe15362df59cd1dd3c9c11de8aedac2106eca69236ecd9fbe117af897be4f",
	} {
		p, err := HashToCurve(unhex(t, message))
		if err != nil || text(p) != want {
			t.Errorf("message %s: got %v, %v, want %s", message, text(p), err, want)
		}
	}
}

func TestBlindVectors(t *testing.T) {
	for _, v := range []struct{ x, r, b string }{
		{"d341ee4871f1f889041e63cf0d3823c713eea6aff01e80f1719f08f9e5be98f6", "99fce58439fc37412ab3468b73db0569322588f62fb3a49182d67e23d877824a", "033b1a9737a40cc3fd9b6af4b723632b76a67a36782596304612a6c2bfb5197e6d"},
		{"f1aaf16c2239746f369572c0784d9dd3d032d952c2d992175873fb58fae31a60", "f78476ea7cc9ade20f9e05e58a804cf19533f03ea805ece5fee88c8e2874ba50", "029bdf2d716ee366eddf599ba252786c1033f47e230248a4612a5670ab931f1763"},
	} {
		b, err := Blind(string(unhex(t, v.x)), scalar(t, v.r))
		if err != nil || text(b) != v.b {
			t.Errorf("secret %s: got %v, %v, want %s", v.x, text(b), err, v.b)
		}
	}
}

func TestSignVectors(t *testing.T) {
	const blinded = "02a9acc1e48c25eeeb9289b5031cc57da9fe72f3fe2861d264bdc074209b107ba2"
	for k, want := range map[string]string{
		"0000000000000000000000000000000000000000000000000000000000000001": blinded,
		"7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f": "0398bc70ce8184d27ba89834d19f5199c84443c31131e48d3c1214db24247d005d",
	} {
		c, err := Sign(point(t, blinded), scalar(t, k))
		if err != nil || text(c) != want {
			t.Errorf("key %s: got %v, %v, want %s", k, text(c), err, want)
		}
	}
}

func TestBlindSignUnblind(t *testing.T) {
	k, err := NewBlindingFactor()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := NewBlindingFactor()
	for _, secret := range []string{"", "x", `["P2PK",{"nonce":"1"}]`, string(bytes.Repeat([]byte{0xff}, 500))} {
		r, err := NewBlindingFactor()
		if err != nil {
			t.Fatal(err)
		}
		b, err := Blind(secret, r)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := Sign(b, k)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Unblind(signature, r, k.PubKey())
		if err != nil {
			t.Fatal(err)
		}
		if !Verify(secret, c, k) {
			t.Errorf("signature on %q does not verify", secret)
		}
		if Verify(secret+"'", c, k) || Verify(secret, c, other) || Verify(secret, signature, k) {
			t.Errorf("signature on %q verifies for another secret, key or without unblinding", secret)
		}
		if again, err := Reblind(c, r, k.PubKey()); err != nil || !again.IsEqual(signature) {
			t.Errorf("reblinding %q does not lead back: %v", secret, err)
		}
	}
}

// A signature that makes the point at infinity is refused instead of becoming a key of zeros.
func TestInfinityIsRefused(t *testing.T) {
	r := scalar(t, "0000000000000000000000000000000000000000000000000000000000000005")
	k := scalar(t, "0000000000000000000000000000000000000000000000000000000000000007")
	rk := scalar(t, "0000000000000000000000000000000000000000000000000000000000000023").PubKey()
	if c, err := Unblind(rk, r, k.PubKey()); !errors.Is(err, ErrPoint) {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	good := "02a9acc1e48c25eeeb9289b5031cc57da9fe72f3fe2861d264bdc074209b107ba2"
	for name, s := range map[string]string{
		"empty":        "",
		"a byte short": good[2:],
		"uncompressed": hex.EncodeToString(point(t, good).SerializeUncompressed()),
		"no hex":       "zz" + good[2:],
		"wrong prefix": "05" + good[2:],
		"not on curve": "020000000000000000000000000000000000000000000000000000000000000005",
		"above field":  "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"infinity":     "000000000000000000000000000000000000000000000000000000000000000000",
	} {
		if p, err := ParsePublicKeyHex(s); !errors.Is(err, ErrPoint) {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
	}
	if _, err := ParsePublicKeyHex("02A9ACC1E48C25EEEB9289B5031CC57DA9FE72F3FE2861D264BDC074209B107BA2"); err != nil {
		t.Errorf("upper case: %v", err)
	}
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"empty": "", "short": "01", "long": "00" + "0000000000000000000000000000000000000000000000000000000000000001",
		"zero":  "0000000000000000000000000000000000000000000000000000000000000000",
		"order": "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	} {
		if _, err := ParsePrivateKey(unhex(t, s)); !errors.Is(err, ErrScalar) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestYIsTheCompressedPoint(t *testing.T) {
	y, err := Y("abc")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := HashToCurve([]byte("abc"))
	if !bytes.Equal(y[:], p.SerializeCompressed()) {
		t.Errorf("got %x", y)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add([]byte{2})
	f.Add(secp256k1.NewPrivateKey(new(secp256k1.ModNScalar).SetInt(3)).PubKey().SerializeCompressed())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePublicKey(b)
		if err == nil && !bytes.Equal(p.SerializeCompressed(), b) {
			t.Errorf("%x became %s", b, text(p))
		}
	})
}
