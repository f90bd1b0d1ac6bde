package caddyl402

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// wantPrice demands that a request is charged a price in satoshi.
func (s *server) wantPrice(sats uint64, method, path string, headers ...string) {
	s.t.Helper()
	a := s.want(http.StatusPaymentRequired, method, path, headers...)
	inv, err := wallets.DecodeInvoice(s.challenge(a).Invoice)
	if err != nil {
		s.t.Fatal(err)
	}
	if inv.Amount != lnwire.MilliSatoshi(sats*1000) {
		s.t.Errorf("%s %s %q costs %s, want %d sat", method, path, headers, pricing.Format(inv.Amount), sats)
	}
}

// wantNoPrice demands that a request is refused for want of a price and reaches nobody.
func (s *server) wantNoPrice(status int, code, method, path string, headers ...string) {
	s.t.Helper()
	before := upstreamHits.Load()
	a := s.want(status, method, path, headers...)
	if a.code() != code && method != "HEAD" || a.Header.Get("WWW-Authenticate") != "" || upstreamHits.Load() != before {
		s.t.Errorf("%s %s %q: code %q, headers %v", method, path, headers, a.code(), a.Header)
	}
}

const tableSite = `@signed header X-Signed yes
	l402 10 sat {
		limit off
		price 50 sat path /api/big/*
		price 100 sat header X-Model gpt-*
		price 3 sat @signed
		price 4 sat /small/*
		price 2 sat method GET
	}
	test_upstream`

func TestPriceTable(t *testing.T) {
	s := serve(t, "wallet play sandbox", tableSite)
	for _, tc := range []struct {
		want         uint64
		method, path string
		headers      []string
	}{
		{2, "GET", "/x", nil},
		{2, "HEAD", "/x", nil},
		{10, "POST", "/x", nil},
		{10, "DELETE", "/x", nil},
		{50, "GET", "/api/big/x", nil},
		{50, "POST", "/api/big/x", []string{"X-Model", "gpt-4", "X-Signed", "yes"}},
		{100, "POST", "/x", []string{"X-Model", "gpt-4", "X-Signed", "yes"}},
		{3, "POST", "/x", []string{"X-Signed", "yes"}},
		{3, "POST", "/x", []string{"X-Model", "llama", "X-Signed", "yes"}},
		{4, "POST", "/small/x", nil},
		// However a client writes them.
		{50, "GET", "/API/Big/x", nil},
		{50, "GET", "/api//big/x", nil},
		{50, "GET", "/api/./big/x", nil},
		{50, "GET", "/x/../api/big/x", nil},
		{50, "GET", "/api/%62ig/x", nil},
		{50, "GET", "/api%2Fbig/x", nil},
		{50, "GET", "/x/%2e%2e/api/big/x", nil},
		{100, "POST", "/x", []string{"X-Model", "cheap", "X-Model", "gpt-4"}},
		{2, "get", "/x", nil},
		{10, "post", "/x", nil},
	} {
		s.wantPrice(tc.want, tc.method, tc.path, tc.headers...)
	}
	for _, path := range []string{
		"/api/%2562ig/x", "/api%255Cbig/x", "/api%5Cbig/x", "/api/big%3Ba=b/x", "/api;x/big/x", "/api/big%252Fx", "/x/%252e%252e/api/big%5Cx",
	} {
		s.wantNoPrice(http.StatusBadRequest, codeUnsellable, "GET", path)
	}
	// Strange paths that mean nothing dearer are for sale.
	s.wantPrice(2, "GET", "/100%25")
	s.wantPrice(2, "GET", "/a;b=c")
	s.wantPrice(50, "GET", "/api/big/100%25")
}

