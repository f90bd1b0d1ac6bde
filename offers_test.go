package caddyl402

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
)

const offersSite = `l402 /basic/* 10 sat {
		service shop
		uses 2
		limit off
		uses 5 for 20 sat
		tier 1 50 sat {
			uses 3
		}
		offer long 30 sat {
			uses 2
			valid 700d
		}
	}
	l402 /pro/* 50 sat {
		service shop 1
		uses 3
		limit off
	}
	l402 /top/* 90 sat {
		service shop 2
		limit off
	}
	test_upstream`

func TestOffers(t *testing.T) {
	s := serve(t, "wallet play sandbox", offersSite)
	s.wantPrice(10, "GET", "/basic/x")
	s.wantPrice(10, "GET", "/basic/x", headerOffer, "base")
	s.wantPrice(20, "GET", "/basic/x", headerOffer, "uses-5")
	s.wantPrice(50, "POST", "/basic/x?a=b&l402_offer=tier-1")
	s.wantPrice(30, "HEAD", "/basic/x?l402_offer=tier-1", headerOffer, "long")
	s.wantPrice(50, "GET", "/pro/x", headerOffer, "uses-5") // sells one thing and knows no names
	for _, name := range []string{"", "none", "BASE", "uses-5,base", "uses-5 ", "{env.HOME}", strings.Repeat("x", 5000)} {
		if strings.TrimSpace(name) != "uses-5" {
			s.wantNoPrice(http.StatusBadRequest, codeOfferUnknown, "GET", "/basic/x", headerOffer, name)
		}
	}
	s.wantNoPrice(400, codeOfferUnknown, "GET", "/basic/x", headerOffer, "base", headerOffer, "uses-5")
	s.wantNoPrice(400, codeOfferUnknown, "GET", "/basic/x?l402_offer=base&l402_offer=uses-5")

	a := s.want(402, "GET", "/basic/x", headerOffer, "long")
	for _, want := range []string{
		`{"name":"base","price_msat":10000,"tier":0,"uses":2,`, `{"name":"uses-5","price_msat":20000,"tier":0,"uses":5,`,
		`{"name":"tier-1","price_msat":50000,"tier":1,"uses":3,`, `"terms":"valid for 700d, 2 requests","header":"X-L402-Offer: long"`,
		`"price_msat":30000,"invoice"`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the body lacks %s: %s", want, a.body)
		}
	}
	if a := s.want(402, "GET", "/basic/x", "Accept", "text/plain"); !strings.Contains(a.body, "  tier-1: 50 sat, tier 1, valid for") {
		t.Error(a.body)
	}
	for path, want := range map[string]string{
		"/.well-known/l402.json": `"header": "X-L402-Offer: uses-5"`,
	} {
		if a := s.want(200, "GET", path); !strings.Contains(a.body, want) {
			t.Errorf("%s lacks %s: %s", path, want, a.body)
		}
	}
}

// uses tells how often a token opens a path.
func (s *server) uses(path, authorization string) (n int) {
	s.t.Helper()
	for n < 10 && s.do("GET", path, "Authorization", authorization).StatusCode == 200 {
		n++
	}
	return n
}

func TestOffersOpenWhatWasSold(t *testing.T) {
	s := serve(t, "wallet play sandbox", offersSite)
	for offer, want := range map[string]map[string]int{
		"base":   {"/basic/x": 2, "/pro/x": 0, "/top/x": 0},
		"uses-5": {"/basic/x": 5, "/pro/x": 0, "/top/x": 0},
		"tier-1": {"/basic/x": 3, "/pro/x": 3, "/top/x": 0},
		"long":   {"/basic/x": 2, "/pro/x": 0, "/top/x": 0},
	} {
		for path, n := range want {
			if got := s.uses(path, s.buy("/basic/x", headerOffer, offer).authorization()); got != n {
				t.Errorf("%s opens %s %d times, want %d", offer, path, got, n)
			}
		}
	}
	// A token of the higher tier that was sold there opens only that: it was not sold for less.
	pro := s.buy("/pro/x").authorization()
	s.wantCode("wrong_tier", "/basic/x", "Authorization", pro)
	// The header changes nothing for who has paid.
	base := s.buy("/basic/x")
	s.want(200, "GET", "/basic/x", "Authorization", base.authorization(), headerOffer, "none")
	// A holder cannot raise his tier.
	for _, added := range []l402.Caveat{{Condition: "services", Value: "shop:1"}, {Condition: "services", Value: "shop:0,shop:1"}, {Condition: "shop_uses", Value: "5"}} {
		forged, err := l402.Attenuate(base.Macaroon, added)
		if err != nil {
			t.Fatal(err)
		}
		s.wantCode("conflicting_caveats", "/basic/x", "Authorization", l402.FormatAuthorization(forged, base.preimage))
	}
}

