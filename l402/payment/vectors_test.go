package payment

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// vectorsEnv names a file of vectors of another implementation, which does not belong to this
// project. Without it TestVectors is skipped.
const vectorsEnv = "PAYMENT_VECTORS"

type vectors struct {
	HMACSecretHex    string
	Canonicalization []struct {
		Name, Input, Canonical string
		Error                  bool
	}
	Base64URL []struct {
		Name, Encoded, DecodedHex string
		Canonical, Error          bool
	}
	ChallengeHeaders []struct {
		Name, Header   string
		Params, Parsed Challenge
	}
	ChallengeLists []struct {
		Name, Header string
		Challenges   []Challenge
		Error        bool
	}
	ChallengeIDs []struct {
		Name, HMACInput string
		Params          Challenge
	}
	Credentials []struct {
		Name, CredentialJSON, Header string
		Error                        bool
	}
	Receipts []struct{ Name, ReceiptJSON, Header string }
}

// TestVectors runs the vectors of another implementation: all that both must agree on.
func TestVectors(t *testing.T) {
	path := os.Getenv(vectorsEnv)
	if path == "" {
		t.Skip("no file of vectors is named in " + vectorsEnv)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(file, &v); err != nil {
		t.Fatal(err)
	}
	secret, err := hex.DecodeString(v.HMACSecretHex)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	run := func(kind, name string, f func(*testing.T)) {
		count++
		t.Run(kind+"/"+name, f)
	}
	for _, c := range v.Canonicalization {
		run("canonicalization", c.Name, func(t *testing.T) {
			got, err := Canonicalize([]byte(c.Input))
			if string(got) != c.Canonical || (err != nil) != c.Error {
				t.Errorf("got %s, %v, want %s", got, err, c.Canonical)
			}
		})
	}
	for _, c := range v.Base64URL {
		run("base64url", c.Name, func(t *testing.T) {
			got, err := Decode(c.Encoded)
			if hex.EncodeToString(got) != c.DecodedHex || (err != nil) != c.Error {
				t.Errorf("got %x, %v", got, err)
			}
			if err == nil && (Encode(got) == c.Encoded) != c.Canonical {
				t.Errorf("written as %s", Encode(got))
			}
		})
	}
	for _, c := range v.ChallengeHeaders {
		run("header", c.Name, func(t *testing.T) {
			if got, err := c.Params.Format(); got != c.Header || err != nil {
				t.Errorf("got  %s, %v\nwant %s", got, err, c.Header)
			}
			if got, err := ParseChallenges([]string{c.Header}); err != nil || len(got) != 1 || got[0] != c.Parsed {
				t.Errorf("read as %+v, %v", got, err)
			}
		})
	}
	for _, c := range v.ChallengeLists {
		run("list", c.Name, func(t *testing.T) {
			got, err := ParseChallenges([]string{c.Header})
			if (err != nil) != c.Error || !reflect.DeepEqual(got, c.Challenges) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	for _, c := range v.ChallengeIDs {
		run("id", c.Name, func(t *testing.T) {
			if got := c.Params.ComputeID(secret); got != c.Params.ID {
				t.Errorf("got %s, want %s", got, c.Params.ID)
			}
			piped := strings.Count(c.HMACInput, "|") > 6
			if err := c.Params.Verify(secret); (err != nil) != piped {
				t.Errorf("verified: %v", err)
			}
		})
	}
	for _, c := range v.Credentials {
		run("credential", c.Name, func(t *testing.T) {
			got, err := ParseCredential(c.Header)
			if (err != nil) != c.Error {
				t.Fatalf("%v", err)
			}
			if err != nil {
				return
			}
			var want Credential
			if err := json.Unmarshal([]byte(c.CredentialJSON), &want); err != nil || !reflect.DeepEqual(*got, want) {
				t.Errorf("got %+v, %v", got, err)
			}
			_, token, _ := strings.Cut(c.Header, " ")
			if document, err := Decode(token); err != nil || string(document) != c.CredentialJSON || Encode(document) != token {
				t.Errorf("%s, %v", document, err)
			}
			header, err := got.Format()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ParseCredential(header); err != nil || again.Challenge != got.Challenge ||
				!sameJSON(t, again.Payload, got.Payload) {
				t.Errorf("written and read: %+v, %v", again, err)
			}
		})
	}
	for _, c := range v.Receipts {
		run("receipt", c.Name, func(t *testing.T) {
			document, err := Decode(c.Header)
			if err != nil || string(document) != c.ReceiptJSON || Encode(document) != c.Header {
				t.Errorf("%s, %v", document, err)
			}
			var members map[string]any
			if err := json.Unmarshal(document, &members); err != nil {
				t.Fatal(err)
			}
			// Those of sessions have more members, which are none of a charge's.
			r, err := ParseReceipt(c.Header)
			if err != nil {
				t.Error(err)
			}
			for name := range members {
				if strings.HasPrefix(name, "refund") || strings.HasPrefix(name, "session") || strings.HasPrefix(name, "balance") {
					return
				}
			}
			if r.Format() != c.Header {
				t.Errorf("written as %s", r.Format())
			}
		})
	}
	if count != 79 {
		t.Errorf("%d vectors, want 79", count)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	canonicalA, errA := Canonicalize(a)
	canonicalB, errB := Canonicalize(b)
	return errA == nil && errB == nil && string(canonicalA) == string(canonicalB)
}
