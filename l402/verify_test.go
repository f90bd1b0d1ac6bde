package l402

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"gopkg.in/macaroon.v2"
)

func TestVerifyFillsGrant(t *testing.T) {
	terms := Terms{
		Service: "svc", Tier: 3, Capabilities: []string{"a", "b"}, ValidUntil: time.Unix(testNow+1, 999),
		Uses: 7, Bytes: 1 << 40, Host: "h", Path: "/p q=r", Request: "=", Price: 1500,
	}
	w := &Want{
		Service: "svc", Tier: 3, Capabilities: []string{"b"}, Host: "h", Path: "/p q=r", Request: "=", Price: 1500,
		RequireHost: true, RequirePath: true, RequireRequest: true, RequirePrice: true, Now: testNow,
	}
	want := Grant{
		PaymentHash: testID().PaymentHash, TokenID: testID().TokenID, Service: "svc", Tier: 3,
		ValidUntil: testNow + 1, SoldUntil: testNow + 1, Uses: 7, Bytes: 1 << 40, Price: 1500, PreimageKnown: true, Paid: true,
	}
	mac := mint(t, terms)
	if g, err := verify(mac, &testPreimage, w); err != nil || g != want {
		t.Errorf("got %+v, %v", g, err)
	}
	within, err := Attenuate(mac, Caveat{ConditionPreimage, strings.ToUpper(testPreimage.String())})
	if err != nil {
		t.Fatal(err)
	}
	if g, err := verify(within, nil, w); err != nil || g != want {
		t.Errorf("preimage as a caveat: got %+v, %v", g, err)
	}
	if g, err := verify(within, &testPreimage, w); err != nil || g != want {
		t.Errorf("preimage twice: got %+v, %v", g, err)
	}
	want.PreimageKnown, want.Paid = false, false
	if g, err := verify(mac, nil, w); err != ErrPreimageMissing || g != want {
		t.Errorf("no preimage: got %+v, %v", g, err)
	}

	bare := Grant{PaymentHash: want.PaymentHash, TokenID: want.TokenID, Service: "svc", PreimageKnown: true, Paid: true}
	if g, err := verify(mint(t, Terms{Service: "svc"}), &testPreimage, &Want{Service: "svc"}); err != nil || g != bare {
		t.Errorf("without limits: got %+v, %v", g, err)
	}
}

func TestVerifyUsesTheClock(t *testing.T) {
	w := &Want{Service: "svc"}
	past := mint(t, Terms{Service: "svc", ValidUntil: time.Now().Add(-time.Second)})
	if _, err := verify(past, &testPreimage, w); err != ErrExpired {
		t.Errorf("a second ago: %v", err)
	}
	future := mint(t, Terms{Service: "svc", ValidUntil: time.Now().Add(time.Hour)})
	if _, err := verify(future, &testPreimage, w); err != nil {
		t.Errorf("in an hour: %v", err)
	}
}

func TestEveryFlippedBitRefuses(t *testing.T) {
	mac := mint(t, testTerms())
	if _, err := verify(mac, &testPreimage, testWant()); err != nil {
		t.Fatal(err)
	}
	seen := map[error]int{}
	for i := range mac {
		for bit := range 8 {
			flipped := bytes.Clone(mac)
			flipped[i] ^= 1 << bit
			g, err := verify(flipped, &testPreimage, testWant())
			if err == nil || g != (Grant{}) {
				t.Errorf("byte %d, bit %d: %+v, %v", i, bit, g, err)
			}
			if Code(err) == "internal" || Code(err) == "" {
				t.Errorf("byte %d, bit %d: %v has no code", i, bit, err)
			}
			// Without the preimage the signature has to find it.
			if g, err := verify(flipped, nil, testWant()); err == nil || err == ErrPreimageMissing || g != (Grant{}) {
				t.Errorf("byte %d, bit %d, no preimage: %+v, %v", i, bit, g, err)
			}
			seen[err]++
		}
	}
	for _, err := range []error{ErrMalformedToken, ErrUnsupportedVersion, ErrUnknownKey, ErrPreimageMismatch, ErrBadSignature} {
		if seen[err] == 0 {
			t.Errorf("no flipped bit gives %v", err)
		}
	}
	for i := range testPreimage {
		wrong := testPreimage
		wrong[i] ^= 0x10
		if g, err := verify(mac, &wrong, testWant()); err != ErrPreimageMismatch || g != (Grant{}) {
			t.Errorf("byte %d of the preimage: %+v, %v", i, g, err)
		}
	}
	for n := range mac {
		if g, err := verify(mac[:n], &testPreimage, testWant()); err == nil || g != (Grant{}) {
			t.Errorf("cut to %d bytes: %+v, %v", n, g, err)
		}
	}
}

