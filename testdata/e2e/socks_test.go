package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/socks"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestSOCKS sells with an LND whose name only the proxy knows, as that of an onion service: 402,
// payment and 200, and the payment found at the wallet. With a wrong password nobody can buy.
func TestSOCKS(t *testing.T) {
	t.Parallel()
	const onion = "l402shopl402shopl402shopl402shopl402shopl402shopl402shop.onion:10009"
	net, up := network(t), upstream.Start(t)
	proxy := socks.Start(t, map[string]string{onion: net.Bob.Addr()})
	shopBehind := func(password string) *gateway.Gateway {
		t.Helper()
		gw := gateway.Start(t, gateway.Options{Binary: caddy, Site: shop(up, "limit off", "prefetch off"), Global: fmt.Sprintf(`l402 {
	wallet tor lnd %s {
		macaroon %s
		tls_cert %s
		network regtest
		proxy socks5://%s:{env.PROXY_PASSWORD}@%s
	}
}`, onion, net.Bob.InvoiceMacaroon(), net.Bob.CertFile(), proxy.User, proxy.Addr), Env: []string{"PROXY_PASSWORD=" + password}})
		gw.Secret(password)
		return gw
	}

	gw := shopBehind(proxy.Password)
	challengeSoon(t, gw)
	passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, net.Alice, "/premium/a")))
	ch := gw.Challenge(t, "/premium/a")
	gw.Secret(client.PayFor(t, net.Alice, ch).Preimage)
	passesSoon(t, gw, up, client.Token{Macaroon: ch.Macaroon})

	asked := proxy.Asked()
	if len(asked) == 0 {
		t.Fatal("nothing went through the proxy")
	}
	for _, name := range asked {
		if name != onion {
			t.Errorf("the proxy was asked for %s, want the node's name as it was configured", name)
		}
	}

	stranger := shopBehind("not-the-password")
	stranger.Want(t, http.StatusServiceUnavailable, "/premium/a")
	if len(proxy.Asked()) != len(asked) {
		t.Error("the proxy let somebody in with a wrong password")
	}
}
