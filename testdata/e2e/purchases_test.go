package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// purchaser is a gateway that pays a seller from alice, with a macaroon that may pay and nothing else. Lines
// are added to the block of its transport.
func purchaser(t *testing.T, net *lightning.Pair, seller *gateway.Gateway, storage string, lines ...string) gateway.Options {
	t.Helper()
	macaroon, err := net.Alice.BakeMacaroon(t.Context(), "payer", "offchain:read", "offchain:write")
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Options{
		Binary: caddy, Storage: storage,
		Global: fmt.Sprintf("l402 {\n\twallet purse lnd %s {\n\t\tmacaroon %s\n\t\ttls_cert %s\n\t\tnetwork regtest\n\t}\n}",
			net.Alice.Addr(), macaroon, net.Alice.CertFile()),
		// Both instances ask for the seller by one name, as instances of one site do.
		Site: fmt.Sprintf("reverse_proxy %s {\n\theader_up Host seller.test\n\ttransport l402 {\n\t\twallet purse\n\t\t%s\n\t}\n}",
			strings.TrimPrefix(seller.Base, "http://"), strings.Join(lines, "\n\t\t")),
	}
}

// sells is a gateway that sells at bob two services for 10 sat each, and single requests for 10 sat.
func sells(t *testing.T, net *lightning.Pair, up *upstream.Server) *gateway.Gateway {
	t.Helper()
	var site strings.Builder
	for _, name := range []string{"weather", "news", "single"} {
		uses := ""
		if name == "single" {
			uses = "\tuses 1\n"
		}
		fmt.Fprintf(&site, "l402 /%[1]s/* 10 sat {\n\tservice %[1]s\n\tlimit off\n%[2]s}\n", name, uses)
	}
	fmt.Fprintf(&site, "reverse_proxy %s", up.Addr)
	return gateway.Start(t, gateway.Options{Binary: caddy, Global: lndOptions(net.Bob), Site: site.String()})
}

// payments counts what alice was asked to pay since it was made.
func payments(t *testing.T, net *lightning.Pair) func() int {
	t.Helper()
	count := func() int {
		n, err := net.Alice.Calls("SendPaymentV2")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	return func() int { return count() - before }
}

// TestUpstreamPurchase has one gateway buy from another for its clients, who know nothing of it: many
// requests at the same moment, at two instances, are one payment; and what was bought outlives a crash.
// It runs alone since it counts alice's payments.
func TestUpstreamPurchase(t *testing.T) {
	net, up := network(t), upstream.Start(t)
	seller := sells(t, net, up)
	options := purchaser(t, net, seller, t.TempDir(), "max_price 10 sat", "max_fee 5 sat", "budget 100 sat per day")
	one, two := gateway.Start(t, options), gateway.Start(t, options)
	paid := payments(t, net)

	passes(t, one, up, "/free")
	if n := paid(); n != 0 {
		t.Fatalf("%d payments for what is free", n)
	}
	// A credential of the clients' own is for the buying gateway and stays there.
	own := client.Token{Macaroon: "AAAA", Preimage: strings.Repeat("00", 32)}
	got := asOne(t, 60, "/weather/bern", own, one, two)
	if n := paid(); got[http.StatusOK] != 60 || n != 1 {
		t.Fatalf("60 requests at once: answers by status %v for %d payments, want 60 of 200 for one", got, n)
	}
	if now := len(up.Reached("/weather/")); now != 60 {
		t.Errorf("%d requests reached the upstream, want 60", now)
	}
	if header := up.Last(t).Header; header.Get("Authorization") != "" {
		t.Errorf("the upstream got a credential: %v", header)
	}

	one.Kill()
	if err := one.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	passes(t, one, up, "/weather/zurich")
	if n := paid(); n != 1 {
		t.Fatalf("after a crash there were %d payments, want the one before it", n)
	}

	// Single requests are paid one by one, with their bodies.
	for n := range 3 {
		resp := one.Do(t, http.MethodPost, "/single/order", client.Body(fmt.Sprintf("order %d", n)))
		if last := up.Last(t); resp.StatusCode != http.StatusOK || last.Body != fmt.Sprintf("order %d", n) {
			t.Fatalf("order %d: status %d, %s; the upstream saw %+v", n, resp.StatusCode, resp.Text, last)
		}
	}
	if n := paid(); n != 4 {
		t.Errorf("%d payments, want 4", n)
	}
	if spent := one.Metric(t, "caddy_l402_upstream_spent_msat_total"); spent != 30_000 {
		t.Errorf("since its crash the gateway counts %v msat, want the 30000 of three orders", spent)
	}
}

// TestUpstreamBudget has a gateway stop paying where its budget ends, say so with 502, and stick to it
// after a crash; what was bought before goes on. It runs alone since it counts alice's payments.
func TestUpstreamBudget(t *testing.T) {
	net, up := network(t), upstream.Start(t)
	seller := sells(t, net, up)
	buyer := gateway.Start(t, purchaser(t, net, seller, "", "max_price 10 sat", "max_fee 5 sat", "budget 30 sat per day"))
	paid := payments(t, net)
	refuses := func(path, code string) {
		t.Helper()
		before := up.Count()
		resp := buyer.Want(t, http.StatusBadGateway, path)
		if got := resp.Header.Get("X-L402-Upstream"); got != code || !strings.Contains(resp.Text, `"code":"`+code+`"`) ||
			resp.Header.Get("WWW-Authenticate") != "" || strings.Contains(resp.Text, "sat") {
			t.Errorf("GET %s: got %q %v %s, want %q, without an amount or the challenge", path, got, resp.Header, resp.Text, code)
		}
		if n := up.Count() - before; n != 0 {
			t.Errorf("GET %s: %d requests reached the upstream", path, n)
		}
	}

	passes(t, buyer, up, "/weather/bern")
	passes(t, buyer, up, "/news/today") // each counts with its greatest fee, which LND does not tell apart
	for range 2 {
		refuses("/single/order", "upstream_over_budget")
		passes(t, buyer, up, "/weather/bern")
		passes(t, buyer, up, "/free")
		buyer.Kill()
		if err := buyer.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	resp := buyer.Want(t, http.StatusBadGateway, "/single/order")
	if wait, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s"); err != nil || wait < 23*time.Hour || wait > 24*time.Hour {
		t.Errorf("Retry-After %q, want the time until a day has passed", resp.Header.Get("Retry-After"))
	}
	if n := paid(); n != 2 {
		t.Fatalf("%d payments, want 2", n)
	}

	// The operator raises the budget and lowers the price that is allowed.
	change := func(old, now string) {
		t.Helper()
		err := buyer.Reload(t.Context(), func(o *gateway.Options) { o.Site = strings.ReplaceAll(o.Site, old, now) })
		if err != nil {
			t.Fatal(err)
		}
	}
	change("max_price 10 sat\n\t\tmax_fee 5 sat\n\t\tbudget 30 sat", "max_price 9 sat\n\t\tmax_fee 5 sat\n\t\tbudget 100 sat")
	refuses("/single/order", "upstream_price_too_high")
	change("max_price 9 sat", "max_price 10 sat")
	passes(t, buyer, up, "/single/order")
	if n := paid(); n != 3 {
		t.Errorf("%d payments, want 3", n)
	}
}
