package caddyl402

import (
	"encoding/base64"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"
)

var netrcArea = regexp.MustCompile(`<textarea id="netrc"[^>]*>([^<]*)</textarea>`)

// lineOf is the line that a page shows for a netrc, and basicOf what curl makes of it.
func lineOf(a answer) string {
	if found := netrcArea.FindStringSubmatch(a.body); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

func basicOf(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(line)
	if len(words) != 6 || words[0] != "machine" || words[1] != "127.0.0.1" || words[2] != "login" || words[4] != "password" {
		t.Fatalf("got the line %q", line)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(words[3]+":"+words[5]))
}

// TestPageGivesNetrcLine: after the payment the page has the line to paste, without any script.
func TestPageGivesNetrcLine(t *testing.T) {
	s := serve(t, "wallet node fake checkout", cookieGate)
	b := s.browser()
	first := b.wants(402, "/premium/a?x=1")
	if !strings.Contains(first.body, `value="netrc"`) || lineOf(first) != "" {
		t.Fatalf("the page offers no line for a netrc:\n%s", first.body)
	}
	p := pageOf(t, first)
	if early := b.do("POST", "/premium/a"+p.action, p.form("netrc")); early.StatusCode != 303 || lineOf(early) != "" ||
		strings.Contains(early.body, "machine") {
		t.Errorf("before the payment: %d %s", early.StatusCode, early.body)
	}
	s.pay(p.invoice)
	// The wallet's last answer is believed for half a second.
	paid := b.do("POST", "/premium/a"+p.action, p.form("netrc"))
	for end := time.Now().Add(20 * time.Second); paid.StatusCode != 200 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
		paid = b.do("POST", "/premium/a"+p.action, p.form("netrc"))
	}
	line := lineOf(paid)
	if paid.StatusCode != 200 || line == "" || paid.Header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(paid.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("after the payment: %d %v\n%s", paid.StatusCode, paid.Header, paid.body)
	}
	s.want(200, "GET", "/premium/z", "Authorization", basicOf(t, line))
	s.want(402, "GET", "/premium/z")

	// A stranger gets none for a token that is not paid or not ours.
	for name, token := range map[string]string{"another token": pageOf(t, s.browser().wants(402, "/premium/a")).token, "no token": "AAAA"} {
		form := p.form("netrc")
		form.Set("token", token)
		if a := s.browser().do("POST", "/premium/a"+p.action, form); lineOf(a) != "" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	other := s.browser()
	other.site = "cross-site"
	if a := other.do("POST", "/premium/a"+p.action, p.form("netrc")); a.StatusCode != 403 || lineOf(a) != "" {
		t.Errorf("from another site: %d", a.StatusCode)
	}
}

// TestPageGivesNetrcLineWithPreimage is the same where the wallet cannot tell of payments.
func TestPageGivesNetrcLineWithPreimage(t *testing.T) {
	s := serve(t, "wallet node fake blind", cookieGate)
	fake(t, "blind").blind.Store(true)
	b := s.browser()
	p := pageOf(t, b.wants(402, "/premium/a"))
	if a := b.do("POST", "/premium/a"+p.action, p.form("netrc")); lineOf(a) != "" {
		t.Error("a line for a token that nobody knows to be paid:", lineOf(a))
	}
	if a := b.do("POST", "/premium/a"+p.action, p.form("netrc", "preimage", strings.Repeat("0", 64))); a.StatusCode != 402 || lineOf(a) != "" {
		t.Errorf("with a wrong preimage: %d %s", a.StatusCode, lineOf(a))
	}
	preimage := s.pay(p.invoice)
	line := lineOf(b.do("POST", "/premium/a"+p.action, p.form("netrc", "preimage", preimage.String())))
	if !strings.HasSuffix(line, ":"+preimage.String()) {
		t.Fatalf("got the line %q", line)
	}
	s.want(200, "GET", "/premium/a", "Authorization", basicOf(t, line))
}

// TestNoNetrcLineThatOpensNothing: where the scheme Basic is not read, or the host fits into no
// line, nothing of it is shown.
func TestNoNetrcLineThatOpensNothing(t *testing.T) {
	s := serve(t, "wallet node fake checkout", "l402 /premium/* 10 sat {\ncredentials l402 cookie\n}\ntest_upstream")
	b := s.browser()
	a := b.wants(402, "/premium/a")
	if strings.Contains(a.body, `value="netrc"`) {
		t.Error("a line is offered")
	}
	p := pageOf(t, a)
	s.pay(p.invoice)
	if a := b.do("POST", "/premium/a"+p.action, p.form("netrc")); a.StatusCode != 303 || lineOf(a) != "" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}
