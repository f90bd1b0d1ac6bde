package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
)

// TestPay is the whole exchange with real Lightning: 402, payment, 200, and the token again.
func TestPay(t *testing.T) {
	net, gw, up := lndShop(t, "memo Ten_sats")
	passes(t, gw, up, "/free")

	resp := refused(t, gw, up, "/premium/report")
	if got := resp.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("a challenge may be cached: Cache-Control %q", got)
	}
	ch, err := client.ReadChallenge(resp.Response)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := net.Bob.LookUp(t.Context(), ch.PaymentHash)
	if err != nil {
		t.Fatalf("bob does not know the invoice that was offered: %v", err)
	}
	if inv.State != "OPEN" || inv.AmountMsat != 10_000 || inv.Memo != "Ten_sats" || inv.Request != ch.Invoice {
		t.Fatalf("bob's invoice %+v does not stand for 10 sat and %s", inv, ch.Invoice)
	}

	token := client.PayFor(t, net.Alice, ch)
	gw.Secret(token.Preimage)
	passes(t, gw, up, "/premium/report", client.Auth(token))
	if got := up.Last(t).Header.Values("Authorization"); len(got) != 0 {
		t.Errorf("the upstream got the credential: Authorization %q", got)
	}
	if inv, err = net.Bob.LookUp(t.Context(), ch.PaymentHash); err != nil || inv.State != "SETTLED" {
		t.Fatalf("after the payment bob's invoice is %+v, %v", inv, err)
	}
}

// TestReuse shows that one payment serves until the token ends, without a call to the wallet,
// whatever method and path below the same price is asked for.
func TestReuse(t *testing.T) {
	net, gw, up := lndShop(t, "prefetch off")
	token := gw.Buy(t, net.Alice, "/premium/a")
	invoices, err := net.Bob.Invoices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lookups, err := net.Bob.Calls("LookupInvoice")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		passes(t, gw, up, "/premium/a", client.Auth(token))
	}
	passes(t, gw, up, "/premium/b?q=1", client.Auth(token))
	resp := gw.Do(t, http.MethodPost, "/premium/c", client.Auth(token), client.Body("content"))
	if last := up.Last(t); resp.StatusCode != http.StatusOK || last.Method != http.MethodPost || last.Body != "content" {
		t.Fatalf("a paid POST gave %d; the upstream saw %+v", resp.StatusCode, last)
	}
	if now, err := net.Bob.Invoices(t.Context()); err != nil || now != invoices {
		t.Errorf("paid requests made %d invoices (%v)", now-invoices, err)
	}
	if now, err := net.Bob.Calls("LookupInvoice"); err != nil || now != lookups {
		t.Errorf("paid requests made %d look-ups (%v)", now-lookups, err)
	}
}

// TestUpstreamErrorKeepsToken shows that a failing upstream costs the payer nothing.
func TestUpstreamErrorKeepsToken(t *testing.T) {
	net, gw, up := lndShop(t)
	token := gw.Buy(t, net.Alice, "/premium/a")
	gw.Want(t, http.StatusInternalServerError, "/premium/status/500", client.Auth(token))
	passes(t, gw, up, "/premium/a", client.Auth(token))
}
