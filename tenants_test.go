package caddyl402

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl/lnurltest"
)

// tenantSite is a site whose requests name the payee in a header.
func tenantSite(wallet string) string {
	return `vars tenant {http.request.header.X-Tenant}
	l402 10 sat {
		wallet ` + wallet + `
		limit off
		prefetch off
	}
	test_upstream`
}

// wantNobody demands that a request gets 503 payee_unknown and nothing else.
func (s *server) wantNobody(path string, headers ...string) {
	s.t.Helper()
	before := upstreamHits.Load()
	a := s.want(http.StatusServiceUnavailable, "GET", path, headers...)
	if a.code() != codeNoPayee || a.Header.Get("Retry-After") == "" || a.Header.Get("WWW-Authenticate") != "" {
		s.t.Errorf("with %q: code %q, headers %v", headers, a.code(), a.Header)
	}
	if upstreamHits.Load() != before {
		s.t.Errorf("with %q the upstream was reached", headers)
	}
}

func TestTenantsAmongDeclaredWallets(t *testing.T) {
	s := serve(t, "wallet shop-a fake tenant-a\nwallet shop-b fake tenant-b", tenantSite("{http.vars.tenant}"))
	a, b := fake(t, "tenant-a"), fake(t, "tenant-b")
	forA, forB := s.buy("/x", "X-Tenant", "shop-a"), s.buy("/x", "X-Tenant", "shop-b")
	if a.creates.Load() != 1 || b.creates.Load() != 1 {
		t.Fatalf("%d and %d invoices were made", a.creates.Load(), b.creates.Load())
	}
	s.want(200, "GET", "/x", "X-Tenant", "shop-a", "Authorization", forA.authorization())
	s.want(200, "GET", "/x", "X-Tenant", "shop-b", "Authorization", forB.authorization())
	before := upstreamHits.Load()
	for _, method := range []string{"GET", "HEAD", "POST"} {
		s.want(402, method, "/x", "X-Tenant", "shop-b", "Authorization", forA.authorization())
		s.want(402, method, "/x", "X-Tenant", "shop-a", "Authorization", forB.authorization())
	}
	if upstreamHits.Load() != before {
		t.Error("a token of one tenant opened what another sells")
	}
	// Both tokens together open both, each by its own.
	both := []string{"Authorization", forA.authorization(), "Authorization", forB.authorization()}
	s.want(200, "GET", "/x", append(both, "X-Tenant", "shop-a")...)
	s.want(200, "GET", "/x", append(both, "X-Tenant", "shop-b")...)

	made := a.creates.Load() + b.creates.Load()
	for _, tenant := range []string{
		"", "unknown", "shop-A", "shop-a ", "shop-a/", "shop-a,shop-b", "{env.HOME}", "{http.vars.tenant}", "default", "..",
	} {
		for _, extra := range [][]string{nil, {"Authorization", forA.authorization()}, both} {
			if strings.TrimSpace(tenant) == "shop-a" {
				continue // header values lose blanks at their ends
			}
			s.wantNobody("/x", append([]string{"X-Tenant", tenant}, extra...)...)
		}
	}
	s.wantNobody("/x")
	s.wantNobody("/x", "Authorization", forA.authorization())
	if got := a.creates.Load() + b.creates.Load(); got != made {
		t.Errorf("unknown tenants caused %d invoices", got-made)
	}
	// The wallet of one tenant failing is no matter of the other's.
	a.fail(func(context.Context) error { return errDown })
	s.want(503, "GET", "/x", "X-Tenant", "shop-a")
	s.want(402, "GET", "/x", "X-Tenant", "shop-b")
	s.want(200, "GET", "/x", "X-Tenant", "shop-a", "Authorization", forA.authorization())
}

// lnurlWallet declares a wallet whose payee each request names, at a double.
func lnurlWallet(server *lnurltest.Server, more string) string {
	return "wallet ln lnurl " + server.URL("{http.vars.tenant}") + " {\n" +
		"network regtest\nallow_private\n" + more + "\n}"
}

func payServer(t *testing.T, o lnurltest.Options) *lnurltest.Server {
	o.Plain = true
	return lnurltest.New(t, wallets.Regtest, o)
}

// unproven is a credential without the preimage.
func unproven(c l402.Challenge) string {
	return "L402 " + base64.StdEncoding.EncodeToString(c.Macaroon)
}

