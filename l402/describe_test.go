package l402

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/macaroon.v2"
)

func TestDescribe(t *testing.T) {
	terms := Terms{
		Service: "svc", Tier: 2, Capabilities: []string{"a"}, ValidUntil: time.Unix(testNow, 0),
		Uses: 7, Bytes: 9, Host: "h", Path: "/p", Request: "r", Price: 1500,
	}
	mac, err := Attenuate(mint(t, terms), Caveat{ConditionPreimage, testPreimage.String()},
		Caveat{"svc" + SuffixValidUntil, "1700000000"}, Caveat{"foo", "bar"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Describe(mac)
	if err != nil {
		t.Fatal(err)
	}
	id := testID()
	if d.Version != 2 || d.Size != len(mac) || d.Location != "lsat" || d.PaymentHash != id.PaymentHash.String() ||
		d.TokenID != id.TokenID.String() || d.KeyID != testKeyID.String() || !d.HasPreimage || len(d.Problems) != 0 ||
		!d.ValidUntil.Equal(time.Unix(1_700_000_000, 0)) || len(d.Caveats) != 12 {
		t.Errorf("got %+v", d)
	}
	text := d.String()
	for _, want := range []string{
		"opens svc:2", "svc: only on host h", "svc: only for path /p", "svc: only for request r", "svc: sold at 1500 msat",
		"svc: only the capabilities a", "svc: valid until 2027-01-15T08:00:00Z", "svc: at most 7 uses", "svc: at most 9 bytes",
		"carries the proof of payment", "svc: valid until 2023-11-14T22:13:20Z", "foo=bar", "unknown: refuses",
		id.PaymentHash.String(), id.TokenID.String(), testKeyID.String(),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{text, string(data)} {
		if strings.Contains(s, testPreimage.String()) {
			t.Errorf("the preimage is in %s", s)
		}
	}
}

func TestDescribeOthers(t *testing.T) {
	foreign, err := macaroon.New([]byte("key"), []byte("id\x1b[31m"), "lnd\n", macaroon.V2)
	if err != nil {
		t.Fatal(err)
	}
	_ = foreign.AddFirstPartyCaveat([]byte("time-before \x1b[0m"))
	_ = foreign.AddFirstPartyCaveat([]byte("services=\x1b[0m"))
	_ = foreign.AddFirstPartyCaveat([]byte("x_valid_until=soon"))
	if err := foreign.AddThirdPartyCaveat([]byte("k"), []byte("i\n"), "l"); err != nil {
		t.Fatal(err)
	}
	mac, err := foreign.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Describe(mac)
	if err != nil || d.PaymentHash != "" || len(d.Problems) != 2 || len(d.Caveats) != 4 || !d.ValidUntil.IsZero() {
		t.Fatalf("got %+v, %v", d, err)
	}
	text := d.String()
	if strings.ContainsAny(text, "\x1b\r") || strings.Contains(text, "lnd\n,") {
		t.Errorf("control characters in %q", text)
	}
	for _, want := range []string{"third-party", "not of the form", "malformed: not a list", "x: valid until no Unix time"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	bare, err := Describe(mintRaw(t))
	if err != nil || len(bare.Problems) != 1 || bare.Problems[0] != ErrNoServices.Error() {
		t.Errorf("got %+v, %v", bare, err)
	}
	for name, bad := range map[string][]byte{"nothing": nil, "text": []byte("x"), "half": mac[:len(mac)/2]} {
		if d, err := Describe(bad); d != nil || !errors.Is(err, ErrMalformedToken) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add(mint(f, testTerms()))
	f.Add(mintRaw(f, "foo", "services=", "a_valid_until=99999999999999999", "preimage="+testPreimage.String()))
	f.Fuzz(func(t *testing.T, mac []byte) {
		d, err := Describe(mac)
		if err != nil {
			return
		}
		for line := range strings.SplitSeq(d.String(), "\n") {
			if i := strings.IndexFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }); i >= 0 {
				t.Fatalf("not printable: %q", line)
			}
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
	})
}
