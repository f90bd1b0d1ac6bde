package e2e

import (
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
)

// TestCrash kills the gateway without warning: what was paid before is served after, and a
// challenge from before can be paid after.
func TestCrash(t *testing.T) {
	net, gw, up := lndShop(t)
	token := gw.Buy(t, net.Alice, "/premium/a")
	open := gw.Challenge(t, "/premium/a")
	for range 3 {
		gw.Kill()
		if err := gw.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		passes(t, gw, up, "/premium/a", client.Auth(token))
		refused(t, gw, up, "/premium/a")
	}
	late := client.PayFor(t, net.Alice, open)
	gw.Secret(late.Preimage)
	passes(t, gw, up, "/premium/a", client.Auth(late))
}

// TestCrashAfterPayment kills the gateway between a payment and its first use, and shows the
// macaroon alone: the wallet remembers.
func TestCrashAfterPayment(t *testing.T) {
	net, gw, up := lndShop(t)
	ch := gw.Challenge(t, "/premium/a")
	gw.Secret(client.PayFor(t, net.Alice, ch).Preimage)
	gw.Kill()
	if err := gw.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	passesSoon(t, gw, up, client.Token{Macaroon: ch.Macaroon})
}