// TestOffersAfterRestart offers an open one again, and records what was paid for it.
func TestOffersAfterRestart(t *testing.T) {
	s := serve(t, "wallet play sandbox", offersSite)
	open := s.challenge(s.want(402, "GET", "/basic/x", headerOffer, "uses-5"))
	sales.Purge()
	for _, headers := range [][]string{nil, {headerOffer, "uses-5"}} {
		again := s.challenge(s.wantCode(codePaymentPending, "/basic/x", append(headers, "Authorization", unproven(open))...))
		if again.Invoice != open.Invoice {
			t.Errorf("%v: another invoice", headers)
		}
	}
	// Whoever asks for another offer with an unpaid token gets that.
	s.wantPrice(50, "GET", "/basic/x", headerOffer, "tier-1", "Authorization", unproven(open))
	s.wantNoPrice(400, codeOfferUnknown, "GET", "/basic/x", headerOffer, "none", "Authorization", unproven(open))
	token := purchase{open, s.pay(open.Invoice)}
	s.want(200, "GET", "/basic/x", "Authorization", token.authorization(), headerOffer, "tier-1")
	book := s.app().books.Ledger()
	if err := book.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled, err := book.FindSettlement(t.Context(), token.preimage.Hash(), time.Time{})
	if err != nil || settled.AmountMsat != 20_000 {
		t.Errorf("recorded as %+v, %v", settled, err)
	}
}

// TestOffersOnThePage goes through the links as a browser without scripts does.
func TestOffersOnThePage(t *testing.T) {
	s := serve(t, "wallet play sandbox", offersSite)
	b := s.browser()
	first := b.wants(402, "/basic/x?a=b")
	if !strings.Contains(first.body, `href="?a=b&amp;l402_offer=long"`) || !strings.Contains(first.body, `href="?a=b&amp;l402_offer=base"`) {
		t.Fatal("the page has no links to the offers:", first.body)
	}
	chosen := b.wants(402, "/basic/x?a=b&l402_offer=long")
	page := pageOf(t, chosen)
	if page.invoice == pageOf(t, first).invoice || !strings.Contains(chosen.body, "30 sat") {
		t.Fatal("the page does not sell what was chosen")
	}
	if again := pageOf(t, b.wants(402, "/basic/x?a=b&l402_offer=long")); again.invoice != page.invoice {
		t.Error("loading the page again made another invoice")
	}
	a := b.do("POST", "/basic/x"+page.action, page.form("pay"))
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "./x?a=b" {
		t.Fatalf("paying: %d to %q: %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	for _, cookie := range a.Cookies() {
		if cookie.MaxAge < 699*24*3600 {
			t.Errorf("the cookie ends in %d s, before its token", cookie.MaxAge)
		}
	}
	b.wants(200, "/basic/x?a=b")
}

// TestEcashBuysOffers: ecash that paid for one offer never becomes another.
func TestEcashBuysOffers(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	s := serve(t, "wallet play sandbox\n"+cashuBlock(m, ""), offersSite)
	small, big := encodeEcash(t, m.Token(t, 8, 2)), encodeEcash(t, m.Token(t, 32, 16, 2))
	a := s.want(200, "GET", "/basic/x", "X-Cashu", big, headerOffer, "tier-1")
	if n := s.uses("/pro/x", a.Header.Get(headerToken)); n != 2 {
		t.Errorf("the rest of tier 1 is %d uses", n)
	}
	s.want(200, "GET", "/basic/x", "X-Cashu", small)
	a = s.do("GET", "/basic/x", "X-Cashu", small, headerOffer, "tier-1")
	if token := a.Header.Get(headerToken); token != "" && s.uses("/pro/x", token) > 0 {
		t.Error("ecash for the base opened the higher tier")
	}
}
