package caddyl402

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// TestPricesByRequestTakeNoEcashOnThePage looks at pages whose form could not pay for them.
func TestPricesByRequestTakeNoEcashOnThePage(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 /by-request/* {query.sat} sat {\n\tmin 1 sat\n\tmax 20 sat\n}")
	s.house()
	page := s.browser().wants(402, "/by-request/a?sat=10")
	if strings.Contains(page.body, `value="ecash"`) || page.Header.Get("X-Cashu") == "" {
		t.Error("ecash on the page, or not in the header:", page.Header)
	}
	p := pageOf(t, page)
	kept := s.mint.Token(t, 16)
	a := s.postForm("/by-request/a"+p.action, p.form("ecash", "ecash", encodeEcash(t, kept)), "text/html")
	if a.StatusCode != 403 || len(a.Cookies()) != 0 {
		t.Errorf("got %d %v", a.StatusCode, a.Header)
	}
	s.conserved(0, kept)
}

// TestEcashOnThePageOfTheGateBehind never pays the gate in front once more.
func TestEcashOnThePageOfTheGateBehind(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "route {\n\tl402 10 sat {\n\t\tservice front\n\t}\n\tl402 10 sat {\n\t\tservice back\n\t}\n}")
	s.house()
	b := s.browser()
	p := pageOf(t, b.wants(402, "/a"))
	if a := b.do("POST", "/a"+p.action, p.form("ecash", "ecash", s.token(8, 2))); a.StatusCode != 303 {
		t.Fatalf("got %d %s", a.StatusCode, a.body)
	}
	behind := pageOf(t, b.wants(402, "/a"))
	kept := s.mint.Token(t, 8, 2)
	b.do("POST", "/a"+behind.action, behind.form("ecash", "ecash", encodeEcash(t, kept)))
	s.conserved(10, kept)
}

// shownChange finds the token on a page; nil where there is none.
func shownChange(t *testing.T, a answer) *token.Token {
	t.Helper()
	found := regexp.MustCompile(`<textarea id="change"[^>]*>([^<]*)</textarea>`).FindStringSubmatch(a.body)
	if found == nil {
		return nil
	}
	tok, err := token.Parse(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestEcashOnThePage has a person paste ecash into the page: with change, without, and again.
func TestEcashOnThePage(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 /premium/* 10 sat")
	s.house()
	b := s.browser()
	page := b.wants(402, "/premium/a?x=1")
	p := pageOf(t, page)
	request := regexp.MustCompile(`<textarea id="creq"[^>]*>([^<]*)<`).FindStringSubmatch(page.body)
	if request == nil || page.Header.Get("X-Cashu") != request[1] || !strings.Contains(page.body, "creq=CREQB1") || !strings.Contains(page.body, s.mint.URL) {
		t.Fatalf("the page asks for no ecash:\n%s", page.body)
	}
	text := s.token(16)
	form := p.form("ecash", "ecash", " cashu:"+text[:40]+"\r\n"+text[40:]+"\n")
	paid := b.do("POST", "/premium/a"+p.action, form)
	change := shownChange(t, paid)
	if paid.StatusCode != 200 || change == nil || !strings.Contains(paid.body, `href="./a?x=1"`) || paid.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v\n%s", paid.StatusCode, paid.Header, paid.body)
	}
	if sum, err := change.Amount(); err != nil || sum != 6 {
		t.Errorf("change of %d, %v", sum, err)
	}
	cookie := paid.Cookies()[0]
	if cookie.Name != "l402_premium" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge < 86000 || cookie.MaxAge > 86400 {
		t.Errorf("cookie %+v", cookie)
	}
	b.wants(200, "/premium/a?x=1")
	s.conserved(10, change)

	// The form sent again, by this browser and by another one, which must have the ecash.
	for _, again := range []*browser{b, s.browser()} {
		a := again.do("POST", "/premium/a"+p.action, form)
		if same := shownChange(t, a); same == nil || encodeEcash(t, same) != encodeEcash(t, change) {
			t.Errorf("sent again: %d %s", a.StatusCode, a.body)
		}
		again.wants(200, "/premium/a")
	}
	s.conserved(10, change)

	// Without change the page itself comes next.
	exact := s.browser()
	p = pageOf(t, exact.wants(402, "/premium/b"))
	a := exact.do("POST", "/premium/b"+p.action, p.form("ecash", "ecash", s.token(8, 2)))
	if a.StatusCode != 303 || a.Header.Get("Location") != "./b" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v", a.StatusCode, a.Header)
	}
	exact.wants(200, "/premium/b")
	s.conserved(20, change)
}

// TestEcashOnThePageIsRefused looks at what must not pay, and must not be taken.
func TestEcashOnThePageIsRefused(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 /premium/* 10 sat\nl402 /only/* 10 sat {\n\tcashu off\n}")
	s.house()
	kept, small := s.mint.Token(t, 16), s.mint.Token(t, 8)
	good := encodeEcash(t, kept)
	tokens := map[string]string{}
	for _, path := range []string{"/premium/a", "/only/a"} {
		tokens[path] = pageOf(t, s.browser().wants(402, path)).token
	}
	post := func(path string, ecash []string, headers ...string) answer {
		t.Helper()
		form := url.Values{"do": {"ecash"}, "token": {tokens[path]}, "ecash": ecash}
		return s.postForm(path+"?l402-checkout", form, "text/html", headers...)
	}
	for name, a := range map[string]answer{
		"cross-site":   post("/premium/a", []string{good}, "Sec-Fetch-Site", "cross-site"),
		"other origin": post("/premium/a", []string{good}, "Origin", "https://evil.test"),
		"long":         post("/premium/a", []string{good, strings.Repeat("y", maxCheckout)}),
		"switched off": post("/only/a", []string{good}),
	} {
		if a.StatusCode != 403 || len(a.Cookies()) != 0 || strings.Contains(a.body, good) {
			t.Errorf("%s: got %d %v", name, a.StatusCode, a.Header)
		}
	}
	// Without the token of this gate's own page there is another page, and nothing is taken.
	for name, a := range map[string]answer{
		"without the page's token": s.postForm("/premium/a?l402-checkout", url.Values{"do": {"ecash"}, "ecash": {good}}, "text/html"),
		"of another gate's page": s.postForm("/premium/a?l402-checkout",
			url.Values{"do": {"ecash"}, "token": {tokens["/only/a"]}, "ecash": {good}}, "text/html"),
	} {
		if a.StatusCode != 402 || strings.Contains(a.body, good) {
			t.Errorf("%s: got %d %v", name, a.StatusCode, a.Header)
		}
	}
	foreign := minttest.New(t, minttest.Options{})
	for name, text := range map[string]string{
		"nothing": "", "no token": "lnbc1", "too little": encodeEcash(t, small), "foreign": encodeEcash(t, foreign.Token(t, 16)),
		"html": `cashuB"><script>alert(1)</script>`,
	} {
		a := post("/premium/a", []string{text}, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin")
		if a.StatusCode != 400 || len(a.Cookies()) != 0 || strings.Contains(a.body, "<script>alert") {
			t.Errorf("%s: got %d %v", name, a.StatusCode, a.Header)
		}
		if !strings.Contains(a.body, `href="./a"`) || !strings.Contains(a.body, "Go back and put in other ecash") {
			t.Errorf("%s: no way back:\n%s", name, a.body)
		}
		if text != "" && strings.Contains(a.body, text) {
			t.Errorf("%s: the answer shows what was pasted", name)
		}
	}
	if page := s.browser().wants(402, "/only/a"); strings.Contains(page.body, `value="ecash"`) {
		t.Error("a page that takes no ecash asks for some")
	}
	// What was not taken is still good.
	s.conserved(0, kept, small)
	s.mint.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.Unavailable})
	if a := post("/premium/a", []string{good}); a.StatusCode != 503 || len(a.Cookies()) != 0 || !strings.Contains(a.body, "same ecash") {
		t.Errorf("without the mint: %d %s", a.StatusCode, a.body)
	}
}