// buyFrom buys from a tenant of a double.
func (s *server) buyFrom(payees *lnurltest.Server, tenant string) purchase {
	s.t.Helper()
	challenge := s.challenge(s.want(402, "GET", "/x", "X-Tenant", tenant))
	if user := payees.User(challenge.Invoice); user != tenant {
		s.t.Fatalf("%s would be paid instead of %s", user, tenant)
	}
	return purchase{challenge, payees.Pay(s.t, challenge.Invoice)}
}

func TestTenantsByAddress(t *testing.T) {
	payees := payServer(t, lnurltest.Options{})
	s := serve(t, lnurlWallet(payees, ""), tenantSite("ln"))
	alice, bob := s.buyFrom(payees, "alice"), s.buyFrom(payees, "bob")
	s.want(200, "GET", "/x", "X-Tenant", "alice", "Authorization", alice.authorization())
	s.want(200, "GET", "/x", "X-Tenant", "bob", "Authorization", bob.authorization())
	s.want(402, "GET", "/x", "X-Tenant", "bob", "Authorization", alice.authorization())
	s.want(402, "GET", "/x", "X-Tenant", "alice", "Authorization", bob.authorization())

	calls := len(payees.Calls())
	for _, tenant := range []string{
		"", "Alice", "alice/", "../alice", "..", "alice?amount=1", "alice#", "alice%2fbob", "alice@evil.example",
		" älice", "{env.HOME}", "alice bob", strings.Repeat("a", 1000),
	} {
		s.wantNobody("/x", "X-Tenant", tenant)
		s.wantNobody("/x", "X-Tenant", tenant, "Authorization", alice.authorization())
	}
	s.wantNobody("/x", "Authorization", alice.authorization())
	if n := len(payees.Calls()) - calls; n != 0 {
		t.Errorf("payees that cannot be caused %d calls", n)
	}
	// One whom the payees' server does not know gets nothing, and nobody else gets it for him.
	before := upstreamHits.Load()
	for _, headers := range [][]string{nil, {"Authorization", alice.authorization()}} {
		a := s.want(503, "GET", "/x", append(headers, "X-Tenant", "nobody")...)
		if a.code() != codeUnavailable {
			t.Errorf("code %q", a.code())
		}
	}
	if upstreamHits.Load() != before {
		t.Error("an unknown payee's goods were free")
	}
}

// TestTenantsByNameAndAddress has a route where requests name a wallet that they fill in, too.
func TestTenantsByNameAndAddress(t *testing.T) {
	payees := payServer(t, lnurltest.Options{})
	declared := "wallet shop fake named-tenant\n" +
		strings.Replace(lnurlWallet(payees, ""), "{http.vars.tenant}", "{http.request.header.X-User}", 1)
	s := serve(t, declared, tenantSite("{http.vars.tenant}"))
	shop := s.challenge(s.want(402, "GET", "/x", "X-Tenant", "shop"))
	preimage, err := fake(t, "named-tenant").inner.(wallets.Payer).Pay(t.Context(), shop.Invoice, 0)
	if err != nil {
		t.Fatal(err)
	}
	paid := purchase{shop, preimage}.authorization()
	s.want(200, "GET", "/x", "X-Tenant", "shop", "Authorization", paid)
	s.want(402, "GET", "/x", "X-Tenant", "ln", "X-User", "shop", "Authorization", paid)
	s.wantNobody("/x", "X-Tenant", "ln", "Authorization", paid)
}

// TestTenantPaymentsAreDetected shows tokens without a preimage.
func TestTenantPaymentsAreDetected(t *testing.T) {
	payees := payServer(t, lnurltest.Options{Verify: lnurltest.VerifyRandom})
	s := serve(t, lnurlWallet(payees, ""), tenantSite("ln"))
	alice := s.challenge(s.want(402, "GET", "/x", "X-Tenant", "alice"))
	bob := s.challenge(s.want(402, "GET", "/x", "X-Tenant", "bob"))
	again := s.challenge(s.want(402, "GET", "/x", "X-Tenant", "alice", "Authorization", unproven(alice)))
	if again.Invoice != alice.Invoice {
		t.Error("an unpaid token got another invoice")
	}
	payees.Pay(t, bob.Invoice)
	s.want(402, "GET", "/x", "X-Tenant", "alice", "Authorization", unproven(bob))
	s.want(402, "GET", "/x", "X-Tenant", "bob", "Authorization", unproven(alice))
	s.want(200, "GET", "/x", "X-Tenant", "bob", "Authorization", unproven(bob))
	s.want(402, "GET", "/x", "X-Tenant", "alice", "Authorization", unproven(alice))
}

