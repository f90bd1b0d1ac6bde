package l402

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTermsCaveats(t *testing.T) {
	full := Terms{
		Service: "svc", Tier: 255, Capabilities: []string{"a", "b"}, ValidUntil: time.Unix(testNow, 5),
		Uses: 1, Bytes: 1 << 63, Host: "h", Path: "/p", Request: "r", Price: 1500,
	}
	want := []string{
		"services=svc:255", "svc_host=h", "svc_path=/p", "svc_request=r", "svc_price_msat=1500",
		"svc_capabilities=a,b", "svc_valid_until=1800000000", "svc_uses=1", "svc_bytes=9223372036854775808",
	}
	var got []string
	for _, c := range full.Caveats() {
		got = append(got, c.Encode())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Terms{Service: "svc"}).Caveats(); len(got) != 1 || got[0].Encode() != "services=svc:0" {
		t.Errorf("bare terms give %v", got)
	}
}

func TestMintRefuses(t *testing.T) {
	svc := Caveat{ConditionServices, "svc:0"}
	tests := map[string]struct {
		caveats []Caveat
		want    error
	}{
		"no caveats":            {nil, ErrNoServices},
		"services not first":    {[]Caveat{{"svc_uses", "1"}, svc}, ErrNoServices},
		"no service name":       {Terms{}.Caveats(), ErrMalformedCaveat},
		"bad service name":      {Terms{Service: "a:b"}.Caveats(), ErrMalformedCaveat},
		"service with a comma":  {Terms{Service: "a,b"}.Caveats(), ErrMalformedCaveat},
		"blank at the end":      {Terms{Service: "svc", Path: "/a "}.Caveats(), ErrMalformedCaveat},
		"no condition":          {[]Caveat{svc, {"", "x"}}, ErrMalformedCaveat},
		"= in a condition":      {[]Caveat{svc, {"a=b", "x"}}, ErrMalformedCaveat},
		"path too long":         {Terms{Service: "svc", Path: "/" + strings.Repeat("a", MaxMacaroonSize)}.Caveats(), ErrTokenTooLong},
		"more caveats than fit": {append([]Caveat{svc}, slices.Repeat([]Caveat{{"svc_uses", "1"}}, MaxCaveats)...), ErrTokenTooLong},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if mac, err := Mint(&testMaster, testID(), test.caveats); mac != nil || !errors.Is(err, test.want) {
				t.Errorf("got %x, %v, want %v", mac, err, test.want)
			}
		})
	}
}

func TestAttenuate(t *testing.T) {
	mac := mint(t, testTerms())
	before := bytes.Clone(mac)
	narrowed, err := Attenuate(mac, Caveat{testService + SuffixUses, "2"}, Caveat{testService + SuffixUses, "1"})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mac, before) {
		t.Error("the token was changed")
	}
	if g, err := verify(narrowed, &testPreimage, testWant()); err != nil || g.Uses != 1 {
		t.Errorf("got %+v, %v", g, err)
	}
	if same, err := Attenuate(mac); err != nil || !bytes.Equal(same, mac) {
		t.Errorf("without caveats: %x, %v", same, err)
	}
	for name, bad := range map[string][]byte{"nothing": nil, "text": []byte("text"), "half": mac[:50]} {
		if got, err := Attenuate(bad, Caveat{"a", "b"}); got != nil || !errors.Is(err, ErrMalformedToken) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	if _, err := Attenuate(mac, Caveat{"", "b"}); !errors.Is(err, ErrMalformedCaveat) {
		t.Errorf("bad caveat: %v", err)
	}
	if _, err := Attenuate(mac, Caveat{"a", strings.Repeat("b", MaxMacaroonSize)}); !errors.Is(err, ErrTokenTooLong) {
		t.Errorf("too long: %v", err)
	}
	_, err = Attenuate(mac, Caveat{ConditionPreimage, testPreimage.String() + " "})
	if err == nil || strings.Contains(err.Error(), testPreimage.String()) {
		t.Errorf("the preimage is in %v", err)
	}
}
