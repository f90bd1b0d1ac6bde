package payment

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestEncoding(t *testing.T) {
	file, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct {
		Canonical    []struct{ In, Out string }
		NotJSON      []string `json:"not_json"`
		Base64URL    []struct{ Hex, Text string }
		NotBase64URL []string `json:"not_base64url"`
	}
	if err := json.Unmarshal(file, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases.Canonical {
		if got, err := Canonicalize([]byte(c.In)); string(got) != c.Out || err != nil {
			t.Errorf("%s: got %s, %v, want %s", c.In, got, err, c.Out)
		}
	}
	for _, text := range cases.NotJSON {
		if got, err := Canonicalize([]byte(text)); err == nil || got != nil {
			t.Errorf("%q is canonical as %s", text, got)
		}
	}
	for _, c := range cases.Base64URL {
		want, err := hex.DecodeString(c.Hex)
		if err != nil {
			t.Fatal(err)
		}
		padded := c.Text + strings.Repeat("=", (4-len(c.Text)%4)%4)
		for _, text := range []string{c.Text, padded} {
			if got, err := Decode(text); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q: got %x, %v", text, got, err)
			}
		}
		if got := Encode(want); got != c.Text {
			t.Errorf("%s is written as %s", c.Hex, got)
		}
	}
	for _, text := range cases.NotBase64URL {
		if got, err := Decode(text); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("%q is read as %x, %v", text, got, err)
		}
	}
}

// FuzzCanonicalize checks that the canonical form says the same and is its own canonical form.
func FuzzCanonicalize(f *testing.F) {
	f.Add(`{"b":[1,2.50,"x\u0041"],"a":{"":null}}`)
	f.Add(`[1e400]`)
	f.Add(`"\ud800"`)
	f.Fuzz(func(t *testing.T, document string) {
		canonical, err := Canonicalize([]byte(document))
		if err != nil {
			return
		}
		again, err := Canonicalize(canonical)
		if err != nil || !bytes.Equal(again, canonical) {
			t.Fatalf("%q becomes %q and then %q, %v", document, canonical, again, err)
		}
	})
}

// FuzzDecode checks that bytes have one spelling without padding and one with it.
func FuzzDecode(f *testing.F) {
	f.Add("AP8Q")
	f.Add("_w==")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Decode(text)
		if err != nil {
			return
		}
		if plain := Encode(b); plain != strings.TrimRight(text, "=") || text != plain && len(text)%4 != 0 {
			t.Fatalf("%q and %q are one", text, plain)
		}
	})
}
