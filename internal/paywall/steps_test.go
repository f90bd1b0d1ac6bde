package paywall

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// guided reads what a body tells programs to do.
func guided(t *testing.T, p *Problem) (doc struct {
	Steps     []string
	OtherWays []way `json:"other_ways"`
	Manifest  string
	Guide     string
}) {
	t.Helper()
	if err := json.Unmarshal(write(p, "GET").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSteps(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Problem)
		want   []string // in the steps, in this order
		ways   string   // the schemes of the other ways
	}{
		"an invoice": {func(p *Problem) { p.Offer.NotMoney = false },
			[]string{"Pay `invoice`, 1500 msat, with a Lightning wallet", "Authorization: L402 <macaroon>:<preimage>", "valid for 24h."}, ""},
		"the sandbox": {func(*Problem) {}, []string{"not money", "sandbox/pay", "Authorization: L402"}, ""},
		"one request": {func(p *Problem) { p.Offer.Uses = 1 }, []string{"Authorization: L402", "One payment is for one request."}, ""},
		"a cure before": {func(p *Problem) { p.CureFirst, p.Cure = true, "Look first." },
			[]string{"Look first.", "sandbox/pay", "Authorization: L402"}, ""},
		"offers": {func(p *Problem) { p.Offer.Offers = []Alternative{{Name: "day"}} }, []string{"Authorization", "`offers`"}, ""},
		"ecash":  {func(p *Problem) { p.Offer.Ecash = true }, []string{"Authorization"}, "X-Cashu"},
		"all":    {func(p *Problem) { p.Offer.Ecash, p.Offer.ChallengeID = true, "id" }, []string{"Authorization"}, "X-Cashu Payment"},
	} {
		t.Run(name, func(t *testing.T) {
			p := problem()
			p.Offer.Manifest, p.Offer.Guide = "/m.json", "/m.txt"
			test.change(p)
			doc := guided(t, p)
			rest := strings.Join(doc.Steps, "\n")
			for _, part := range test.want {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Fatalf("%q is not at its place in %q", part, doc.Steps)
				}
				rest = after
			}
			var schemes []string
			for _, w := range doc.OtherWays {
				schemes = append(schemes, w.Scheme)
			}
			if strings.Join(schemes, " ") != test.ways || doc.Manifest != "/m.json" || doc.Guide != "/m.txt" {
				t.Errorf("%+v", doc)
			}
		})
	}
}

// TestStepsWithoutOffer shows that nobody is told to pay who cannot.
func TestStepsWithoutOffer(t *testing.T) {
	p := &Problem{Status: 503, Code: "wallet_unavailable", Title: "Payments Unavailable", Cure: "Later.", RetryAfter: time.Second}
	if doc := guided(t, p); doc.Steps != nil || doc.OtherWays != nil || doc.Manifest != "" || doc.Guide != "" {
		t.Errorf("%+v", doc)
	}
}

// TestBodyIsSmall with all that it can say but the invoice and the token, and text is no longer for it.
func TestBodyIsSmall(t *testing.T) {
	p := problem()
	before := write(p, "GET", "Accept", "text/plain").Body.Len()
	o := p.Offer
	o.Invoice, o.Macaroon, o.Ecash, o.ChallengeID, o.Uses = "", "", true, strings.Repeat("i", 44), 100
	o.Manifest, o.Guide, p.CureFirst = "/.well-known/l402.json", "/.well-known/l402.txt", true
	if n := write(p, "GET").Body.Len(); n > 4<<10 {
		t.Errorf("%d bytes", n)
	}
	if n := write(p, "GET", "Accept", "text/plain").Body.Len(); n > before {
		t.Errorf("the text has %d bytes, and %d without what programs read", n, before)
	}
}
