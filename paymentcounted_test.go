package caddyl402

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// One invoice is one purchase, whatever the scheme.
func TestOnePurchaseForAllSchemes(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 1")+"test_upstream")
	for name, order := range map[string][2]func(paidChallenge) string{
		"L402 first":    {func(p paidChallenge) string { return p.authorization() }, paidChallenge.credential},
		"Payment first": {paidChallenge.credential, func(p paidChallenge) string { return p.authorization() }},
		"Payment twice": {paidChallenge.credential, paidChallenge.credential},
	} {
		p := s.buyPayment("/x")
		a := s.want(200, "GET", "/x", "Authorization", order[0](p))
		if a.Header.Get("X-L402-Remaining-Uses") != "0" {
			t.Errorf("%s: %v", name, a.Header)
		}
		s.wantCode("uses_exhausted", "/x", "Authorization", order[1](p))
		a = s.wantCode("uses_exhausted", "/x", "Payment-Authorization", p.credential())
		if !strings.Contains(a.body, "problems/invalid-challenge") || a.Header.Get("Payment-Receipt") != "" {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

func TestSchemesAtTheSameTime(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 1")+"test_upstream")
	for range 3 {
		p := s.buyPayment("/x")
		before := upstreamHits.Load()
		var passed atomic.Int64
		var wg sync.WaitGroup
		for i := range 40 {
			header, value := "Authorization", p.authorization()
			if i%2 == 0 {
				value = p.credential()
			}
			if i%4 == 0 {
				header = "Payment-Authorization"
			}
			wg.Go(func() {
				if a := s.do("GET", "/x", header, value); a.StatusCode == http.StatusOK {
					passed.Add(1)
				}
			})
		}
		wg.Wait()
		if passed.Load() != 1 || upstreamHits.Load()-before != 1 {
			t.Fatalf("%d of 40 requests passed, %d reached the upstream", passed.Load(), upstreamHits.Load()-before)
		}
	}
}

func TestPaymentBytes(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("bytes 1000")+"respond "+strings.Repeat("x", 600))
	p := s.buyPayment("/x")
	a := s.want(200, "GET", "/x", "Authorization", p.credential())
	if a.Header.Get("X-L402-Remaining-Bytes") == "" || a.Header.Get("Payment-Receipt") == "" {
		t.Error(a.Header)
	}
	a = s.wantCode("bytes_exhausted", "/x", "Authorization", p.authorization())
	if a.Header.Get("Payment-Receipt") != "" {
		t.Error("a receipt for what was refused")
	}
	// The same by the other scheme, where the upstream answered already.
	a = s.wantCode("bytes_exhausted", "/x", "Authorization", p.credential())
	if a.Header.Get("Payment-Receipt") != "" {
		t.Error("a receipt for what was refused")
	}
}

func TestPaymentAmongGatesAndMatchers(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	@paid {
		path /matched
		l402 outer
	}
	redir @paid /yes
	route {
		l402 10 sat {
			service outer
			uses 2
		}
		l402 /inner/* 10 sat {
			service outer
			uses 2
		}
		test_upstream
	}`)
	p := s.buyPayment("/x")
	s.want(302, "GET", "/matched", "Authorization", p.credential())
	a := s.want(200, "GET", "/inner/x", "Payment-Authorization", p.credential())
	if a.Header.Get("X-L402-Remaining-Uses") != "1" || len(a.Header.Values("Payment-Receipt")) != 1 {
		t.Error(a.Header)
	}
}

func TestPaymentOfOneTenantOpensNoOther(t *testing.T) {
	s := serve(t, "wallet shop-a fake pay-a\nwallet shop-b fake pay-b", tenantSite("{http.vars.tenant}"))
	p := s.buyPayment("/x", "X-Tenant", "shop-a")
	s.want(200, "GET", "/x", "X-Tenant", "shop-a", "Authorization", p.credential())
	s.want(402, "GET", "/x", "X-Tenant", "shop-b", "Authorization", p.credential())
	s.wantNobody("/x", "Authorization", p.credential())
}

func TestPaymentIsRecordedAsSuch(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	for _, asked := range []string{"", "lightning/charge"} {
		p := s.buyPayment("/premium/x", "Accept-Payment", asked)
		s.want(200, "GET", "/premium/x", "Authorization", p.credential())
		hash := p.preimage.Hash()
		got := s.receipt(hash, "Authorization", p.credential())
		// Without a word beforehand the wallet's report may come before the credential.
		if scheme := got.Receipt.Scheme; scheme != "Payment" && (asked != "" || scheme != "L402") {
			t.Errorf("asked for %q: scheme %q", asked, scheme)
		}
		if altered := p.Challenge; true {
			altered.Realm = "elsewhere"
			s.want(401, "GET", receiptsAt+hash.String(), "Authorization", formatPayment(altered, p.preimage))
		}
	}
}

func TestSchemesSetting(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	l402 /alone 10 sat {
		service alone
		schemes Payment
	}
	l402 /order 10 sat {
		service order
		schemes Payment LSAT L402
	}
	l402 /without 10 sat {
		service without
		schemes L402
	}
	l402 /forms 10 sat {
		service forms
		credentials l402 cookie
	}
	l402 /odd 1500 msat {
		service odd
	}
	l402 /oddalone 1500 msat {
		service oddalone
		schemes Payment
	}
	test_upstream`)
	for path, want := range map[string]string{
		"/alone": "Payment", "/order": "LSAT L402 Payment", "/without": "L402", "/forms": "L402", "/odd": "L402", "/oddalone": "L402",
	} {
		a := s.want(402, "GET", path, "Accept-Payment", "*/*")
		var schemes []string
		for _, line := range a.Header.Values("WWW-Authenticate") {
			scheme, _, _ := strings.Cut(line, " ")
			schemes = append(schemes, scheme)
		}
		if got := strings.Join(schemes, " "); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		if has := strings.Contains(a.body, "challengeId"); has != strings.Contains(want, "Payment") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	p := s.buyPayment("/alone")
	s.want(200, "GET", "/alone", "Authorization", p.credential())
	// A form that is not accepted is none of this gate's, and goes on where the request does.
	forms := s.buy("/forms")
	a := s.want(200, "GET", "/forms", "Authorization", forms.authorization(), "Authorization", "Payment e30")
	if !strings.Contains(a.body, "Payment e30") {
		t.Error(a.body)
	}
	s.wantCode("payment_required", "/forms", "Authorization", p.credential())
}

func TestPreflightsOfThePaymentScheme(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	l402 10 sat
	header /ok {
		Access-Control-Allow-Origin https://app.test
		Access-Control-Allow-Headers X-Own
	}
	respond /ok 204
	test_upstream`)
	for _, path := range []string{"/x", "/ok"} {
		a := s.want(204, "OPTIONS", path, "Origin", "https://app.test", "Access-Control-Request-Method", "GET",
			"Access-Control-Request-Headers", "accept-payment, payment-authorization, x-own")
		allowed := strings.ToLower(strings.Join(a.Header.Values("Access-Control-Allow-Headers"), ","))
		for _, name := range []string{"accept-payment", "payment-authorization", "x-own"} {
			if !strings.Contains(allowed, name) {
				t.Errorf("%s: %s is not allowed: %s", path, name, allowed)
			}
		}
		a = s.want(204, "OPTIONS", path, "Origin", "https://app.test", "Access-Control-Request-Method", "GET")
		if strings.Contains(strings.Join(a.Header.Values("Access-Control-Allow-Headers"), ","), "Payment") {
			t.Errorf("%s: allowed without being asked: %v", path, a.Header)
		}
	}
}

// TestGiftsHaveNoReceipt shows a credential that is used up while the wallet fails, which lets requests
// pass there: nobody paid for them.
func TestGiftsHaveNoReceipt(t *testing.T) {
	s := serve(t, "wallet node fake gifts", "l402 10 sat {\n\tuses 1\n\tprefetch off\n\ton_wallet_error pass\n}\ntest_upstream")
	paid := s.buyPayment("/x")
	if s.want(200, "GET", "/x", "Authorization", paid.credential()).Header.Get("Payment-Receipt") == "" {
		t.Error("a paid answer has no receipt")
	}
	w, _ := fakes.Load("gifts")
	w.(*fakeWallet).fail(func(context.Context) error { return errors.New("down") })
	if a := s.want(200, "GET", "/x", "Authorization", paid.credential()); a.Header.Get("Payment-Receipt") != "" {
		t.Error("a gift has the receipt of an earlier payment")
	}
}
