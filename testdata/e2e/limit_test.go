package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// lies are header fields by which a client might pass for another one.
func lies(i int) []client.Option {
	address := fmt.Sprintf("198.51.100.%d", i)
	return []client.Option{
		client.With("X-Forwarded-For", address), client.With("X-Real-Ip", address),
		client.With("Forwarded", "for="+address), client.With("Cf-Connecting-Ip", address),
		client.With("True-Client-Ip", address), client.With("Client-Ip", address),
	}
}

// TestLimit shows that a client gets so many invoices and no more, whatever it says of its
// address and whichever path it asks for, while its paid token passes all the time.
func TestLimit(t *testing.T) {
	net, gw, up := lndShop(t, "limit 5 1h", "prefetch off")
	token := gw.Buy(t, net.Alice, "/premium/a")
	before, err := net.Bob.Invoices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		refused(t, gw, up, fmt.Sprintf("/premium/%d", i), lies(i)...)
	}
	reached := up.Count()
	for i := range 50 {
		resp := gw.Want(t, http.StatusTooManyRequests, fmt.Sprintf("/premium/%d", i), lies(i)...)
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || s < 1 {
			t.Fatalf("429 with Retry-After %q, want seconds", resp.Header.Get("Retry-After"))
		}
	}
	if up.Count() != reached {
		t.Fatal("a request over the limit reached the upstream")
	}
	if now, err := net.Bob.Invoices(t.Context()); err != nil || now-before != 4 {
		t.Errorf("bob made %d invoices (%v), want 4", now-before, err)
	}
	passes(t, gw, up, "/premium/a", client.Auth(token))
}

// TestLimitOnGuesses shows that credentials which are refused count as well.
func TestLimitOnGuesses(t *testing.T) {
	gw, up := sandboxShop(t, "limit 5 1h")
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	status := 0
	for i := range 20 {
		guess := client.Token{Macaroon: token.Macaroon, Preimage: fmt.Sprintf("%064x", i)}
		status = gw.Get(t, "/premium/a", append(lies(i), client.Auth(guess))...).StatusCode
		if status != http.StatusPaymentRequired && status != http.StatusTooManyRequests {
			t.Fatalf("a guessed preimage got %d", status)
		}
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("after 20 guesses the answer is %d, want 429", status)
	}
	if up.Count() != 0 {
		t.Error("a guess reached the upstream")
	}
	passes(t, gw, up, "/premium/a", client.Auth(token))
}

// TestLimitBehindProxy shows that behind a proxy that the operator trusts each client has a
// limit of its own.
func TestLimitBehindProxy(t *testing.T) {
	up := upstream.Start(t)
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Global: "servers {\n\ttrusted_proxies static 127.0.0.1/32\n}\n" + sandboxOptions,
		Site: shop(up, "limit 2 1h"),
	})
	for i := range 5 {
		from := client.With("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i))
		refused(t, gw, up, "/premium/a", from)
		refused(t, gw, up, "/premium/a", from)
		gw.Want(t, http.StatusTooManyRequests, "/premium/a", from)
	}
}
