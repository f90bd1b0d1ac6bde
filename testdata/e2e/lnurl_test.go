package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lnurlp"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestLNURL sells through an LNURL server that was not written for this gateway. It tells nobody
// whether an invoice was paid, so that its payers need the preimage.
func TestLNURL(t *testing.T) {
	t.Parallel()
	lightning, up := network(t), upstream.Start(t)
	payee := start(t, proc.Spec{
		Name: "lnurl-server", Dir: npm(t), Path: "node", Args: []string{"lnurl-server.mjs", strconv.Itoa(proc.FreePorts(1)[0])},
		Env: lndREST(lightning.Bob, lightning.Bob.InvoiceMacaroon()),
	})
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Site: shop(up, "limit off"), Env: []string{"PAYEE=" + word(t, payee, "lnurl")},
		Global: "l402 {\n\twallet payee lnurl {env.PAYEE} {\n\t\tnetwork regtest\n\t\tallow_private\n\t\tcomment \"for the shop\"\n\t}\n}",
	})
	ch := gw.Challenge(t, "/premium/a")
	inv, err := lightning.Bob.LookUp(t.Context(), ch.PaymentHash)
	if err != nil || inv.AmountMsat != 10_000 {
		t.Fatalf("the invoice is %+v, %v; want 10 sat at bob", inv, err)
	}
	token := client.PayFor(t, lightning.Alice, ch)
	gw.Secret(token.Preimage)
	passes(t, gw, up, "/premium/a", client.Auth(token))

	ch = gw.Challenge(t, "/premium/a")
	token = client.PayFor(t, lightning.Alice, ch)
	gw.Secret(token.Preimage)
	again := refused(t, gw, up, "/premium/a", client.Auth(client.Token{Macaroon: ch.Macaroon}))
	if same, err := client.ReadChallenge(again.Response); err != nil || same.Invoice != ch.Invoice {
		t.Errorf("the holder of a token without its preimage was offered another invoice (%v)", err)
	}
	passes(t, gw, up, "/premium/a", client.Auth(token))
}

// TestLightningAddress sells to a Lightning address whose server tells what was paid: the payment
// is found without its preimage, also after a restart of the gateway, which has to remember where
// to ask.
func TestLightningAddress(t *testing.T) {
	t.Parallel()
	lightning, up := network(t), upstream.Start(t)
	payee := lnurlp.Start(t, lightning.Bob)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, payee.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Site: shop(up, "limit off"),
		Global: fmt.Sprintf("l402 {\n\twallet payee lnurl shop@%s {\n\t\tnetwork regtest\n\t\tallow_private\n\t\tca %s\n\t}\n}", payee.Host, ca),
	})
	token := gw.Buy(t, lightning.Alice, "/premium/a")
	passes(t, gw, up, "/premium/a", client.Auth(token))
	if n := payee.Verified(); n != 0 {
		t.Errorf("a payment with its preimage was looked up %d times", n)
	}

	first, second := gw.Challenge(t, "/premium/a"), gw.Challenge(t, "/premium/a")
	refused(t, gw, up, "/premium/a", client.Auth(client.Token{Macaroon: first.Macaroon}))
	gw.Secret(client.PayFor(t, lightning.Alice, first).Preimage)
	passesSoon(t, gw, up, client.Token{Macaroon: first.Macaroon})

	for range 2 {
		if err := gw.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := gw.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		passesSoon(t, gw, up, client.Token{Macaroon: first.Macaroon})
	}
	// Nobody had asked for this one before the restarts.
	gw.Secret(client.PayFor(t, lightning.Alice, second).Preimage)
	passesSoon(t, gw, up, client.Token{Macaroon: second.Macaroon})
	passes(t, gw, up, "/premium/a", client.Auth(token))
}