// TestPriceTableBindsTokens takes each token to all other rows.
func TestPriceTableBindsTokens(t *testing.T) {
	s := serve(t, "wallet play sandbox", tableSite)
	type product struct {
		method, path string
		headers      []string
	}
	products := []product{
		{"GET", "/api/big/x", nil},
		{"POST", "/x", []string{"X-Model", "gpt-4"}},
		{"POST", "/x", []string{"X-Signed", "yes"}},
		{"POST", "/small/x", nil},
		{"GET", "/x", nil},
		{"POST", "/x", nil},
	}
	for i, bought := range products {
		challenge := s.challenge(s.want(402, bought.method, bought.path, bought.headers...))
		credential := purchase{challenge, s.pay(challenge.Invoice)}.authorization()
		for k, other := range products {
			before := upstreamHits.Load()
			a := s.do(other.method, other.path, append([]string{"Authorization", credential}, other.headers...)...)
			switch {
			case i == k && a.StatusCode != 200:
				t.Errorf("%v: its own token gets %d %s", other, a.StatusCode, a.body)
			case i != k && (a.StatusCode != 402 || a.code() != "wrong_request" || upstreamHits.Load() != before):
				t.Errorf("a token for %v at %v gets %d %s", bought, other, a.StatusCode, a.code())
			}
		}
	}
	// The GET row's token opens HEAD and what matches the same row.
	token := s.buy("/x").authorization()
	s.want(200, "HEAD", "/other", "Authorization", token)
	s.want(200, "GET", "/other?q=1", "Authorization", token)
	for _, path := range []string{"/api//big/x", "/API/BIG/x", "/api/%62ig/x", "/x/../api/big/x"} {
		s.want(402, "GET", path, "Authorization", token)
	}
	s.wantNoPrice(400, codeUnsellable, "GET", "/api%5Cbig/x", "Authorization", token)
	s.want(402, "GET", "/x", "Authorization", token, "X-Model", "gpt-4")
	s.want(402, "POST", "/x", "Authorization", token)
	s.want(402, "PoSt", "/x", "Authorization", token)
}

