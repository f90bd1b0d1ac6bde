package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// lndOptions is the l402 global option with bob as the wallet, by a macaroon that allows
// invoices and nothing else. More lines of the block may be given.
func lndOptions(bob *lightning.Node, more ...string) string {
	return lndOptionsAt(bob, bob.Addr(), more...)
}

// lndOptionsAt reaches bob through another address.
func lndOptionsAt(bob *lightning.Node, addr string, more ...string) string {
	return fmt.Sprintf(`l402 {
	wallet node lnd %s {
		macaroon %s
		tls_cert %s
		network regtest
	}
	%s
}`, addr, bob.InvoiceMacaroon(), bob.CertFile(), strings.Join(more, "\n\t"))
}

const sandboxOptions = `l402 {
	wallet play sandbox
}`

// shop is a site that sells what is below /premium/ and gives away the rest. Lines are added to
// the l402 block.
func shop(up *upstream.Server, lines ...string) string {
	return fmt.Sprintf(`l402 /premium/* 10 sat {
	%s
}
reverse_proxy %s`, strings.Join(lines, "\n\t"), up.Addr)
}

// lndShop runs a shop that is paid at bob.
func lndShop(t testing.TB, lines ...string) (*lightning.Pair, *gateway.Gateway, *upstream.Server) {
	t.Helper()
	net, up := network(t), upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: lndOptions(net.Bob), Site: shop(up, lines...)})
	return net, gw, up
}

// sandboxShop runs a shop with the sandbox wallet, for stories in which the wallet plays no part.
func sandboxShop(t testing.TB, lines ...string) (*gateway.Gateway, *upstream.Server) {
	t.Helper()
	up := upstream.Start(t)
	return gateway.Start(t, gateway.Options{Binary: caddy, Global: sandboxOptions, Site: shop(up, lines...)}), up
}

// refused makes a request that must get 402 with a challenge and never reach the upstream.
func refused(t testing.TB, gw *gateway.Gateway, up *upstream.Server, path string, opts ...client.Option) *client.Response {
	t.Helper()
	before := up.Count()
	resp := gw.Want(t, http.StatusPaymentRequired, path, opts...)
	if _, err := client.ReadChallenge(resp.Response); err != nil {
		t.Fatalf("GET %s: refused without a fresh challenge: %v", path, err)
	}
	if got := up.Count() - before; got != 0 {
		t.Fatalf("GET %s: answered 402, and yet %d requests reached the upstream", path, got)
	}
	return resp
}

// passes makes a request that must reach the upstream once and get its 200.
func passes(t testing.TB, gw *gateway.Gateway, up *upstream.Server, path string, opts ...client.Option) *client.Response {
	t.Helper()
	before := up.Count()
	resp := gw.Want(t, http.StatusOK, path, opts...)
	if want := "GET " + path; resp.Text != want {
		t.Fatalf("GET %s: body %q, want the upstream's %q", path, resp.Text, want)
	}
	if got := up.Count() - before; got != 1 {
		t.Fatalf("GET %s: %d requests reached the upstream, want 1", path, got)
	}
	return resp
}
