package caddyl402

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-l402/caddy-l402/internal/purses"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl/lnurltest"
)

// fund gives a purse of the server ecash.
func (s *cashuSite) fund(name string, amounts ...uint64) {
	s.t.Helper()
	p, err := s.app().till.house.Purse(s.t.Context(), purses.Key{Mint: s.mint.URL, Unit: s.app().till.unit, Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := p.Receive(s.t.Context(), s.mint.Token(s.t, amounts...), purse.Terms{}); err != nil {
		s.t.Fatal(err)
	}
}

// adminJSON calls the admin API, which must say 200, and reads its answer.
func adminJSON[T any](t *testing.T, method, target, body string) (out T) {
	t.Helper()
	status, text := admin(t, method, target, body)
	if status != 200 {
		t.Fatalf("%s %s: %d %s", method, target, status, text)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// redeemDue does one round of the loop.
func (s *cashuSite) redeemDue() {
	s.t.Helper()
	app := s.app()
	for _, p := range app.allPurses() {
		if job, err := app.redeemJob(&p); err == nil {
			if err := app.redeemPurse(s.t.Context(), app.logger, job); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// paidOut is what the mint paid over Lightning.
func (s *cashuSite) paidOut() (sum uint64) {
	for _, amounts := range s.mint.Payments() {
		if len(amounts) != 1 {
			s.t.Errorf("an invoice was paid %d times", len(amounts))
		}
		sum += amounts[0]
	}
	return sum
}

// ecashMetric reads a metric of a mint.
func ecashMetric(t *testing.T, name, mint string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := metrics.register(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "caddy_l402_cashu_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "mint" && label.GetValue() == mint {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	t.Fatalf("there is no %s of %s", name, mint)
	return 0
}

type pursesAnswer struct {
	Purses []struct {
		balanceFacts
		Paid  []struct{ Amount, Fee uint64 }
		Found uint64
	}
}

func TestEcashIsRedeemedIntoAWallet(t *testing.T) {
	s := serveCashu(t, minttest.Options{FeeReserve: 3, LightningFee: 1}, "redeem_to play {\nabove 100 sat\nmax_fee 10 sat\n}", "l402 10 sat")
	s.fund("", 64, 32)
	s.redeemDue()
	if s.paidOut() != 0 {
		t.Fatal("redeemed below the threshold")
	}
	s.fund("", 32)
	s.redeemDue()
	if got := s.paidOut(); got != 118 {
		t.Errorf("%d paid", got)
	}
	s.conserved(9)
	list := adminJSON[pursesAnswer](t, "GET", "/l402/cashu/balance", "")
	if len(list.Purses) != 1 {
		t.Fatalf("%+v", list)
	}
	p := list.Purses[0]
	if p.Available != 9 || p.To != "play" || p.NotRedeemed != "" || p.Redeem == nil || p.Redeem.Amount != 118 || p.Redeem.Fees != 1 ||
		p.Redeem.Count != 1 || p.Redeem.Last[0].Why != "above" || p.Mint != s.mint.URL || p.Unit != "sat" {
		t.Errorf("%+v, %+v", p, p.Redeem)
	}
	for name, want := range map[string]float64{
		"redeemed_total": 118, "redemption_fees_total": 1, "redemptions_total": 1, "balance": 9, "pending": 0, "value_at_risk": 0, "disputed": 0,
	} {
		if got := ecashMetric(t, name, s.mint.URL); got != want {
			t.Errorf("%s is %v, not %v", name, got, want)
		}
	}
}

func TestEcashIsRedeemedWhenAsked(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "redeem_to play {\nmin 20 sat\n}", "l402 10 sat")
	s.fund("", 16)
	got := adminJSON[pursesAnswer](t, "POST", "/l402/cashu/redeem", `{}`)
	if len(got.Purses) != 1 || len(got.Purses[0].Paid) != 0 || !strings.Contains(got.Purses[0].Problem, "too little to redeem") {
		t.Errorf("%+v", got)
	}
	s.fund("", 32)
	got = adminJSON[pursesAnswer](t, "POST", "/l402/cashu/redeem", `{"mint":"`+s.mint.URL+`/","unit":"sat","name":""}`)
	if len(got.Purses[0].Paid) != 1 || got.Purses[0].Paid[0].Amount != 37 || got.Purses[0].Problem != "" || s.paidOut() != 37 {
		t.Errorf("%+v", got)
	}
	s.conserved(11)
	s.mint.SetPayment(minttest.Stall)
	s.fund("", 64)
	got = adminJSON[pursesAnswer](t, "POST", "/l402/cashu/redeem", `{}`)
	if list := adminJSON[pursesAnswer](t, "GET", "/l402/cashu/balance", ""); list.Purses[0].Redeem.Current == nil || list.Purses[0].Pending == 0 {
		t.Errorf("%+v, %+v", got, list)
	}
	s.mint.Settle(t, false)
}

// Each tenant's ecash goes to the tenant, and nowhere else.
func TestTenantsEcashGoesToThem(t *testing.T) {
	payees := payServer(t, lnurltest.Options{})
	m := minttest.New(t, minttest.Options{})
	s := &cashuSite{serve(t, lnurlWallet(payees, "")+"\n"+cashuBlock(m, "redeem_to ln {\nabove 20 sat\nmax_fee 0\nmin 1 sat\n}"), tenantSite("ln")), m}
	for _, tenant := range []string{"alice", "bob", "alice", "alice"} {
		s.want(200, "GET", "/x", "X-Tenant", tenant, "X-Cashu", s.token(8, 2))
	}
	s.fund("", 64)
	s.fund("nobody at all", 64)
	s.redeemDue()
	list := adminJSON[pursesAnswer](t, "GET", "/l402/cashu/balance", "")
	if len(list.Purses) != 4 {
		t.Fatalf("%+v", list)
	}
	for _, p := range list.Purses {
		switch {
		case p.Name == "": // taken when nobody was named
			if p.Available != 64 || !strings.Contains(p.NotRedeemed, "did not name each tenant") {
				t.Errorf("%+v", p)
			}
		case strings.HasSuffix(p.Name, "/alice"):
			if p.Available != 0 || p.To != p.Name || p.Redeem == nil || p.Redeem.Amount != 30 || p.Redeem.Last[0].Target != payees.URL("alice") {
				t.Errorf("%+v %+v", p, p.Redeem)
			}
		case strings.HasSuffix(p.Name, "/bob"):
			if p.Available != 10 || p.Redeem != nil {
				t.Errorf("%+v %+v", p, p.Redeem)
			}
		}
	}
	if s.paidOut() != 30 {
		t.Errorf("%d paid", s.paidOut())
	}
	got := adminJSON[pursesAnswer](t, "POST", "/l402/cashu/redeem", `{"name":"`+payees.URL("bob")+`"}`)
	if len(got.Purses) != 1 || len(got.Purses[0].Paid) != 1 || got.Purses[0].Paid[0].Amount != 10 || s.paidOut() != 40 {
		t.Errorf("%+v", got)
	}
	// Who is no payee is not paid, and nothing is taken.
	for _, tenant := range []string{"", "../bob", "{env.HOME}", "Bob"} {
		tok := s.mint.Token(t, 8, 2)
		s.want(503, "GET", "/x", "X-Tenant", tenant, "X-Cashu", encodeEcash(t, tok))
		if s.mint.Spent(t, tok.Proofs[0]) {
			t.Errorf("ecash for %q was taken", tenant)
		}
	}
}

// The ecash of tenants who are named by wallets goes to their wallets.
func TestEcashOfTenantsWithWallets(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "redeem_to {http.vars.tenant} {\nabove 5 sat\nmax_fee 0\nmin 1 sat\n}", "vars tenant {http.request.header.X-Tenant}\nl402 10 sat")
	s.want(200, "GET", "/x", "X-Tenant", "play", "X-Cashu", s.token(8, 2))
	s.want(503, "GET", "/x", "X-Tenant", "other", "X-Cashu", s.token(8, 2))
	s.want(503, "GET", "/x", "X-Tenant", "nobody@127.0.0.1", "X-Cashu", s.token(8, 2))
	s.redeemDue()
	list := adminJSON[pursesAnswer](t, "GET", "/l402/cashu/balance", "")
	for _, p := range list.Purses {
		if p.Name == "play" && (p.To != "play" || p.Redeem == nil || p.Redeem.Amount != 10) || p.Name != "play" && p.Redeem != nil && p.Redeem.Amount > 0 {
			t.Errorf("%+v %+v", p, p.Redeem)
		}
	}
	if s.paidOut() != 10 {
		t.Errorf("%d paid", s.paidOut())
	}
}

// With one payee for all, what belongs to tenants stays where it is.
func TestEcashOfTenantsIsNotTheOperators(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "redeem_to play {\nabove 100 sat\n}", "l402 32 sat")
	s.fund("tenant", 128)
	s.redeemDue()
	if s.paidOut() != 0 {
		t.Error("a tenant's ecash was paid to the operator")
	}
	got := adminJSON[pursesAnswer](t, "POST", "/l402/cashu/redeem", `{"name":"tenant"}`)
	if len(got.Purses) != 1 || !strings.Contains(got.Purses[0].Problem, "it is a tenant's") || s.paidOut() != 0 {
		t.Errorf("%+v", got)
	}
}

func TestEcashIsSent(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 10 sat")
	s.fund("", 64)
	type sent struct {
		Token  string
		Amount uint64
		Unit   string
	}
	body := `{"amount":20,"key":"one"}`
	first := adminJSON[sent](t, "POST", "/l402/cashu/send", body)
	if again := adminJSON[sent](t, "POST", "/l402/cashu/send", body); again != first || first.Amount != 20 || first.Unit != "sat" {
		t.Errorf("%+v, %+v", first, again)
	}
	tok, err := token.Parse(first.Token)
	if err != nil {
		t.Fatal(err)
	}
	s.conserved(44, tok)
	for _, tc := range []struct {
		method, body string
		status       int
		says         string
	}{
		{"GET", body, 405, "use POST"},
		{"POST", `{"amount":0,"key":"k"}`, 400, "amount"},
		{"POST", `{"amount":5}`, 400, "key"},
		{"POST", `{"amount":5,"key":"` + strings.Repeat("x", 129) + `"}`, 400, "key"},
		{"POST", `{"amount":-5,"key":"k"}`, 400, "JSON"},
		{"POST", `{"amount":5,"key":"k","to":"me"}`, 400, "JSON"},
		{"POST", `{"amount":21,"key":"one"}`, 409, "20 sat were sent under it before"},
		{"POST", `{"amount":45,"key":"k"}`, 409, "the purse has 44 sat to send"},
		{"POST", `{"amount":5,"key":"k","unit":"msat"}`, 404, "no such purse"},
		{"POST", `{"amount":5,"key":"k","mint":"https://elsewhere.example"}`, 404, "no such purse"},
		{"POST", `{"amount":5,"key":"k","wallet":"play"}`, 404, "no such purse"},
	} {
		if status, text := admin(t, tc.method, "/l402/cashu/send", tc.body); status != tc.status || !strings.Contains(text, tc.says) {
			t.Errorf("%s: %d %s", tc.body, status, text)
		}
	}
	s.fund("tenant", 64)
	if status, text := admin(t, "POST", "/l402/cashu/send", `{"amount":5,"key":"two"}`); status != 409 || !strings.Contains(text, "2 purses are meant") {
		t.Errorf("%d %s", status, text)
	}
	other, err := token.Parse(adminJSON[sent](t, "POST", "/l402/cashu/send", `{"amount":5,"key":"two","name":"tenant"}`).Token)
	if err != nil {
		t.Fatal(err)
	}
	s.conserved(64+44-5, tok, other)
}

func TestEcashIsRestored(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "seed \"half depart obvious quality work element tank gorilla view sugar picture humble\"", "l402 10 sat")
	s.fund("", 64, 8)
	s.fund("anna", 16)
	found := func(body string, want ...uint64) {
		t.Helper()
		got := adminJSON[pursesAnswer](t, "POST", "/l402/cashu/restore", body)
		for i := range max(len(want), len(got.Purses)) {
			if i >= len(want) || i >= len(got.Purses) || got.Purses[i].Found != want[i] {
				t.Fatalf("got %+v", got)
			}
		}
	}
	found(`{}`, 0, 0)
	config := s.config("wallet play sandbox\n"+cashuBlock(s.mint, "seed \"half depart obvious quality work element tank gorilla view sugar picture humble\""), "l402 10 sat\ntest_upstream")
	s.reload(strings.ReplaceAll(config, s.storage, t.TempDir()))
	s.house()
	found(`{}`, 72)
	found(`{"name":"anna"}`, 16)
	found(`{}`, 0, 0)
	s.conserved(88)
	if status, text := admin(t, "POST", "/l402/cashu/restore", `{"mint":"https://elsewhere.example"}`); status != 404 {
		t.Errorf("%d %s", status, text)
	}
	if status, text := admin(t, "POST", "/l402/cashu/seed", `{"of":"payments"}`); status != 409 || !strings.Contains(text, "in the configuration") {
		t.Errorf("%d %s", status, text)
	}
}

func TestSeedIsShownOnce(t *testing.T) {
	s := serveCashu(t, minttest.Options{}, "", "l402 10 sat")
	words, err := s.house().Seed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := adminJSON[struct{ Seed string }](t, "POST", "/l402/cashu/seed", `{"of":"payments"}`)
	if got.Seed != words {
		t.Error("another seed")
	}
	s.reload(s.config("wallet play sandbox\nwallet_timeout 5s\n"+cashuBlock(s.mint, ""), "l402 10 sat\ntest_upstream"))
	s.house()
	status, text := admin(t, "POST", "/l402/cashu/seed", `{"of":"payments"}`)
	if status != 409 || !strings.Contains(text, "shown once only") || strings.Contains(text, words[:12]) {
		t.Errorf("%d %s", status, text)
	}
	for body, want := range map[string]int{`{"of":"wallets"}`: 404, `{"of":"x"}`: 400, `{}`: 400, `x`: 400} {
		if status, text := admin(t, "POST", "/l402/cashu/seed", body); status != want {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if status, _ := admin(t, "GET", "/l402/cashu/seed", ""); status != 405 {
		t.Errorf("GET is %d", status)
	}
}

func TestNoEcashToAdminister(t *testing.T) {
	serve(t, "wallet play sandbox", "l402 10 sat\ntest_upstream")
	if list := adminJSON[pursesAnswer](t, "GET", "/l402/cashu/balance", ""); len(list.Purses) != 0 {
		t.Errorf("%+v", list)
	}
	for path, want := range map[string]int{"send": 404, "redeem": 409, "restore": 404, "seed": 404} {
		body := `{}`
		switch path {
		case "send":
			body = `{"amount":1,"key":"k"}`
		case "seed":
			body = `{"of":"payments"}`
		}
		if status, text := admin(t, "POST", "/l402/cashu/"+path, body); status != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

// What a wallet at a mint earned is shown, sent, restored and redeemed like what payers sent.
func TestEcashOfWallets(t *testing.T) {
	m, other := minttest.New(t, minttest.Options{}), minttest.New(t, minttest.Options{})
	s := &cashuSite{serve(t, "wallet play sandbox\nwallet shop cashu "+other.URL+" {\nnetwork regtest\n}\ndefault_wallet play\n"+
		cashuBlock(m, "redeem_to play {\nabove 100 sat\nmax_fee 0\n}"), "l402 10 sat\ntest_upstream"), m}
	s.house()
	wallet, ok := s.app().open["shop"].cashier.Wallet().(purseWallet)
	if !ok {
		t.Fatal("the wallet shows no purse")
	}
	p, err := wallet.Purse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Receive(t.Context(), other.Token(t, 128, 64), purse.Terms{}); err != nil {
		t.Fatal(err)
	}
	find := func() *balanceFacts {
		t.Helper()
		for _, facts := range adminJSON[pursesAnswer](t, "GET", "/l402/cashu/balance", "").Purses {
			if facts.Wallet == "shop" {
				return &facts.balanceFacts
			}
		}
		t.Fatal("the wallet's purse is not listed")
		return nil
	}
	if facts := find(); facts.Available != 192 || facts.To != "play" || facts.Mint != other.URL {
		t.Errorf("%+v", facts)
	}
	sent := adminJSON[struct{ Token string }](t, "POST", "/l402/cashu/send", `{"amount":64,"key":"k","wallet":"shop"}`)
	if tok, err := token.Parse(sent.Token); err != nil || !token.SameMint(tok.Mint, other.URL) {
		t.Errorf("%+v, %v", tok, err)
	}
	s.redeemDue()
	if facts := find(); facts.Available != 0 || facts.Redeem == nil || facts.Redeem.Amount != 128 {
		t.Errorf("%+v %+v", facts, facts.Redeem)
	}
	if got := other.Payments(); len(got) != 1 || len(m.Payments()) != 0 {
		t.Errorf("paid %v", got)
	}
	got := adminJSON[pursesAnswer](t, "POST", "/l402/cashu/restore", `{"wallet":"shop"}`)
	if len(got.Purses) != 1 || got.Purses[0].Found != 0 {
		t.Errorf("%+v", got)
	}
	seed := adminJSON[struct{ Seed string }](t, "POST", "/l402/cashu/seed", `{"of":"wallets"}`)
	if len(strings.Fields(seed.Seed)) != 12 {
		t.Error("no seed of 12 words")
	}
	if payments := adminJSON[struct{ Seed string }](t, "POST", "/l402/cashu/seed", `{"of":"payments"}`); payments.Seed == seed.Seed {
		t.Error("one seed for both")
	}
	if status, _ := admin(t, "POST", "/l402/cashu/seed", `{"of":"wallets"}`); status != 409 {
		t.Errorf("shown again: %d", status)
	}
}
