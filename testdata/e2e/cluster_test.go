package e2e

import (
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestTwoInstances runs two gateways on one storage folder: each accepts the other's tokens at
// once, also after one made a new key that the other has not seen.
func TestTwoInstances(t *testing.T) {
	net, up := network(t), upstream.Start(t)
	storage := t.TempDir()
	options := gateway.Options{Binary: caddy, Global: lndOptions(net.Bob), Site: shop(up, "service shop"), Storage: storage}
	one, two := gateway.Start(t, options), gateway.Start(t, options)
	for _, pair := range [][2]*gateway.Gateway{{one, two}, {two, one}} {
		token := pair[0].Buy(t, net.Alice, "/premium/a")
		passes(t, pair[1], up, "/premium/a", client.Auth(token))
		passes(t, pair[0], up, "/premium/a", client.Auth(token))
		ch := pair[0].Challenge(t, "/premium/a")
		pair[0].Secret(client.PayFor(t, net.Alice, ch).Preimage)
		passesSoon(t, pair[1], up, client.Token{Macaroon: ch.Macaroon})
	}

	// A third with a storage of its own has other keys.
	options.Storage = ""
	stranger := gateway.Start(t, options)
	token := one.Buy(t, net.Alice, "/premium/a")
	refused(t, stranger, up, "/premium/a", client.Auth(token))
	refused(t, one, up, "/premium/a", client.Auth(stranger.Buy(t, net.Alice, "/premium/a")))
}

// TestGivenSecret runs two gateways with nothing in common but a secret in the environment.
func TestGivenSecret(t *testing.T) {
	net, up := network(t), upstream.Start(t)
	const secret = "3f9d1c5b7a2e4f6081b3c5d7e9fa0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c"
	options := gateway.Options{
		Binary: caddy, Global: lndOptions(net.Bob, "secret {env.GATE_SECRET}"),
		Site: shop(up, "service shop"), Env: []string{"GATE_SECRET=" + secret},
	}
	one, two := gateway.Start(t, options), gateway.Start(t, options)
	one.Secret(secret)
	passes(t, two, up, "/premium/a", client.Auth(one.Buy(t, net.Alice, "/premium/a")))
	options.Env = []string{"GATE_SECRET=" + secret[:62] + "ff"}
	refused(t, gateway.Start(t, options), up, "/premium/a", client.Auth(one.Buy(t, net.Alice, "/premium/a")))
}
