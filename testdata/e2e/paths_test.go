package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestPathTricks asks for a sold path in every spelling that might slip past the route's matcher.
// Whatever the answer is, nothing that an upstream could take for the sold path may reach it.
func TestPathTricks(t *testing.T) {
	gw, up := sandboxShop(t, "limit off")
	for _, target := range []string{
		"/premium/a", "//premium/a", "///premium///a", "/./premium/a", "/premium/./a", "/premium//a",
		"/free/../premium/a", "/free/../../premium/a", "/../premium/a", "/free/%2e%2e/premium/a",
		"/free/%2E%2e/premium/a", "/free/.%2e/premium/a", "/free/..%2fpremium/a", "/free%2f..%2fpremium%2fa",
		"/%70remium/a", "/p%72emium/a", "/premium%2fa", "/premium%2Fa", "/%2fpremium/a", "/%2f/premium/a",
		"/PREMIUM/a", "/Premium/a", "/pReMiUm/a", "/premium/", "/premium/a/", "/premium/?x", "/premium/a?x=/free",
		"/premium/a#free", "/premium/%00", "/premium/a%20", "/premium/a.", "/premium/../premium/a",
		"/.well-known/../premium/a", "/.well-known/%2e%2e/premium/a", "/.well-known//../premium/a",
		"/premium/.well-known/acme-challenge/x",
		"http://other.test/premium/a", "http://other.test//premium/a", "http://user@other.test/premium/a",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			answer := gw.Raw(t, method+" "+target+" HTTP/1.1\r\nHost: one.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			if answer == "" {
				t.Errorf("%s %s: no answer", method, target)
			}
			if hits := up.Reached("/premium/"); len(hits) > 0 {
				t.Fatalf("%s %s: the upstream was asked for %q", method, target, hits)
			}
		}
	}
	passes(t, gw, up, "/free")
}

// TestSmuggling sends requests whose length is in doubt, with a second request hidden in the first.
func TestSmuggling(t *testing.T) {
	gw, up := sandboxShop(t, "limit off")
	hidden := "GET /premium/a HTTP/1.1\r\nHost: one.test\r\n\r\n"
	for name, head := range map[string]string{
		"two lengths":         "Content-Length: 0\r\nContent-Length: 48\r\n",
		"length and chunked":  "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
		"chunked in disguise": "Transfer-Encoding: xchunked\r\n",
		"chunked twice":       "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
		"chunked with a tab":  "Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n",
		"folded line":         "X-A: b\r\n Transfer-Encoding: chunked\r\n",
		"pipelined":           "",
	} {
		t.Run(name, func(t *testing.T) {
			gw.Raw(t, "POST /free HTTP/1.1\r\nHost: one.test\r\n"+head+"\r\n0\r\n\r\n"+hidden)
			gw.Raw(t, "GET /free HTTP/1.1\r\nHost: one.test\r\n"+head+"\r\n"+hidden)
			if hits := up.Reached("/premium/"); len(hits) > 0 {
				t.Fatalf("the upstream was asked for %q", hits)
			}
		})
	}
}

// TestInternalRewrite shows that a path which Caddy itself rewrites is charged as what it becomes.
func TestInternalRewrite(t *testing.T) {
	up := upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: sandboxOptions, Site: "rewrite /alias/* /premium/a\nuri strip_prefix /v1\n" + shop(up)})
	for _, path := range []string{"/alias/x", "/v1/premium/a", "/alias/../alias/x"} {
		refused(t, gw, up, path)
	}
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	gw.Want(t, http.StatusOK, "/alias/x", client.Auth(token))
	if got := up.Last(t).Target; got != "/premium/a" {
		t.Errorf("the upstream was asked for %s", got)
	}
}

// TestErrorRoute shows that a refusal which a site answers with a page of its own leads to that
// page and nowhere else, even where the error route proxies to the upstream.
func TestErrorRoute(t *testing.T) {
	up := upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{Binary: caddy, Global: sandboxOptions, Site: shop(up) + fmt.Sprintf(`
handle_errors 402 {
	rewrite * /shop-window
	reverse_proxy %s
}`, up.Addr)})
	resp := gw.Get(t, "/premium/a")
	ch, err := client.ReadChallenge(resp.Response)
	if err != nil {
		t.Fatalf("the error route's answer has no challenge: %v", err)
	}
	if last := up.Last(t); last.Target != "/shop-window" || up.Count() != 1 {
		t.Errorf("the upstream saw %d requests, the last for %s", up.Count(), last.Target)
	}
	token := client.PayFor(t, gw.Sandbox(), ch)
	gw.Secret(token.Preimage)
	passes(t, gw, up, "/premium/a", client.Auth(token))
}

// TestHugeHeader sends header fields that are far too long; the gateway refuses and lives on.
func TestHugeHeader(t *testing.T) {
	gw, up := sandboxShop(t, "limit off")
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	const mib = 1 << 20
	for name, field := range map[string]string{
		"credential":          "Authorization: L402 " + strings.Repeat("A", mib),
		"credential and more": "Authorization: " + token.Header() + strings.Repeat("0", mib),
		"cookie":              "Cookie: a=" + strings.Repeat("b", mib),
		"many credentials":    strings.Repeat("Authorization: L402 QUFB:00\r\n", mib/28) + "X: y",
		"other field":         "X-Long: " + strings.Repeat("x", mib),
	} {
		t.Run(name, func(t *testing.T) {
			before := up.Count()
			answer := gw.Raw(t, "GET /premium/a HTTP/1.1\r\nHost: one.test\r\n"+field+"\r\n\r\n")
			// The gateway may close before all was sent, and then its answer can get lost.
			if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 4") {
				t.Errorf("answer %.80q", answer)
			}
			if up.Count() != before {
				t.Error("the request reached the upstream")
			}
			passes(t, gw, up, "/premium/a", client.Auth(token))
		})
	}
	// As long as Caddy takes it: a credential of 15 KiB is read in a bounded way and refused.
	for _, value := range []string{
		"L402 " + strings.Repeat("A", 15<<10) + ":" + token.Preimage,
		"L402 " + strings.Repeat("B"+token.Macaroon[1:]+",", 40) + ":" + token.Preimage,
		"Basic " + strings.Repeat("QUFB", 3<<10),
		strings.Repeat(`L402 token="a",`, 900),
	} {
		refused(t, gw, up, "/premium/a", client.With("Authorization", value))
	}
}