func TestOpenTenantsAreBounded(t *testing.T) {
	payees := payServer(t, lnurltest.Options{})
	s := serve(t, lnurlWallet(payees, ""), tenantSite("ln"))
	first := s.buyFrom(payees, "first")
	open := s.app().tenants
	for i := range maxTenants + 20 {
		s.want(402, "GET", "/x", "X-Tenant", fmt.Sprintf("tenant-%d", i))
		if n := open.count(); n > maxTenants {
			t.Fatalf("%d wallets are open", n)
		}
	}
	if open.count() != maxTenants {
		t.Errorf("%d wallets are open, want %d", open.count(), maxTenants)
	}
	guest := filled(t, s, "first")
	if _, inUse := cashiers.References(cashier.ID(guest)); inUse {
		t.Error("the wallet that was used least recently is still open")
	}
	// Paid requests need no wallet, and the next unpaid one opens it again.
	s.want(200, "GET", "/x", "X-Tenant", "first", "Authorization", first.authorization())
	if _, inUse := cashiers.References(cashier.ID(guest)); inUse {
		t.Error("a paid request opened a wallet")
	}
	s.buyFrom(payees, "first")
	if refs, _ := cashiers.References(cashier.ID(guest)); refs != 1 || open.count() != maxTenants {
		t.Errorf("%d references, %d open", refs, open.count())
	}
}

// filled is the wallet of a tenant as the running configuration makes it.
func filled(t *testing.T, s *server, tenant string) wallets.Guest {
	t.Helper()
	guest, err := s.app().open["ln"].guest.(*lnurl.Payee).Fill(func(string) (string, error) { return tenant, nil })
	if err != nil {
		t.Fatal(err)
	}
	return guest
}

func TestLimitedClientsOpenNoWallets(t *testing.T) {
	payees := payServer(t, lnurltest.Options{})
	s := serve(t, lnurlWallet(payees, ""), strings.Replace(tenantSite("ln"), "limit off", "limit 3 1m", 1))
	for i := range 3 {
		s.want(402, "GET", "/x", "X-Tenant", fmt.Sprintf("tenant-%d", i))
	}
	calls := len(payees.Calls())
	for i := range 20 {
		s.want(429, "GET", "/x", "X-Tenant", fmt.Sprintf("other-%d", i))
	}
	if n := s.app().tenants.count(); n != 3 || len(payees.Calls()) != calls {
		t.Errorf("%d wallets are open after 3 invoices, and 429 cost %d calls", n, len(payees.Calls())-calls)
	}
}

