package caddyl402

import "testing"

func TestFreeTier(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tfree 2 1h\n}\ntest_upstream")
	for _, left := range []string{"1", "0"} {
		if a := s.want(200, "GET", "/x"); a.Header.Get("RateLimit-Remaining") != left || a.Header.Get("RateLimit-Limit") != "2" {
			t.Error(a.Header)
		}
	}
	a := s.want(402, "GET", "/x")
	if a.Header.Get("RateLimit-Remaining") != "0" || a.Header.Get("RateLimit-Reset") == "" {
		t.Error(a.Header)
	}
	p := purchase{s.challenge(a), s.pay(s.challenge(a).Invoice)}
	s.want(200, "GET", "/x", "Authorization", p.authorization())
	// A credential that is refused is told so, free requests or not.
	s.wantCode("malformed_credential", "/x", "Authorization", "L402 x:y")
}

func TestFreeTierByKey(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tservice keyed\n\tfree 1 1h {http.request.header.X-Key}\n}\ntest_upstream")
	s.want(200, "GET", "/x", "X-Key", "a")
	s.want(402, "GET", "/x", "X-Key", "a")
	s.want(200, "GET", "/x", "X-Key", "b")
	s.want(200, "GET", "/x") // without a key it is the address
	s.want(402, "GET", "/x")
}

func TestDryRun(t *testing.T) {
	s := serve(t, "wallet node fake dryrun", "l402 /real/* 10 sat {\n\tservice api\n\tuses 1\n}\nl402 /dry/* 10 sat {\n\tservice api\n\tuses 1\n\tdry_run\n}\ntest_upstream")
	w := fake(t, "dryrun")
	p := s.buy("/real/x")
	calls := w.creates.Load()
	for want, authorization := range map[string]string{
		"payment_required": "", "paid": p.authorization(), "malformed_credential": "L402 x:y",
	} {
		a := s.want(200, "GET", "/dry/x", "Authorization", authorization)
		if got := a.Header.Get("X-L402-Dry-Run"); got != want {
			t.Errorf("%q: got %q", authorization, got)
		}
	}
	if w.creates.Load() != calls || w.lookups.Load() != 0 {
		t.Error("a dry run asked the wallet")
	}
	s.want(200, "GET", "/real/x", "Authorization", p.authorization()) // nothing was spent
}
