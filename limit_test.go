package caddyl402

import (
	"net/http"
	"testing"
)

func TestLimitCountsInvoicesAndRefusals(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tlimit 5 1h\n}\ntest_upstream")
	p := s.buy("/x")
	for range 2 {
		s.want(402, "GET", "/x")
		s.want(402, "GET", "/other/path", "Authorization", "L402 AAAA:"+p.preimage.String())
	}
	a := s.want(http.StatusTooManyRequests, "GET", "/new/path")
	if a.Header.Get("Retry-After") == "" || a.code() != "too_many_requests" || a.Header.Get("WWW-Authenticate") != "" {
		t.Error(a.Header, a.body)
	}
	s.want(http.StatusTooManyRequests, "GET", "/x", "Authorization", "L402 AAAA:"+p.preimage.String())
	// A header that anyone can send makes nobody somebody else.
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"} {
		s.want(http.StatusTooManyRequests, "GET", "/x", header, "203.0.113.7")
	}
	// A valid credential passes however full the limit is.
	s.want(200, "GET", "/x", "Authorization", p.authorization())
}

func TestLimitFollowsTrustedProxies(t *testing.T) {
	s := serveWith(t, "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}", "wallet play sandbox",
		"l402 10 sat {\n\tlimit 1 1h\n}\ntest_upstream")
	s.want(402, "GET", "/x", "X-Forwarded-For", "203.0.113.1")
	s.want(429, "GET", "/x", "X-Forwarded-For", "203.0.113.1")
	s.want(402, "GET", "/x", "X-Forwarded-For", "203.0.113.2")
	s.want(402, "GET", "/x", "X-Forwarded-For", "2001:db8:1:2::1")
	s.want(429, "GET", "/x", "X-Forwarded-For", "2001:db8:1:2:ffff::9") // the same /64
	s.want(402, "GET", "/x", "X-Forwarded-For", "2001:db8:1:3::1")
}

func TestLimitIsPerServiceAndSurvivesReloads(t *testing.T) {
	site := "l402 /a/* 10 sat {\n\tlimit 1 1h\n}\nl402 /b/* 10 sat {\n\tlimit 1 1h\n}\ntest_upstream"
	s := serve(t, "wallet play sandbox", site)
	s.want(402, "GET", "/a/1")
	s.want(429, "GET", "/a/2")
	s.want(402, "GET", "/b/1")
	s.reload(s.config("wallet play sandbox", site))
	s.want(429, "GET", "/a/1")
}

func TestLimitOff(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tlimit off\n}\ntest_upstream")
	for range 300 {
		s.want(402, "GET", "/x")
	}
}
