package l402

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/lightningnetwork/lnd/lntypes"
)

// vector is a token with the verdict of Aperture's verifier.
type vector struct {
	Name, RootKey, Preimage, PaymentHash, TokenID, Identifier string
	Caveats                                                   []string
	MacaroonHex, MacaroonB64, Authorization                   string
	GrpcMetadataMacaroonHex                                   string
	Service                                                   string
	Now                                                       int64
	Accept                                                    bool
	Error                                                     string
}

// stricter names the tokens that Aperture takes and Verify refuses, with the reason.
var stricter = map[string]error{
	// A token without a services caveat would open every service.
	"bare": ErrNoServices,
	// A tier that was not granted was not paid for.
	"tier mismatch accepted": ErrWrongTier,
	// A caveat that nobody understands must not be passed over: somebody meant something by it.
	// This one is of a service that the token does not name.
	"unknown caveat":                      ErrUnknownCaveat,
	"no equals caveat":                    ErrUnknownCaveat,
	"valid_until of another service past": ErrUnknownCaveat,
}

// skippable are those of stricter that pass with SkipUnknown.
var skippable = map[string]bool{
	"unknown caveat": true, "no equals caveat": true, "valid_until of another service past": true,
}

// refusals says what Verify says where Aperture refuses as well.
var refusals = map[string]error{
	"services-other":           ErrWrongService,
	"valid_until == now":       ErrExpired,
	"valid_until past":         ErrExpired,
	"valid_until widened":      ErrConflictingCaveats,
	"services widened":         ErrConflictingCaveats,
	"services bad format":      ErrMalformedCaveat,
	"valid_until not a number": ErrMalformedCaveat,
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/l402_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(data, &vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) != 22 {
		t.Fatalf("%d vectors, want 22", len(vs))
	}
	return vs
}

// verifyRoot is Verify for a token whose root key is given and not derived.
func verifyRoot(root [32]byte, c *Credential, w *Want, g *Grant) error {
	t, err := open(c)
	if err != nil {
		return err
	}
	if err := t.prove(c); err != nil {
		return err
	}
	return t.judge(&root, w, g)
}

func TestVectors(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			root := [32]byte(unhex(t, v.RootKey))
			mac := unhex(t, v.MacaroonHex)

			id, err := ParseIdentifier(unhex(t, v.Identifier))
			if err != nil || id.PaymentHash.String() != v.PaymentHash || id.TokenID.String() != v.TokenID {
				t.Fatalf("identifier read as %+v, %v", id, err)
			}
			if b := id.Bytes(); hex.EncodeToString(b[:]) != v.Identifier {
				t.Errorf("identifier written as %x", b)
			}
			if again := mintWith(t, root, id.Bytes(), Location, v.Caveats...); !bytes.Equal(again, mac) {
				t.Errorf("minted\n%x, want\n%x", again, mac)
			}
			preimage, err := lntypes.MakePreimageFromStr(v.Preimage)
			if err != nil {
				t.Fatal(err)
			}
			if got := FormatAuthorization(mac, preimage); got != v.Authorization {
				t.Errorf("FormatAuthorization\n%s, want\n%s", got, v.Authorization)
			}

			want := error(nil)
			switch {
			case stricter[v.Name] != nil:
				if !v.Accept {
					t.Error("listed as stricter, but Aperture refuses it as well")
				}
				want = stricter[v.Name]
			case !v.Accept:
				if want = refusals[v.Name]; want == nil {
					t.Fatalf("no refusal is listed; Aperture says %q", v.Error)
				}
			}
			for _, h := range []http.Header{
				header("Authorization: " + v.Authorization),
				header("Grpc-Metadata-Macaroon: " + v.GrpcMetadataMacaroonHex),
			} {
				found, errs := read(h, FormAll)
				if len(found) != 1 || len(errs) != 0 {
					t.Fatalf("read %d credentials, errors %v from %v", len(found), errs, h)
				}
				var g Grant
				w := &Want{Service: v.Service, Now: v.Now}
				// The multi-service vector grants its service at tier 1.
				if v.Name == "services-multi" {
					w.Tier = 1
				}
				if err := verifyRoot(root, &found[0], w, &g); err != want {
					t.Errorf("%s: got %v, want %v", found[0].Form, err, want)
				}
				if (want == nil) != g.Paid {
					t.Errorf("%s: Paid is %v", found[0].Form, g.Paid)
				}
				w.SkipUnknown = true
				if skippable[v.Name] {
					if err := verifyRoot(root, &found[0], w, &g); err != nil {
						t.Errorf("%s with SkipUnknown: %v", found[0].Form, err)
					}
				} else if err := verifyRoot(root, &found[0], w, &g); err != want {
					t.Errorf("%s with SkipUnknown: got %v, want %v", found[0].Form, err, want)
				}
			}
		})
	}
}
