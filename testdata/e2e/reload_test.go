package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
)

// TestReloadUnderLoad loads ten changed configurations while clients send paid, unpaid and free
// requests: every paid request that reaches the upstream gets its answer, and no unpaid one passes.
//
// A connection on which Caddy has read nothing yet when it replaces a listener is closed, with the
// gate or without it. Clients try again then, as browsers do; the free ones show that it happens to
// anybody, and the upstream's count that no request was lost which had begun.
func TestReloadUnderLoad(t *testing.T) {
	net, gw, up := lndShop(t, "limit off")
	token := gw.Buy(t, net.Alice, "/premium/a")
	stop := make(chan struct{})
	paid := &visitor{path: "/premium/slow/5", want: http.StatusOK, opts: []client.Option{client.Auth(token)}}
	unpaid := &visitor{path: "/premium/slow/5", want: http.StatusPaymentRequired}
	free := &visitor{path: "/free/slow/5", want: http.StatusOK}
	var clients sync.WaitGroup
	for v, n := range map[*visitor]int{paid: 6, unpaid: 2, free: 2} {
		for range n {
			// Ends with the channel stop.
			clients.Go(func() { v.visit(t, gw, stop) })
		}
	}
	for i := range 10 {
		err := gw.Reload(t.Context(), func(o *gateway.Options) {
			o.Site = shop(up, "limit off", fmt.Sprintf("memo Round_%d", i))
		})
		if err != nil {
			t.Error(err)
		}
		waitFor(t, "requests after a reload", &paid.answered, paid.answered.Load()+40)
	}
	close(stop)
	clients.Wait()
	if reached := int64(len(up.Reached("/premium/"))); reached != paid.answered.Load() {
		t.Errorf("%d requests reached the upstream, %d were paid and answered", reached, paid.answered.Load())
	}
	for name, v := range map[string]*visitor{"paid": paid, "unpaid": unpaid, "free": free} {
		t.Logf("%s: %d answers, %d connections closed before a request was read", name, v.answered.Load(), v.resets.Load())
	}
	if inv, err := newestMemo(t, net, gw); err != nil || inv != "Round_9" {
		t.Errorf("after the reloads an invoice says %q, %v; want the last memo", inv, err)
	}
}

// visitor repeats a request and counts.
type visitor struct {
	path             string
	want             int
	opts             []client.Option
	answered, resets atomic.Int64
}

func (v *visitor) visit(t *testing.T, gw *gateway.Gateway, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		resp, err := gw.Try(t.Context(), http.MethodGet, v.path, v.opts...)
		switch {
		case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF):
			v.resets.Add(1)
		case err != nil:
			t.Errorf("during a reload: %v", err)
			return
		case resp.StatusCode != v.want:
			t.Errorf("during a reload: status %d, want %d: %s", resp.StatusCode, v.want, resp.Text)
			return
		default:
			v.answered.Add(1)
		}
	}
}

// newestMemo buys nothing but looks at bob's side of a challenge.
func newestMemo(t *testing.T, net *lightning.Pair, gw *gateway.Gateway) (string, error) {
	t.Helper()
	inv, err := net.Bob.LookUp(t.Context(), gw.Challenge(t, "/premium/a").PaymentHash)
	if err != nil {
		return "", err
	}
	return inv.Memo, nil
}

// TestFailedReload shows that a configuration which is refused changes nothing.
func TestFailedReload(t *testing.T) {
	gw, up := sandboxShop(t, "service shop")
	token := gw.Buy(t, gw.Sandbox(), "/premium/a")
	for name, site := range map[string]string{
		"unknown setting":         shop(up, "service shop", "no_such_setting 1"),
		"no price":                "l402 /premium/*\nreverse_proxy " + up.Addr,
		"unknown wallet":          shop(up, "wallet nobody"),
		"two terms of a service":  "l402 /premium/* 10 sat {\n service shop\n}\nl402 /other/* 20 sat {\n service shop\n}\nreverse_proxy " + up.Addr,
		"a price of nothing":      "l402 /premium/* 0 sat\nreverse_proxy " + up.Addr,
		"a price below nothing":   "l402 /premium/* -1 sat\nreverse_proxy " + up.Addr,
		"a price beyond all coin": "l402 /premium/* 22000000 btc\nreverse_proxy " + up.Addr,
	} {
		t.Run(name, func(t *testing.T) {
			err := gw.Reload(t.Context(), func(o *gateway.Options) { o.Site = site })
			if err == nil {
				t.Fatal("the gateway took it")
			}
			t.Log(strings.TrimSpace(err.Error()))
			passes(t, gw, up, "/premium/a", client.Auth(token))
			refused(t, gw, up, "/premium/a")
			passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, gw.Sandbox(), "/premium/a")))
		})
	}
}
