package caddyl402

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

const gated = "l402 /premium/* 10 sat\n\ttest_upstream"

func TestUnpaidPaidServed(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	s.want(200, "GET", "/free")
	a := s.wantCode("payment_required", "/premium/x")
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	lines := a.Header.Values("WWW-Authenticate")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], `Payment id="`) || !strings.HasPrefix(lines[0], `L402 macaroon="`) || !strings.Contains(lines[0], `", invoice="lnbcrt`) {
		t.Errorf("challenge lines %q", lines)
	}
	challenge := s.challenge(a)
	invoice, err := wallets.DecodeInvoice(challenge.Invoice)
	if err != nil || invoice.Amount != 10_000 || invoice.Memo != "premium at 127.0.0.1" {
		t.Errorf("invoice %+v, %v", invoice, err)
	}
	if !strings.Contains(a.body, `"price_msat":10000`) || !strings.Contains(a.body, challenge.Invoice) {
		t.Errorf("body %s", a.body)
	}
	hits := upstreamHits.Load()
	p := purchase{challenge, s.pay(challenge.Invoice)}
	for range 3 { // a token is good for many requests
		s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	}
	s.want(200, "POST", "/premium/other", "Authorization", p.authorization())
	if got := upstreamHits.Load() - hits; got != 4 {
		t.Errorf("%d requests reached the upstream, want 4", got)
	}
}

func TestEveryFormOfCredentialPasses(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	std, raw := base64.StdEncoding.EncodeToString(p.Macaroon), base64.RawURLEncoding.EncodeToString(p.Macaroon)
	pre := p.preimage.String()
	withPreimage, err := l402.Attenuate(p.Macaroon, l402.Caveat{Condition: "preimage", Value: pre})
	if err != nil {
		t.Fatal(err)
	}
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, headers := range map[string][]string{
		"standard":          {"Authorization", "L402 " + std + ":" + pre},
		"lower case":        {"Authorization", "l402   " + std + ":" + pre},
		"LSAT":              {"Authorization", "LSAT " + std + ":" + pre},
		"URL-safe":          {"Authorization", "L402 " + raw + ":" + strings.ToUpper(pre)},
		"hex":               {"Authorization", "L402 " + hex.EncodeToString(p.Macaroon) + ":" + pre},
		"parameters":        {"Authorization", `L402 token="` + std + `", preimage="` + pre + `"`},
		"bearer":            {"Authorization", "Bearer " + std + ":" + pre},
		"basic password":    {"Authorization", basic("nix:" + std + ":" + pre)},
		"basic user":        {"Authorization", basic(std + ":" + pre)},
		"second line":       {"Authorization", "Bearer ey.jw.t", "Authorization", "L402 " + std + ":" + pre},
		"in one line":       {"Authorization", "Bearer ey.jw.t, L402 " + std + ":" + pre},
		"macaroon header":   {"Macaroon", hex.EncodeToString(withPreimage)},
		"metadata macaroon": {"Grpc-Metadata-Macaroon", hex.EncodeToString(withPreimage)},
		"cookie":            {"Cookie", "a=b; l402=" + raw + ":" + pre},
		"alone, settled":    {"Authorization", "L402 " + std},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			a := s.want(200, "GET", "/premium/x", headers...)
			for _, secret := range []string{pre, strings.ToUpper(pre), std, raw} {
				if strings.Contains(a.body, secret) {
					t.Errorf("the upstream saw the credential: %s", a.body)
				}
			}
			if !strings.Contains(a.body, `service="premium"`) || strings.Contains(a.body, `user=""`) {
				t.Errorf("placeholders are missing: %s", a.body)
			}
		})
	}
}

func TestForeignCredentialsStayForTheUpstream(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	a := s.want(200, "GET", "/premium/x", "Authorization", "Bearer ey.jw.t", "Authorization", p.authorization(),
		"Cookie", "session=abc; l402="+base64.RawURLEncoding.EncodeToString(p.Macaroon))
	if !strings.Contains(a.body, "Bearer ey.jw.t") || !strings.Contains(a.body, "session=abc") {
		t.Error("a foreign credential was taken away:", a.body)
	}
	if strings.Contains(a.body, "l402=") || strings.Contains(a.body, "L402") {
		t.Error("our credential was left:", a.body)
	}
}

func TestKeepCredentials(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tupstream_credentials keep\n}\ntest_upstream")
	p := s.buy("/x")
	if a := s.want(200, "GET", "/x", "Authorization", p.authorization()); !strings.Contains(a.body, p.preimage.String()) {
		t.Error("the upstream did not get the credential:", a.body)
	}
}

