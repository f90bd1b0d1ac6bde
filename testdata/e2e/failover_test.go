package e2e

import (
	"context"
	"errors"
	"fmt"
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

// TestFailover sells with two nodes, of which the second stands in while the first cannot be
// reached. Both go on paying: the wire to the first is cut, not the node stopped.
func TestFailover(t *testing.T) {
	t.Parallel()
	net, up := network(t), upstream.Start(t)
	wire := relay.Start(t, net.Bob.Addr())
	declare := func(name, addr string, n *lightning.Node) string {
		return fmt.Sprintf("\twallet %s lnd %s {\n\t\tmacaroon %s\n\t\ttls_cert %s\n\t\tnetwork regtest\n\t}\n", name, addr, n.InvoiceMacaroon(), n.CertFile())
	}
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Site: shop(up, "limit off", "prefetch off"),
		Global: "l402 {\n" + declare("first", wire.Addr, net.Bob) + declare("second", net.Alice.Addr(), net.Alice) +
			"\twallet both failover first second\n\tdefault_wallet both\n}",
	})
	challengeSoon(t, gw)
	token := gw.Buy(t, net.Alice, "/premium/a")
	passes(t, gw, up, "/premium/a", client.Auth(token))
	open := gw.Challenge(t, "/premium/a")
	if _, err := net.Bob.LookUp(t.Context(), open.PaymentHash); err != nil {
		t.Fatalf("the invoice is not the first wallet's: %v", err)
	}

	wire.Cut()
	before, err := net.Alice.Invoices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	stood := client.PayFor(t, net.Bob, gw.Challenge(t, "/premium/a"))
	t.Logf("the second wallet made an invoice %s after the first was lost, paid", time.Since(begin).Round(time.Millisecond))
	gw.Secret(stood.Preimage)
	passes(t, gw, up, "/premium/a", client.Auth(stood))
	alone := gw.Challenge(t, "/premium/a")
	gw.Secret(client.PayFor(t, net.Bob, alone).Preimage)
	passesSoon(t, gw, up, client.Token{Macaroon: alone.Macaroon})
	if now, err := net.Alice.Invoices(t.Context()); err != nil || now-before != 2 {
		t.Errorf("for two challenges the second wallet made %d invoices (%v)", now-before, err)
	}
	// The first wallet's payments are known to it alone.
	gw.Secret(client.PayFor(t, net.Alice, open).Preimage)
	gw.Want(t, http.StatusServiceUnavailable, "/premium/a", client.Auth(client.Token{Macaroon: open.Macaroon}))
	passes(t, gw, up, "/premium/a", client.Auth(token))

	wire.Mend()
	begin = time.Now()
	passesSoon(t, gw, up, client.Token{Macaroon: open.Macaroon})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = proc.Poll(ctx, "the first wallet to be used again", func() error {
		ch := gw.Challenge(t, "/premium/a")
		if _, err := net.Bob.LookUp(ctx, ch.PaymentHash); err != nil {
			return errors.New("the invoice is not the first wallet's")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the first wallet was used again %s after it was back", time.Since(begin).Round(time.Millisecond))
	passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, net.Alice, "/premium/a")))
}
