package caddyl402

import (
	"slices"
	"strings"
	"testing"
)

// TestPaidAnswersArePrivate: no cache between the client and the gate may give away what one
// payer got, whatever the site says of its answers.
func TestPaidAnswersArePrivate(t *testing.T) {
	for name, tc := range map[string]struct {
		site string
		want []string
	}{
		"the site says nothing":     {gated, []string{"private"}},
		"the site says public":      {"header Cache-Control \"public, max-age=60\"\n" + gated, []string{"public, max-age=60", "private"}},
		"the site says it itself":   {"header Cache-Control private\n" + gated, []string{"private"}},
		"the site has the last say": {"header >Cache-Control \"public, max-age=60\"\n" + gated, []string{"public, max-age=60"}},
		"two gates": {"route {\nl402 /premium/* 10 sat {\nservice a\n}\nl402 /premium/* 10 sat {\nservice a\n}\ntest_upstream\n}",
			[]string{"private"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", tc.site)
			token := s.buy("/premium/x")
			for _, form := range [][2]string{
				{"Authorization", token.authorization()}, {"Cookie", "l402=" + strings.TrimPrefix(token.authorization(), "L402 ")},
			} {
				a := s.want(200, "GET", "/premium/x", form[0], form[1])
				if got := a.Header["Cache-Control"]; !slices.Equal(got, tc.want) {
					t.Errorf("paid by %s: Cache-Control %q, want %q", form[0], got, tc.want)
				}
				if vary := slices.Contains(a.Header["Vary"], "Cookie"); vary != (form[0] == "Cookie") {
					t.Errorf("paid by %s: Vary %q", form[0], a.Header["Vary"])
				}
			}
			if !strings.HasPrefix(name, "the site has") {
				if got := s.want(402, "GET", "/premium/x").Header.Get("Cache-Control"); got != "no-store" {
					t.Errorf("unpaid: Cache-Control %q", got)
				}
			}
		})
	}
}

// TestFreeAnswersAreTheSites: what is free can be cached as the site says.
func TestFreeAnswersAreTheSites(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	token := s.buy("/premium/x")
	for _, header := range [][]string{nil, {"Authorization", token.authorization()}} {
		if a := s.want(200, "GET", "/free", header...); len(a.Header["Cache-Control"]) > 0 {
			t.Errorf("Cache-Control %q", a.Header["Cache-Control"])
		}
	}
}

// TestTextNamesThePage: people in front of a terminal can pay in a browser.
func TestTextNamesThePage(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat\nl402 /raw/* 10 sat {\ncredentials l402 basic\n}\n"+
		"@moved path /moved/*\nuri @moved strip_prefix /moved\ntest_upstream")
	for _, tc := range []struct{ method, path, want string }{
		{"GET", "/premium/a%2Fb?x=1&y", "/premium/a%2Fb?x=1&y"},
		{"GET", "/moved/premium/x", "/moved/premium/x"},
		{"POST", "/premium/x", ""}, // loading an answer to a form is another request
		{"GET", "/raw/x", ""},      // no cookie, no page that goes on
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			s.t = t
			a := s.want(402, tc.method, tc.path, "Accept", "text/plain")
			line := "Pay at:  http://" + s.addr + tc.want + " (in a browser)\n"
			if got := strings.Contains(a.body, line); got != (tc.want != "") || !got && strings.Contains(a.body, "Pay at") {
				t.Errorf("want %q in\n%s", line, a.body)
			}
		})
	}
}