func TestTenantsOutliveReloads(t *testing.T) {
	// With random verify addresses, only the wallet that made an invoice can look it up.
	payees := payServer(t, lnurltest.Options{Verify: lnurltest.VerifyRandom, Comment: 100})
	s := serve(t, lnurlWallet(payees, "comment one"), tenantSite("ln"))
	paid := s.buyFrom(payees, "alice")
	open := s.challenge(s.want(402, "GET", "/x", "X-Tenant", "alice"))
	before := s.app()
	id := cashier.ID(filled(t, s, "alice"))

	s.reload(s.config(lnurlWallet(payees, "comment two"), tenantSite("ln")))
	if s.app() == before {
		t.Fatal("nothing was reloaded")
	}
	if refs, _ := cashiers.References(id); refs != 1 {
		t.Fatalf("after the reload the wallet has %d references", refs)
	}
	s.want(200, "GET", "/x", "X-Tenant", "alice", "Authorization", paid.authorization())
	payees.Pay(t, open.Invoice)
	s.want(200, "GET", "/x", "X-Tenant", "alice", "Authorization", unproven(open))
	// The new settings apply.
	s.want(402, "GET", "/x", "X-Tenant", "alice")
	calls := payees.Calls()
	if got := calls[len(calls)-1].Query.Get("comment"); got != "two" {
		t.Errorf("after the reload the comment is %q", got)
	}

	// A request that outlives its configuration finds what is open and opens nothing.
	if _, err := before.tenants.cashier("ln", filled(t, s, "alice")); err != nil {
		t.Error(err)
	}
	if _, err := before.tenants.cashier("ln", filled(t, s, "carol")); err == nil {
		t.Error("an unloaded configuration opened a wallet")
	}

	// What the new configuration lends stays when the old one takes its part back.
	other := &tenancy{shared: s.app().tenants.shared, app: s.app()}
	if _, err := other.cashier("ln", filled(t, s, "alice")); err != nil {
		t.Error(err)
	}
	if known, _ := other.shared.open.Peek(id); len(known.hosts) != 2 {
		t.Errorf("%d configurations lend to the wallet, want 2", len(known.hosts))
	}
	other.leave()
	if known, _ := other.shared.open.Peek(id); len(known.hosts) != 1 || known.hosts[s.app().tenants] == nil {
		t.Error("leaving took back what another configuration lent")
	}

	// The payee stays the same when he is reached in another way.
	s.reload(s.config(lnurlWallet(payees, "proxy socks5://127.0.0.1:1"), tenantSite("ln")))
	if cashier.ID(filled(t, s, "alice")) == id {
		t.Error("the proxy makes no difference for the wallet")
	}
	s.want(200, "GET", "/x", "X-Tenant", "alice", "Authorization", paid.authorization())
	s.want(402, "GET", "/x", "X-Tenant", "bob", "Authorization", paid.authorization())

	// Without such a wallet all are closed.
	s.reload(s.config("wallet play sandbox", tenantSite("play")))
	if _, inUse := tenancies.References(tenanciesKey); inUse {
		t.Error("the tenants outlive the last configuration that has some")
	}
	if _, inUse := cashiers.References(id); inUse {
		t.Error("the wallet of a tenant is still open")
	}
	if s.app().tenants.count() != 0 {
		t.Error("tenants are counted that cannot be")
	}
}

func TestFailedReloadKeepsTenants(t *testing.T) {
	payees := payServer(t, lnurltest.Options{Verify: lnurltest.VerifyRandom})
	s := serve(t, lnurlWallet(payees, ""), tenantSite("ln"))
	open := s.challenge(s.want(402, "GET", "/x", "X-Tenant", "alice"))
	busy := s.config(lnurlWallet(payees, "comment x"), tenantSite("ln")) + "http://127.0.0.1:1 {\n\tbind 192.0.2.77\n}\n"
	if err := s.tryReload(busy); err == nil {
		t.Fatal("a site on an address of another machine loaded")
	}
	payees.Pay(t, open.Invoice)
	s.want(200, "GET", "/x", "X-Tenant", "alice", "Authorization", unproven(open))
	s.want(402, "GET", "/x", "X-Tenant", "bob")
	if refs, _ := tenancies.References(tenanciesKey); refs != 1 {
		t.Errorf("%d configurations hold the tenants", refs)
	}
}

func TestTenantConfigurationsThatAreRefused(t *testing.T) {
	s := serve(t, "wallet play sandbox", "respond ok")
	public := strings.Replace(s.config("wallet play sandbox\nwallet other fake money", tenantSite("{http.vars.tenant}")),
		"bind 127.0.0.1", "", 1)
	for text, says := range map[string]string{
		public: "sandbox",
		s.config("", tenantSite("{http.vars.tenant}")):                                                     "none is declared",
		s.config("wallet ln lnurl {http.vars.tenant} {\nallow_private\n}", tenantSite("ln")):               "allow_private",
		s.config("wallet ln lnurl shop-{http.vars.tenant}", tenantSite("ln")):                              "placeholder",
		s.config("wallet ln lnurl http://x.example/{http.vars.tenant}", tenantSite("ln")):                  "plain http",
		s.config("wallet ln lnurl {http.vars.tenant}@127.0.0.1", tenantSite("ln")):                         "allow_private",
		s.config("wallet ln lnurl {http.vars.tenant}@x.example", "l402 1 sat {\nwallet x\n}\nrespond ok"):  "not declared",
		s.config("wallet ln lnurl {http.vars.tenant}@x.example {\nnetwork moon\n}", tenantSite("ln")):      "moon",
		s.config("wallet ln lnurl {http.vars.tenant}@x.example {\nproxy http://x\n}", tenantSite("ln")):    "proxy",
		s.config("wallet ln lnurl {http.vars.tenant}@x.example {\nca /not/there.pem\n}", tenantSite("ln")): "ca",
	} {
		if err := s.tryReload(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want something about %q, of %s", err, says, text)
		}
	}
}
