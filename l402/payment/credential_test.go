package payment

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
)

func TestCredential(t *testing.T) {
	preimage := lntypes.Preimage{1, 2, 3}
	c := NewChargeCredential(testChallenge(t), preimage)
	header, err := c.Format()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{header, "payment" + header[len(Scheme):], " PAYMENT   " + header[len(Scheme):] + "\t", header + "="} {
		if text == header+"=" && len(header[len(Scheme)+1:])%4 != 3 {
			continue
		}
		read, err := ParseCredential(text)
		if err != nil {
			t.Fatal(text, err)
		}
		got, err := read.Preimage()
		if err != nil || got != preimage || read.Challenge != c.Challenge || read.Challenge.Verify(testSecret) != nil {
			t.Errorf("%+v, %v, %v", read, got, err)
		}
	}
	document, err := Decode(header[len(Scheme)+1:])
	if err != nil {
		t.Fatal(err)
	}
	if canonical, err := Canonicalize(document); err != nil || string(canonical) != string(document) {
		t.Errorf("not canonical: %s, %v", document, err)
	}
}

func TestCredentialsThatAreRefused(t *testing.T) {
	echo := `"challenge":{"id":"i","realm":"r","method":"lightning","intent":"charge","request":"q"}`
	of := func(document string) string { return Scheme + " " + Encode([]byte(document)) }
	for name, header := range map[string]string{
		"nothing":             "",
		"scheme alone":        "Payment",
		"no scheme":           Encode([]byte("{" + echo + `,"payload":{}}`)),
		"another scheme":      "Bearer " + Encode([]byte("{"+echo+`,"payload":{}}`)),
		"no JSON":             of("x"),
		"a text":              of(`"x"`),
		"null":                of("null"),
		"no challenge":        of(`{"payload":{}}`),
		"challenge is a text": of(`{"challenge":"x","payload":{}}`),
		"id is a number":      of(`{"challenge":{"id":1,"realm":"r","method":"m","intent":"i","request":"q"},"payload":{}}`),
		"request is JSON":     of(`{"challenge":{"id":"i","realm":"r","method":"m","intent":"i","request":{}},"payload":{}}`),
		"opaque is JSON":      of(`{"challenge":{"id":"i","realm":"r","method":"m","intent":"i","request":"q","opaque":{}},"payload":{}}`),
		"no payload":          of("{" + echo + "}"),
		"payload null":        of("{" + echo + `,"payload":null}`),
		"payload a list":      of("{" + echo + `,"payload":[]}`),
		"two documents":       of("{" + echo + `,"payload":{}} {}`),
		"a comma":             "Payment e30, e30",
	} {
		if c, err := ParseCredential(header); c != nil || err != ErrMalformedCredential {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if c, err := ParseToken(strings.Repeat("A", MaxCredential+1)); c != nil || err != ErrTooLong {
		t.Errorf("too long: %v", err)
	}
}

func TestPreimagesThatAreRefused(t *testing.T) {
	good := strings.Repeat("0a", 32)
	for payload, want := range map[string]error{
		`{"preimage":"` + good + `"}`:                  nil,
		`{"preimage":"` + good + `","more":[1]}`:       nil,
		`{}`:                                           ErrMalformedCredential,
		`{"preimage":""}`:                              ErrMalformedCredential,
		`{"preimage":1}`:                               ErrMalformedCredential,
		`{"preimage":"` + good[2:] + `"}`:              ErrMalformedCredential,
		`{"preimage":"` + good + `00"}`:                ErrMalformedCredential,
		`{"preimage":"` + strings.ToUpper(good) + `"}`: ErrMalformedCredential,
		`{"preimage":"zz` + good[2:] + `"}`:            ErrMalformedCredential,
		`{"preimage":"0x` + good[2:] + `"}`:            ErrMalformedCredential,
	} {
		c := Credential{Challenge: testChallenge(t), Payload: json.RawMessage(payload)}
		got, err := c.Preimage()
		if err != want || err != nil && got != (lntypes.Preimage{}) {
			t.Errorf("%s: %v, %v", payload, got, err)
		}
		c.Challenge.Intent = "session"
		if _, err := c.Preimage(); err != ErrMethodUnsupported {
			t.Errorf("of a session: %v", err)
		}
		c.Challenge.Intent, c.Challenge.Method = IntentCharge, "Lightning"
		if _, err := c.Preimage(); err != ErrMethodUnsupported {
			t.Errorf("of another method: %v", err)
		}
	}
}

func TestChargeRequest(t *testing.T) {
	r := ChargeRequest{Amount: "21", Currency: CurrencySat, MethodDetails: LightningDetails{Invoice: "lnbc1x", Network: "mainnet", PaymentHash: "ab"}}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	document, err := Decode(text)
	want := `{"amount":"21","currency":"sat","methodDetails":{"invoice":"lnbc1x","network":"mainnet","paymentHash":"ab"}}`
	if string(document) != want || err != nil {
		t.Errorf("got %s, %v", document, err)
	}
	if read, err := ParseChargeRequest(text); err != nil || *read != r {
		t.Errorf("read as %+v, %v", read, err)
	}
	for _, description := range []string{"", "tea", "tea & <cake>", "a\"b", "a\\b", "caf\u00e9", "\u2028", "a\b\x01\x7f", "\U0001f600"} {
		r := r
		r.Description, r.ExternalID = description, "x"+description
		text, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		document, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if canonical, err := Canonicalize(document); err != nil || string(canonical) != string(document) {
			t.Errorf("%q is not canonical, but %q, %v", document, canonical, err)
		}
		if read, err := ParseChargeRequest(text); err != nil || *read != r {
			t.Errorf("%q is read as %+v, %v", document, read, err)
		}
	}
	for _, text := range []string{"", "!", Encode([]byte("[]")), Encode([]byte("{}")), Encode([]byte(`{"methodDetails":{}}`)), Encode([]byte(`{"amount":1}`))} {
		if _, err := ParseChargeRequest(text); !errors.Is(err, ErrMalformedChallenge) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReceipt(t *testing.T) {
	r := NewReceipt(lntypes.Hash{0xab}, "id", time.Date(2027, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)))
	document, err := Decode(r.Format())
	want := `{"status":"success","method":"lightning","timestamp":"2027-01-02T02:04:05Z","reference":"ab` +
		strings.Repeat("0", 62) + `","challengeId":"id"}`
	if string(document) != want || err != nil {
		t.Errorf("got %s, %v", document, err)
	}
	if read, err := ParseReceipt(r.Format()); err != nil || read != r {
		t.Errorf("read as %+v, %v", read, err)
	}
	for _, text := range []string{"!", Encode([]byte("[]")), strings.Repeat("A", MaxCredential+4)} {
		if read, err := ParseReceipt(text); err != ErrMalformedCredential || read != (Receipt{}) {
			t.Errorf("%.20q is read as %+v, %v", text, read, err)
		}
	}
}

func TestPreferred(t *testing.T) {
	for text, want := range map[string]Preference{
		"":                                    Indifferent,
		"lightning/charge":                    Wanted,
		" LIGHTNING/charge":                   Indifferent, // methods are lower-case
		"tempo/charge,lightning/charge;q=0.1": Wanted,
		"lightning/*":                         Wanted,
		"*/charge":                            Indifferent,
		"*/*;q=0":                             Unwanted,
		"*/*;q=0, lightning/charge":           Wanted,
		"lightning/charge, */*;q=0":           Wanted,
		"lightning/*;q=0, lightning/charge":   Wanted,
		"lightning/charge;q=0, lightning/*":   Unwanted,
		"lightning/charge ; x=y ; Q=0.000":    Unwanted,
		"lightning/charge;q=2":                Indifferent,
		"lightning/charge;q=-1":               Indifferent,
		"lightning/charge;q=NaN":              Indifferent,
		"lightning/charge;q=":                 Indifferent,
		"lightning":                           Indifferent,
		"lightning/session":                   Indifferent,
		"/":                                   Indifferent,
		",,,;;;":                              Indifferent,
		strings.Repeat("a/b,", 99) + Method + "/*":   Indifferent,
		strings.Repeat("a/b,", 9) + "lightning/*":    Wanted,
		"stripe/charge\nlightning/charge;q=1.0":      Wanted,
		"lightning/charge;q=0\nlightning/charge;q=0": Unwanted,
	} {
		if got := Preferred(strings.Split(text, "\n"), Method, IntentCharge); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

// FuzzParseCredential checks that what is read can be written and is then read the same.
func FuzzParseCredential(f *testing.F) {
	header, _ := NewChargeCredential(Challenge{ID: "i", Realm: "r", Method: Method, Intent: IntentCharge, Request: "q"}, lntypes.Preimage{1}).Format()
	f.Add(header)
	f.Add(Scheme + " " + Encode([]byte(`{"challenge":{"id":"é","realm":"r","method":"m","intent":"i","request":"q"},"payload":{"a":1e2}}`)))
	f.Fuzz(func(t *testing.T, header string) {
		c, err := ParseCredential(header)
		if err != nil {
			if c != nil || err != ErrMalformedCredential && err != ErrTooLong {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		preimage, err := c.Preimage()
		if err != nil && preimage != (lntypes.Preimage{}) {
			t.Fatal(preimage, err)
		}
		written, err := c.Format()
		if err != nil || len(written) > MaxCredential {
			return // a number that RFC 8785 has no words for, or more escapes than there were
		}
		again, err := ParseCredential(written)
		if err != nil || again.Challenge != c.Challenge || again.Source != c.Source {
			t.Fatalf("%q is read as %+v, %v", written, again, err)
		}
	})
}

// FuzzPreferred checks that no header is too much.
func FuzzPreferred(f *testing.F) {
	f.Add("lightning/charge;q=0.5, */*;q=0")
	f.Fuzz(func(t *testing.T, text string) {
		if p := Preferred(strings.Split(text, "\n"), Method, IntentCharge); p != Indifferent && !strings.Contains(text, "/") {
			t.Fatal(p)
		}
	})
}