func TestTwoGatesOnOneWay(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	route {
		l402 /a/* 10 sat {
			service outer
		}
		l402 /a/b/* 20 sat {
			service inner
		}
		test_upstream
	}`)
	outer := s.buy("/a/x")
	s.want(200, "GET", "/a/x", "Authorization", outer.authorization())
	// With the outer token alone the inner gate sells its own.
	inner := s.buy("/a/b/x", "Authorization", outer.authorization())
	s.want(200, "GET", "/a/b/x", "Authorization", outer.authorization(), "Authorization", inner.authorization())
	s.wantCode("wrong_service", "/a/x", "Authorization", inner.authorization())
}

func TestBodiesByAccept(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	for _, tc := range []struct{ accept, contentType, contains string }{
		{"", "application/problem+json", `"code":"payment_required"`},
		{"*/*", "application/problem+json", `"code":"payment_required"`},
		{"application/json", "application/problem+json", `"not_money":true`},
		{"text/plain", "text/plain; charset=utf-8", "Price:   10 sat, valid for 24h"},
		{"text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8", `href="lightning:lnbcrt`},
		{"text/html;q=0.5, application/json", "application/problem+json", `"code"`},
	} {
		t.Run(tc.accept, func(t *testing.T) {
			s.t = t
			a := s.want(402, "GET", "/premium/x", "Accept", tc.accept)
			if a.Header.Get("Content-Type") != tc.contentType || !strings.Contains(a.body, tc.contains) {
				t.Errorf("%s: %s", a.Header.Get("Content-Type"), a.body)
			}
		})
	}
}

func TestHeadIsLikeGet(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	a := s.want(402, "HEAD", "/premium/x")
	if a.body != "" || a.Header.Get("Content-Length") == "" || len(a.Header.Values("WWW-Authenticate")) != 2 {
		t.Error(a.Header, a.body)
	}
	p := purchase{s.challenge(a), s.pay(s.challenge(a).Invoice)}
	s.want(200, "HEAD", "/premium/x", "Authorization", p.authorization())
}

func TestGRPCGetsTrailersOnly(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	a := s.want(200, "POST", "/premium/svc/Method", "Content-Type", "application/grpc+proto")
	if a.Header.Get("Grpc-Status") != "13" || a.Header.Get("Grpc-Message") != "payment required" || a.body != "" {
		t.Error(a.Header, a.body)
	}
	p := purchase{s.challenge(a), s.pay(s.challenge(a).Invoice)}
	if upstreamHits.Load() != 0 {
		t.Fatal("an unpaid call reached the upstream")
	}
	s.want(200, "POST", "/premium/svc/Method", "Content-Type", "application/grpc", "Authorization", p.authorization())
	if upstreamHits.Load() != 1 {
		t.Fatal("a paid call did not reach the upstream")
	}
}

func TestBrowsersOfOtherOriginsCanReadTheChallenge(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	a := s.want(402, "GET", "/premium/x", "Origin", "https://app.test")
	if a.Header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Error(a.Header)
	}
}

func TestPreflightPassesAndShowsNothing(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	a := s.want(http.StatusNoContent, "OPTIONS", "/premium/x", "Origin", "https://app.test",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if a.Header.Get("Access-Control-Allow-Headers") != "authorization" || a.body != "" {
		t.Error(a.Header, a.body)
	}
	s.want(402, "OPTIONS", "/premium/x") // no preflight
}

func TestAPreflightAnsweredByTheUpstreamStays(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	l402 10 sat
	header Access-Control-Allow-Origin https://app.test
	respond "secret" 200`)
	a := s.want(http.StatusNoContent, "OPTIONS", "/", "Origin", "https://app.test", "Access-Control-Request-Method", "PUT")
	if a.Header.Get("Access-Control-Allow-Origin") != "https://app.test" || a.body != "" {
		t.Error(a.Header, a.body)
	}
}

func TestErrorRoutesWriteTheAnswer(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	l402 10 sat
	test_upstream
	handle_errors {
		respond "{http.error.status_code} {http.l402.code} {http.l402.price_sat} {http.l402.invoice}"
	}`)
	a := s.want(402, "GET", "/")
	if !strings.HasPrefix(a.body, "402 payment_required 10 lnbcrt") {
		t.Error(a.body)
	}
	p := purchase{s.challenge(a), s.pay(s.challenge(a).Invoice)}
	s.want(200, "GET", "/", "Authorization", p.authorization())
}

func TestMatcherSeesPaidTokens(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	@paid l402 premium
	respond @paid "paid"
	l402 /premium/* 10 sat
	respond "unpaid"`)
	if a := s.want(200, "GET", "/"); a.body != "unpaid" {
		t.Error(a.body)
	}
	p := s.buy("/premium/x")
	if a := s.want(200, "GET", "/", "Authorization", p.authorization()); a.body != "paid" {
		t.Error(a.body)
	}
	// A settled invoice without a preimage is not looked up by a matcher.
	token := "L402 " + base64.StdEncoding.EncodeToString(p.Macaroon)
	if a := s.want(200, "GET", "/", "Authorization", token); a.body != "unpaid" {
		t.Error(a.body)
	}
}

func TestLSATLineOnRequest(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tschemes LSAT L402\n}\ntest_upstream")
	lines := s.want(402, "GET", "/").Header.Values("WWW-Authenticate")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "LSAT ") || !strings.HasPrefix(lines[1], "L402 ") {
		t.Error(lines)
	}
}