func TestPriceTableForgedBindings(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /plain/* 1 sat {\n\tservice api\n\tlimit off\n}\n"+
		"l402 /table/* 10 sat {\n\tservice table\n\tlimit off\n\tprice 50 sat path /table/big/*\n}\ntest_upstream")
	cheap, dear := s.buy("/table/x"), s.buy("/table/big/x")
	caveats := func(p purchase) map[string]string {
		d, err := l402.Describe(p.Macaroon)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, c := range d.Caveats {
			name, value, _ := strings.Cut(c.Text, "=")
			found[name] = value
		}
		return found
	}
	if got := caveats(cheap)["table_price_msat"]; got != "10000" {
		t.Errorf("the token says that it cost %q", got)
	}
	for _, added := range [][]l402.Caveat{
		{{Condition: "table_request", Value: caveats(dear)["table_request"]}},
		{{Condition: "table_price_msat", Value: "50000"}},
		{{Condition: "table_request", Value: caveats(dear)["table_request"]}, {Condition: "table_price_msat", Value: "50000"}},
	} {
		forged, err := l402.Attenuate(cheap.Macaroon, added...)
		if err != nil {
			t.Fatal(err)
		}
		s.wantCode("conflicting_caveats", "/table/big/x", "Authorization", l402.FormatAuthorization(forged, cheap.preimage))
	}
}

func TestPriceTableIgnoresMethodOverrides(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /x/* 2 sat {\n\tprice 50 sat method POST\n}\n"+
		"l402 /fixed/* 2 sat\n"+
		`respond "override={http.request.header.X-HTTP-Method-Override}{http.request.header.X-Method-Override}{http.request.header.X-HTTP-Method}"`)
	token, fixed := s.buy("/x/x").authorization(), s.buy("/fixed/x").authorization()
	for _, name := range []string{"X-HTTP-Method-Override", "x-method-override", "X-Http-Method"} {
		if a := s.want(200, "GET", "/x/x", "Authorization", token, name, "POST"); a.body != "override=" {
			t.Errorf("the upstream saw %s", a.body)
		}
		if a := s.want(200, "GET", "/fixed/x", "Authorization", fixed, name, "POST"); a.body != "override=POST" {
			t.Errorf("without a table the upstream saw %s", a.body)
		}
	}
}

// TestPriceChangesHonourTokens reloads with another price between challenge, payment and use.
func TestPriceChangesHonourTokens(t *testing.T) {
	site := func(price string) string {
		return "l402 10 sat {\n\tlimit off\n\tprice " + price + " sat path /big/*\n}\ntest_upstream"
	}
	s := serve(t, "wallet play fake changes", site("50"))
	open := s.challenge(s.want(402, "GET", "/big/x"))
	paid := s.buy("/big/x")
	s.reload(s.config("wallet play fake changes", site("500")))
	s.wantPrice(500, "GET", "/big/x")
	s.want(200, "GET", "/big/x", "Authorization", paid.authorization())
	// The open challenge is offered again at its price, also after the process forgot it.
	again := s.challenge(s.wantCode(codePaymentPending, "/big/x", "Authorization", unproven(open)))
	if again.Invoice != open.Invoice {
		t.Error("the open challenge was replaced")
	}
	sales.Purge()
	late := purchase{open, s.pay(open.Invoice)}
	s.want(200, "GET", "/big/y", "Authorization", late.authorization())
	book := s.app().books.Ledger()
	if err := book.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled, err := book.FindSettlement(t.Context(), late.preimage.Hash(), time.Time{})
	if err != nil || settled.AmountMsat != 50_000 {
		t.Errorf("recorded as %+v, %v", settled, err)
	}
}

const filledSite = `vars /a/* sat 5
	vars /b/* sat 7
	vars /evil/* sat "1 "
	vars /dear/* sat 1001
	l402 /own/* {header.X-Sats} sat {
		limit off
		min 2 sat
		max 1000 sat
	}
	l402 /q/* {query.sat} sat {
		limit off
		min 2 sat
		max 1000 sat
	}
	@filled not path /own/* /q/*
	l402 @filled {vars.sat} sat {
		limit off
		min 1 sat
		max 1000 sat
	}
	test_upstream`

func TestPriceFromPlaceholder(t *testing.T) {
	s := serve(t, "wallet play fake filled", filledSite)
	s.wantPrice(5, "GET", "/a/x")
	s.wantPrice(7, "GET", "/b/x")
	for _, path := range []string{"/none", "/evil/x", "/dear/x"} {
		s.wantNoPrice(http.StatusServiceUnavailable, codePriceUnknown, "GET", path)
		s.wantNoPrice(http.StatusServiceUnavailable, codePriceUnknown, "HEAD", path)
	}
	a, b := s.buy("/a/x").authorization(), s.buy("/b/x").authorization()
	s.want(200, "GET", "/a/y", "Authorization", a)
	s.want(200, "GET", "/b/y", "Authorization", b)
	s.wantCode("wrong_request", "/b/x", "Authorization", a)
	s.wantCode("wrong_request", "/a/x", "Authorization", b)
	s.wantNoPrice(503, codePriceUnknown, "GET", "/none", "Authorization", a)
}

func TestPriceNamedByTheClient(t *testing.T) {
	s := serve(t, "wallet play fake named", filledSite)
	s.wantPrice(2, "GET", "/own/x", "X-Sats", "2")
	s.wantPrice(1000, "GET", "/own/x", "X-Sats", "1000.000")
	s.wantPrice(9, "GET", "/q/x?sat=9")
	s.wantPrice(9, "GET", "/q/x?sat=%39")
	made := fake(t, "named").creates.Load()
	two, nine := s.buy("/own/x", "X-Sats", "2").authorization(), s.buy("/own/x", "X-Sats", "9").authorization()
	if got := fake(t, "named").creates.Load() - made; got != 2 {
		t.Errorf("%d invoices were made for two prices", got)
	}
	s.want(200, "GET", "/own/x", "X-Sats", "2", "Authorization", two)
	s.want(200, "GET", "/own/x", "X-Sats", "2.0", "Authorization", two)
	s.want(402, "GET", "/own/x", "X-Sats", "9", "Authorization", two)
	s.want(402, "GET", "/own/x", "X-Sats", "2", "Authorization", nine)
	s.want(200, "GET", "/own/x", "X-Sats", "9", "Authorization", two, "Authorization", nine)
	for _, value := range []string{
		"", "0", "1", "1.999", "1000.001", "1001", "-5", "+5", "5e2", "1E2", "0x10", "NaN", "Inf", "∞", "５", "٥", "1_0", "1,0", "5 sat", "5;",
		".5", "5.", "1/2", "true", "{env.HOME}", "{http.vars.sat}", "99999999999999999999999", "18446744073709551617", "9223372036854775808",
		"2.0005", strings.Repeat("9", 5000), "0" + strings.Repeat("0", 40) + "5",
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			s.wantNoPrice(http.StatusBadRequest, codePriceRefused, method, "/own/x", "X-Sats", value, "Authorization", two)
		}
	}
	s.wantNoPrice(400, codePriceRefused, "GET", "/own/x")
	s.wantNoPrice(400, codePriceRefused, "GET", "/own/x", "X-Sats", "5", "X-Sats", "6")
	s.wantNoPrice(400, codePriceRefused, "GET", "/q/x?sat=5&sat=6")
	s.wantNoPrice(400, codePriceRefused, "GET", "/q/x?SAT=5")
}

// TestPricesWithTenants binds to price and payee.
func TestPricesWithTenants(t *testing.T) {
	s := serve(t, "wallet shop-a fake pt-a\nwallet shop-b fake pt-b", `vars tenant {http.request.header.X-Tenant}
	l402 10 sat {
		wallet {http.vars.tenant}
		limit off
		price 50 sat path /big/*
	}
	test_upstream`)
	for _, tenant := range []string{"shop-a", "shop-b"} {
		for _, path := range []string{"/big/x", "/x"} {
			token := s.buy(path, "X-Tenant", tenant).authorization()
			for _, at := range []string{"shop-a", "shop-b"} {
				for _, other := range []string{"/big/x", "/x"} {
					want := 402
					if at == tenant && other == path {
						want = 200
					}
					s.want(want, "GET", other, "X-Tenant", at, "Authorization", token)
				}
			}
		}
	}
}

func TestPricesInDryRun(t *testing.T) {
	s := serve(t, "wallet play sandbox", strings.ReplaceAll(filledSite, "limit off", "limit off\n\t\tdry_run"))
	for path, want := range map[string]string{
		"/a/x": codePaymentRequired, "/none": codePriceUnknown, "/own/x": codePriceRefused, "/q/x?sat=5": codePaymentRequired,
	} {
		if got := s.want(200, "GET", path).Header.Get(headerDryRun); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// TestMatcherAndPricedTokens: the matcher knows no route, so a token that is bound to a price
// matches nothing.
func TestMatcherAndPricedTokens(t *testing.T) {
	s := serve(t, "wallet play sandbox", `@payer l402 table
	header @payer X-Payer yes
	l402 10 sat {
		service table
		price 50 sat path /big/*
	}
	test_upstream`)
	token := s.buy("/x").authorization()
	if a := s.want(200, "GET", "/x", "Authorization", token); a.Header.Get("X-Payer") != "" {
		t.Error("the matcher took a token for a part of the service for one of the service")
	}
}

func TestPricesAreListed(t *testing.T) {
	s := serve(t, "wallet play sandbox", strings.Replace(tableSite, "l402 10 sat {", "l402 10 sat {\n\tservice table", 1))
	for path, want := range map[string]string{
		"/.well-known/l402.json":     `"min_price_msat": 2000`,
		"/.well-known/l402-services": `"max_amount_msat": 100000`,
	} {
		if a := s.want(200, "GET", path); !strings.Contains(a.body, want) || !strings.Contains(a.body, `"dynamic"`) ||
			strings.Contains(a.body, `"price_msat"`) {
			t.Errorf("%s lacks %s: %s", path, want, a.body)
		}
	}
}

// TestPendingPriceAfterRestart offers an open invoice again that only the wallet knows.
func TestPendingPriceAfterRestart(t *testing.T) {
	s := serve(t, "wallet play sandbox", tableSite)
	open := s.challenge(s.want(402, "GET", "/api/big/x"))
	sales.Purge()
	again := s.challenge(s.wantCode(codePaymentPending, "/api/big/x", "Authorization", unproven(open)))
	if again.Invoice != open.Invoice {
		t.Error("another invoice is offered")
	}
}
