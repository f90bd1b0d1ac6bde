package caddyl402

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
)

// offerDoc is what a program reads that knows nothing but the body of a 402.
type offerDoc struct {
	Cure, Invoice, Macaroon, Manifest, Guide string
	Steps                                    []string
	OtherWays                                []struct{ Scheme, How string } `json:"other_ways"`
}

func readOffer(t *testing.T, a answer) (doc offerDoc) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err, a.body)
	}
	return doc
}

var stepHeader = regexp.MustCompile("`Authorization: (.*)`,")

// TestAgentFollowsSteps goes by the words of the body alone, and gets what it asked for.
func TestAgentFollowsSteps(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 /premium/* 10 sat")
	a := s.want(402, "GET", "/premium/x")
	doc := readOffer(t, a)
	if len(doc.Steps) != 3 || len(doc.OtherWays) != 2 || doc.OtherWays[0].Scheme != "X-Cashu" || doc.OtherWays[1].Scheme != "Payment" {
		t.Fatalf("%+v", doc)
	}
	if len(a.body)-len(doc.Invoice)-len(doc.Macaroon) > 4<<10 {
		t.Errorf("a body of %d bytes", len(a.body))
	}
	header := stepHeader.FindStringSubmatch(doc.Steps[1])
	if header == nil {
		t.Fatal(doc.Steps)
	}
	credential := strings.NewReplacer("<macaroon>", doc.Macaroon, "<preimage>", s.pay(doc.Invoice).String()).Replace(header[1])
	s.want(200, "GET", "/premium/x", "Authorization", credential)
	s.want(200, "GET", "/premium/y", "Authorization", credential)

	if !strings.Contains(a.Header.Get("Link"), doc.Manifest) || !json.Valid([]byte(s.want(200, "GET", doc.Manifest).body)) {
		t.Error("manifest:", doc.Manifest)
	}
	if guide := s.want(200, "GET", doc.Guide).body; !strings.Contains(guide, "`X-Cashu: <cashuB token>`") || !strings.Contains(guide, "Takes Cashu ecash") {
		t.Error(guide)
	}
	// Without a description nobody is sent to it.
	s.reload(s.config("wallet play sandbox", "l402 10 sat {\n\t\tmanifest off\n\t\tschemes L402\n\t}\n\ttest_upstream"))
	if doc := readOffer(t, s.want(402, "GET", "/x")); doc.Manifest != "" || doc.Guide != "" || doc.OtherWays != nil || len(doc.Steps) != 3 {
		t.Errorf("%+v", doc)
	}
}

// TestAgentIsNotToldToPayTwice shows what a program is told first whose credential is refused for a reason
// that a payment does not cure.
func TestAgentIsNotToldToPayTwice(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat\n\ttest_upstream")
	p := s.buy("/premium/x")
	wrong := p
	wrong.preimage[0] ^= 1
	for name, test := range map[string]struct {
		credential, code, cure string
	}{
		"another preimage": {wrong.authorization(), "preimage_mismatch", "Paying again does not help."},
		"no base64":        {"L402 !!!:" + p.preimage.String(), "malformed_credential", "do not pay again"},
		"no token":         {"L402 AgEE:" + p.preimage.String(), "malformed_token", "do not pay again"},
		"a broken preimage": {strings.TrimSuffix(p.authorization(), p.preimage.String()) + "abc", "malformed_credential",
			"do not pay again"},
		"no challenge": {"Payment e30", "malformed_payment_credential", "do not pay again"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := readOffer(t, s.wantCode(test.code, "/premium/x", "Authorization", test.credential))
			if !strings.Contains(doc.Cure, test.cure) || len(doc.Steps) != 4 || doc.Steps[0] != doc.Cure {
				t.Errorf("%q, %q", doc.Cure, doc.Steps)
			}
		})
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	if doc := readOffer(t, s.wantCode("payment_required", "/premium/x")); len(doc.Steps) != 3 || doc.Steps[0] == doc.Cure {
		t.Errorf("%+v", doc)
	}
}
