package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/relay"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestAutoDetect shows a client that never learns the preimage: it shows the macaroon alone and
// the gateway finds the payment at its wallet.
func TestAutoDetect(t *testing.T) {
	net, gw, up := lndShop(t)
	ch := gw.Challenge(t, "/premium/a")
	alone := client.Token{Macaroon: ch.Macaroon}
	again := refused(t, gw, up, "/premium/a", client.Auth(alone))
	if same, err := client.ReadChallenge(again.Response); err != nil || same.Invoice != ch.Invoice {
		t.Errorf("the holder of an unpaid token was offered another invoice (%v)", err)
	}
	gw.Secret(client.PayFor(t, net.Alice, ch).Preimage)
	passesSoon(t, gw, up, alone)
	lookups, err := net.Bob.Calls("LookupInvoice")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		passes(t, gw, up, "/premium/a", client.Auth(alone))
	}
	if now, err := net.Bob.Calls("LookupInvoice"); err != nil || now != lookups {
		t.Errorf("a payment that is known was looked up %d times again (%v)", now-lookups, err)
	}
}

// TestSettlementsSurviveRestart restarts LND under a gateway that follows its settlements, and
// then cuts the wire between the two while a payment happens: no settlement is lost.
func TestSettlementsSurviveRestart(t *testing.T) {
	net, up := network(t), upstream.Start(t)
	wire := relay.Start(t, net.Bob.Addr())
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: lndOptionsAt(net.Bob, wire.Addr), Site: shop(up)})

	settle := func() client.Token {
		t.Helper()
		ch := gw.Challenge(t, "/premium/a")
		gw.Secret(client.PayFor(t, net.Alice, ch).Preimage)
		return client.Token{Macaroon: ch.Macaroon}
	}
	passesSoon(t, gw, up, settle())

	restart(t, net, net.Bob)
	challengeSoon(t, gw)
	passesSoon(t, gw, up, settle())

	ch := gw.Challenge(t, "/premium/a")
	wire.Cut()
	gw.Secret(client.PayFor(t, net.Alice, ch).Preimage)
	resp := gw.Want(t, http.StatusServiceUnavailable, "/premium/a", client.Auth(client.Token{Macaroon: ch.Macaroon}))
	if resp.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	wire.Mend()
	passesSoon(t, gw, up, client.Token{Macaroon: ch.Macaroon})
	if n, err := net.Bob.Calls("SubscribeInvoices"); err != nil || n < 3 {
		t.Errorf("the gateway subscribed to settlements %d times (%v), want once for each of three connections", n, err)
	}
}

// passesSoon presents a token until it passes: a reconnection may need a moment. In between only
// 402 and 503 are right, and neither may reach the upstream.
func passesSoon(t *testing.T, gw *gateway.Gateway, up *upstream.Server, token client.Token) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := proc.Poll(ctx, "a settled payment to be seen", func() error {
		before := up.Count()
		resp := gw.Get(t, "/premium/a", client.Auth(token))
		reached := up.Count() - before
		switch {
		case resp.StatusCode == http.StatusOK && reached == 1:
			return nil
		case reached != 0 || (resp.StatusCode != http.StatusPaymentRequired && resp.StatusCode != http.StatusServiceUnavailable):
			t.Fatalf("status %d with %d requests at the upstream", resp.StatusCode, reached)
		}
		return statusError(resp.StatusCode)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// challengeSoon waits until the gateway makes invoices again.
func challengeSoon(t *testing.T, gw *gateway.Gateway) {
	t.Helper()
	challengeWithin(t, gw, 30*time.Second)
}

// challengeWithin is challengeSoon for a wallet that takes its time to connect.
func challengeWithin(t *testing.T, gw *gateway.Gateway, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := proc.Poll(ctx, "the gateway to make invoices", func() error {
		if resp := gw.Get(t, "/premium/a"); resp.StatusCode != http.StatusPaymentRequired {
			return statusError(resp.StatusCode)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type statusError int

func (s statusError) Error() string { return http.StatusText(int(s)) }

// restart stops a node in an orderly way and brings it back.
func restart(t *testing.T, net *lightning.Pair, n *lightning.Node) {
	t.Helper()
	if err := n.StopWait(); err != nil {
		t.Fatal(err)
	}
	bringBack(t, net, n)
}

// bringBack starts a stopped node and waits until payments work again.
func bringBack(t *testing.T, net *lightning.Pair, n *lightning.Node) {
	t.Helper()
	// Also called from cleanups, when the test's own context is over.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := net.WaitPath(ctx); err != nil {
		t.Fatal(err)
	}
}
