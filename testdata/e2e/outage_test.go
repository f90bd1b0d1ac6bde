package e2e

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestWalletStopped shows that without LND nobody new can buy, that those who paid are served,
// and that selling goes on by itself when LND is back.
func TestWalletStopped(t *testing.T) {
	net, gw, up := lndShop(t)
	token := gw.Buy(t, net.Alice, "/premium/a")
	if err := net.Bob.StopWait(); err != nil {
		t.Fatal(err)
	}
	stopped := true
	defer func() {
		if stopped {
			bringBack(t, net, net.Bob)
		}
	}()
	for range 3 {
		unavailable(t, gw, up)
		passes(t, gw, up, "/premium/a", client.Auth(token))
		passes(t, gw, up, "/free")
	}
	bringBack(t, net, net.Bob)
	stopped = false
	challengeSoon(t, gw)
	passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, net.Alice, "/premium/a")))
}

// TestWalletHangs freezes LND, so that its sockets stay open and say nothing: the unpaid get an
// answer in bounded time, and meanwhile the paid and the free are as quick as ever.
func TestWalletHangs(t *testing.T) {
	net, gw, up := lndShop(t)
	token := gw.Buy(t, net.Alice, "/premium/a")
	if err := net.Bob.Pause(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := net.Bob.Resume(); err != nil {
			t.Error(err)
		}
	}()
	answers := make(chan int, 20)
	for range cap(answers) {
		// Ends with its answer, which is collected below.
		go func() {
			resp, err := gw.Try(t.Context(), http.MethodGet, "/premium/a")
			if err != nil {
				answers <- 0
				return
			}
			answers <- resp.StatusCode
		}()
	}
	over := time.After(time.Minute)
	meanwhile := 0
	for open := cap(answers); open > 0; {
		gw.Want(t, http.StatusOK, "/premium/a", client.Auth(token))
		gw.Want(t, http.StatusOK, "/free")
		if open == cap(answers) {
			meanwhile++
		}
		select {
		case code := <-answers:
			if code != http.StatusServiceUnavailable {
				t.Errorf("an unpaid request got %d while LND hangs, want 503", code)
			}
			open--
		case <-over:
			t.Fatalf("%d unpaid requests have no answer", open)
		case <-time.After(20 * time.Millisecond):
		}
	}
	// Each of these came and went while all the unpaid ones were waiting for LND.
	if meanwhile < 10 {
		t.Errorf("only %d paid requests were served while the wallet hung", meanwhile)
	}
	for _, r := range up.Requests() {
		if r.Target == "/premium/a" && r.Header.Get("Authorization") != "" {
			t.Fatal("the upstream got a credential")
		}
	}
}

// unavailable makes an unpaid request that must get 503, with the time to come again.
func unavailable(t *testing.T, gw *gateway.Gateway, up *upstream.Server) {
	t.Helper()
	before := up.Count()
	resp := gw.Want(t, http.StatusServiceUnavailable, "/premium/a")
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || s < 1 {
		t.Errorf("503 with Retry-After %q, want seconds", resp.Header.Get("Retry-After"))
	}
	if resp.Header.Get("WWW-Authenticate") != "" {
		t.Error("503 with a challenge that nobody can pay")
	}
	if got := up.Count() - before; got != 0 {
		t.Fatalf("%d unpaid requests reached the upstream while LND was down", got)
	}
}
