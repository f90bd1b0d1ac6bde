package caddyl402

import (
	"strings"
	"testing"
)

// TestNamedRoutesKeepTheirGate is about gates that pages invoke and that other directives surround.
func TestNamedRoutesKeepTheirGate(t *testing.T) {
	const gate = "l402 7 sat {\n\t\tservice shared\n\t}"
	for name, test := range map[string]struct{ named, site string }{
		"alone":            {gate, "invoke /a/* shared\n\ttest_upstream"},
		"after another":    {"header X-Test yes\n\t" + gate, "invoke /a/* shared\n\ttest_upstream"},
		"before content":   {gate + "\n\ttest_upstream", "invoke /a/* shared"},
		"without helpers":  {"l402 7 sat {\n\t\tservice shared\n\t\treceipts off\n\t\tmanifest off\n\t}", "invoke /a/* shared\n\ttest_upstream"},
		"with a matcher":   {"l402 /a/* 7 sat {\n\t\tservice shared\n\t}", "invoke shared\n\ttest_upstream"},
		"in a block":       {"handle {\n\t\theader X-Test yes\n\t\t" + gate + "\n\t}", "invoke /a/* shared\n\ttest_upstream"},
		"in a route block": {"route {\n\t\theader X-Test yes\n\t\t" + gate + "\n\t}", "invoke /a/* shared\n\ttest_upstream"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", gated)
			config := s.config("wallet play sandbox", test.site)
			s.reload(strings.Replace(config, "\nhttp://", "\n&(shared) {\n\t"+test.named+"\n}\nhttp://", 1))
			before := upstreamHits.Load()
			paid := s.buy("/a/x")
			if upstreamHits.Load() != before {
				t.Fatal("an unpaid request got through")
			}
			if a := s.want(200, "GET", "/a/x", "Authorization", paid.authorization()); a.body == "" || upstreamHits.Load() != before+1 {
				t.Errorf("%q", a.body)
			}
		})
	}
}
