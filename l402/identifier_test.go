package l402

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
)

func TestIdentifierRoundTrip(t *testing.T) {
	id := testID()
	b := id.Bytes()
	if b[0] != 0 || b[1] != 0 || !bytes.Equal(b[2:34], id.PaymentHash[:]) || !bytes.Equal(b[34:], id.TokenID[:]) {
		t.Errorf("identifier written as %x", b)
	}
	if back, err := ParseIdentifier(b[:]); err != nil || back != id {
		t.Errorf("read back as %+v, %v", back, err)
	}
	if id.TokenID.KeyID() != testKeyID {
		t.Errorf("key id is %s, want %s", id.TokenID.KeyID(), testKeyID)
	}
}

func TestParseIdentifierRefuses(t *testing.T) {
	id := testID()
	good := id.Bytes()
	tests := map[string]struct {
		b    []byte
		want error
	}{
		"nothing":       {nil, ErrMalformedToken},
		"one byte":      {good[:1], ErrMalformedToken},
		"a byte short":  {good[:65], ErrMalformedToken},
		"a byte long":   {append(good[:], 0), ErrMalformedToken},
		"version 1":     {append([]byte{0, 1}, good[2:]...), ErrUnsupportedVersion},
		"version 256":   {append([]byte{1, 0}, good[2:]...), ErrUnsupportedVersion},
		"version, long": {append([]byte{0, 1, 7}, good[2:]...), ErrUnsupportedVersion},
	}
	for name, test := range tests {
		if got, err := ParseIdentifier(test.b); err != test.want || got != (Identifier{}) {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, test.want)
		}
	}
}

func TestNewTokenID(t *testing.T) {
	id, err := NewTokenID(testKeyID, time.Unix(1_800_000_000, 0), bytes.NewReader(bytes.Repeat([]byte{0x5a}, 24)))
	if want := "aabb0000000000cc" + "006b49d200" + strings.Repeat("5a", 19); err != nil || id.String() != want {
		t.Errorf("got %s, %v, want %s", id, err, want)
	}
	if at := id.MintedAt(); at.Unix() != 1_800_000_000 {
		t.Errorf("made at %v", at)
	}
	a, errA := NewTokenID(testKeyID, time.Unix(1_800_000_000, 0), nil)
	b, errB := NewTokenID(testKeyID, time.Unix(1_800_000_000, 0), nil)
	if errA != nil || errB != nil || a == b || a.KeyID() != testKeyID {
		t.Errorf("two ids from the system's randomness: %s, %s, %v, %v", a, b, errA, errB)
	}
	if _, err := NewTokenID(testKeyID, time.Unix(1_800_000_000, 0), strings.NewReader("too short")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too little randomness gives %v", err)
	}
	broken := errors.New("broken")
	if id, err := NewTokenID(testKeyID, time.Unix(1_800_000_000, 0), iotest.ErrReader(broken)); !errors.Is(err, broken) || id != (TokenID{}) {
		t.Errorf("broken randomness gives %s, %v", id, err)
	}
}

func TestKeyID(t *testing.T) {
	if k, err := ParseKeyID(testKeyID.String()); err != nil || k != testKeyID {
		t.Errorf("read back as %s, %v", k, err)
	}
	for _, s := range []string{"", "aa", "aabb0000000000c", "aabb0000000000ccc", "aabb0000000000cx"} {
		if k, err := ParseKeyID(s); err == nil || k != (KeyID{}) {
			t.Errorf("%q is read as %s", s, k)
		}
	}
}

func TestRootKeyDependsOnBoth(t *testing.T) {
	id := testID().TokenID
	other := id
	other[31]++
	otherMaster := testMaster
	otherMaster[0]++
	root := RootKey(&testMaster, &id)
	if root == RootKey(&testMaster, &other) || root == RootKey(&otherMaster, &id) || root == [32]byte(testMaster) {
		t.Error("two root keys are the same")
	}
}

func TestMasterKeyDoesNotPrintItself(t *testing.T) {
	key := MasterKey(bytes.Repeat([]byte{0xc3}, 32))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, arg := range []any{key, &key, struct{ K MasterKey }{key}, []MasterKey{key}} {
			if s := fmt.Sprintf(verb, arg); strings.Contains(strings.ToLower(s), "c3") || strings.Contains(s, "195") {
				t.Errorf("%s of %T prints %s", verb, arg, s)
			}
		}
	}
	if key.String() != "[master key]" || key.GoString() != "[master key]" {
		t.Error("String and GoString differ from what is documented")
	}
}

func TestCredentialIdentifier(t *testing.T) {
	var c Credential
	if _, ok := c.Identifier(); ok {
		t.Error("an empty credential has an identifier")
	}
	if err := c.SetMacaroon(mint(t, testTerms())); err != nil {
		t.Fatal(err)
	}
	if id, ok := c.Identifier(); !ok || id != testID() {
		t.Errorf("got %+v, %v", id, ok)
	}
	if err := c.SetMacaroon(make([]byte, MaxMacaroonSize+1)); err != ErrTokenTooLong || len(c.Macaroon()) != 0 {
		t.Errorf("a token too long gives %v and leaves %d bytes", err, len(c.Macaroon()))
	}
	if id, ok := c.Identifier(); ok || id.PaymentHash != (lntypes.Hash{}) {
		t.Errorf("got %+v, %v", id, ok)
	}
}