func TestVerifyRefusesOtherLayouts(t *testing.T) {
	id := testID()
	root := RootKey(&testMaster, &id.TokenID)
	good := mintRaw(t, "services="+testService+":0")
	if _, err := verify(good, &testPreimage, &Want{Service: testService}); err != nil {
		t.Fatal(err)
	}
	const caveat = len(tokenPrefix) + IdentifierSize + 1 // where the first caveat begins
	splice := func(at, cut int, insert ...byte) []byte {
		return append(append(bytes.Clone(good[:at]), insert...), good[at+cut:]...)
	}
	version1 := bytes.Clone(good)
	version1[len(tokenPrefix)+1] = 1
	v1, err := macaroon.New(root[:], []byte(strings.Repeat("i", IdentifierSize)), Location, macaroon.V1)
	if err != nil {
		t.Fatal(err)
	}
	v1Binary, err := v1.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	third := new(macaroon.Macaroon)
	if err := third.UnmarshalBinary(good); err != nil {
		t.Fatal(err)
	}
	if err := third.AddThirdPartyCaveat([]byte("key"), []byte("id"), "elsewhere"); err != nil {
		t.Fatal(err)
	}
	thirdBinary, err := third.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	many := make([]string, MaxCaveats)
	for i := range many {
		many[i] = "services=" + testService + ":0"
	}
	thousand := make([]string, 1000)

	tests := map[string]struct {
		mac  []byte
		want error
	}{
		"nothing":                    {nil, ErrMalformedToken},
		"JSON":                       {[]byte(`{"v":2}`), ErrUnsupportedVersion},
		"encoding of version 1":      {v1Binary, ErrUnsupportedVersion},
		"encoding of version 3":      {splice(0, 1, 3), ErrUnsupportedVersion},
		"identifier of version 1":    {version1, ErrUnsupportedVersion},
		"byte behind":                {append(bytes.Clone(good), 0), ErrMalformedToken},
		"token behind":               {append(bytes.Clone(good), good...), ErrMalformedToken},
		"no location":                {mintWith(t, root, id.Bytes(), "", "services="+testService+":0"), ErrMalformedToken},
		"another location":           {mintWith(t, root, id.Bytes(), "l402", "services="+testService+":0"), ErrMalformedToken},
		"length of two bytes":        {splice(caveat+1, 1, good[caveat+1]|0x80, 0), ErrMalformedToken},
		"length of three bytes":      {splice(caveat+1, 1, good[caveat+1]|0x80, 0x80, 0), ErrMalformedToken},
		"identifier's length padded": {splice(8, 1, 0xc2, 0), ErrMalformedToken},
		"location before a caveat":   {splice(caveat, 0, 1, 1, 'x'), ErrMalformedToken},
		"empty verification id":      {splice(len(good)-36, 0, 4, 0), ErrMalformedToken},
		"signature too short":        {splice(len(good)-33, 2, 31), ErrMalformedToken},
		"third-party caveat":         {thirdBinary, ErrMalformedToken},
		"as many caveats as allowed": {mintRaw(t, many...), nil},
		"one caveat too many":        {mintRaw(t, append(many, many[0])...), ErrTokenTooLong},
		"thousand empty caveats":     {mintRaw(t, thousand...), ErrTokenTooLong},
		"a token as long as allowed": {mintRaw(t, "services="+testService+":0", strings.Repeat("x", MaxMacaroonSize-len(good)-4)), ErrUnknownCaveat},
		"a byte longer":              {mintRaw(t, "services="+testService+":0", strings.Repeat("x", MaxMacaroonSize-len(good)-3)), ErrTokenTooLong},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := verify(test.mac, &testPreimage, &Want{Service: testService}); err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestVerifyRefusesOtherPeoplesTokens(t *testing.T) {
	w := testWant()
	mine := lntypes.Preimage{1}
	stranger := MasterKey{0xff}
	id := testID()
	id.PaymentHash = sha256.Sum256(mine[:])
	forged, err := Mint(&stranger, id, testTerms().Caveats())
	if err != nil {
		t.Fatal(err)
	}
	if g, err := verify(forged, &mine, w); err != ErrBadSignature || g != (Grant{}) {
		t.Errorf("made with another key under our key id: %+v, %v", g, err)
	}
	if g, err := verify(forged, nil, w); err != ErrBadSignature || g != (Grant{}) {
		t.Errorf("the same without preimage: %+v, %v", g, err)
	}

	// Somebody else's token, with the payment hash replaced by that of a preimage one has.
	swapped := mint(t, testTerms())
	copy(swapped[len(tokenPrefix)+hashOffset:], id.PaymentHash[:])
	if g, err := verify(swapped, &mine, w); err != ErrBadSignature || g != (Grant{}) {
		t.Errorf("payment hash replaced: %+v, %v", g, err)
	}
	if g, err := verify(mint(t, testTerms()), &mine, w); err != ErrPreimageMismatch || g != (Grant{}) {
		t.Errorf("preimage of another invoice: %+v, %v", g, err)
	}
	hash := lntypes.Preimage(testID().PaymentHash)
	if g, err := verify(mint(t, testTerms()), &hash, w); err != ErrPreimageMismatch || g != (Grant{}) {
		t.Errorf("payment hash as preimage: %+v, %v", g, err)
	}

	id = testID()
	id.TokenID[0]++
	unknown, err := Mint(&testMaster, id, testTerms().Caveats())
	if err != nil {
		t.Fatal(err)
	}
	if g, err := verify(unknown, &testPreimage, w); err != ErrUnknownKey || g != (Grant{}) {
		t.Errorf("unknown key id: %+v, %v", g, err)
	}
	var c Credential
	var g Grant
	if err := c.SetMacaroon(mint(t, testTerms())); err != nil {
		t.Fatal(err)
	}
	if err := Verify(keyRing{}, &c, w, &g); err != ErrUnknownKey || g != (Grant{}) {
		t.Errorf("server without keys: %+v, %v", g, err)
	}

	// A caveat taken away: its holder narrowed the token before handing it on.
	full := mint(t, testTerms())
	narrowed, err := Attenuate(full, Caveat{testService + SuffixPath, "/a"})
	if err != nil {
		t.Fatal(err)
	}
	widened := append(bytes.Clone(full[:len(full)-32]), narrowed[len(narrowed)-32:]...)
	if g, err := verify(widened, &testPreimage, w); err != ErrBadSignature || g != (Grant{}) {
		t.Errorf("a caveat taken away: %+v, %v", g, err)
	}
}

func TestVerifyZeroesAnOldGrant(t *testing.T) {
	var c Credential
	g := Grant{Paid: true, PreimageKnown: true, Service: "svc", Uses: 1}
	if err := Verify(testKeys, &c, testWant(), &g); err != ErrMalformedToken || g != (Grant{}) {
		t.Errorf("%+v, %v", g, err)
	}
}
