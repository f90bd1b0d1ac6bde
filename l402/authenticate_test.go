package l402

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
)

func TestAuthenticate(t *testing.T) {
	expired := testTerms()
	expired.ValidUntil = time.Unix(1000, 0)
	flipped := mint(t, testTerms())
	flipped[len(flipped)-1] ^= 1
	narrowed, err := Attenuate(mint(t, expired), Caveat{"anything", "at all"})
	if err != nil {
		t.Fatal(err)
	}
	carrying, err := Attenuate(mint(t, expired), Caveat{ConditionPreimage, testPreimage.String()})
	if err != nil {
		t.Fatal(err)
	}
	id := testID()
	foreign := mintWith(t, RootKey(&MasterKey{77}, &id.TokenID), id.Bytes(), Location, "services=a:0")
	other := id
	other.TokenID[0] ^= 0xff
	unknown := mintWith(t, RootKey(&testMaster, &other.TokenID), other.Bytes(), Location, "services=a:0")
	wrong := lntypes.Preimage{1}
	for _, tc := range []struct {
		name     string
		mac      []byte
		preimage *lntypes.Preimage
		want     error
	}{
		{"good", mint(t, testTerms()), &testPreimage, nil},
		{"expired", mint(t, expired), &testPreimage, nil},
		{"narrowed by an unknown caveat", narrowed, &testPreimage, nil},
		{"with the preimage inside", carrying, nil, nil},
		{"without preimage", mint(t, testTerms()), nil, ErrPreimageMissing},
		{"wrong preimage", mint(t, testTerms()), &wrong, ErrPreimageMismatch},
		{"changed", flipped, &testPreimage, ErrBadSignature},
		{"changed, without preimage", flipped, nil, ErrBadSignature},
		{"signed with another key", foreign, &testPreimage, ErrBadSignature},
		{"unknown key", unknown, &testPreimage, ErrUnknownKey},
		{"no token", []byte("nonsense"), &testPreimage, ErrUnsupportedVersion},
		{"cut", mint(t, testTerms())[:40], &testPreimage, ErrMalformedToken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c Credential
			if err := c.SetMacaroon(tc.mac); err != nil {
				t.Fatal(err)
			}
			if tc.preimage != nil {
				c.Preimage, c.HasPreimage = *tc.preimage, true
			}
			got, err := Authenticate(testKeys, &c)
			if err != tc.want {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			want := testID()
			if tc.want != nil && tc.want != ErrPreimageMissing {
				want = Identifier{}
			}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// FuzzAuthenticate holds that Authenticate accepts what macaroon.v2 accepts, and nothing else.
func FuzzAuthenticate(f *testing.F) {
	terms := testTerms()
	f.Add(mint(f, terms))
	f.Add(mintRaw(f, "services=a:0", "x"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, mac []byte) {
		for _, mac := range [][]byte{mac, resign(mac)} {
			var c Credential
			if c.SetMacaroon(mac) != nil {
				return
			}
			id, err := Authenticate(anyKey{}, &c)
			if good := err == nil || err == ErrPreimageMissing; good && !oracle(mac) {
				t.Fatalf("%v for %x, whose signature is wrong", err, mac)
			} else if !good && id != (Identifier{}) {
				t.Fatalf("an identifier with %v", err)
			}
		}
	})
}
