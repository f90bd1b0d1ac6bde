package e2e

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/relay"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestSlowWallet asks for prices at a gateway whose LND is 300 ms away. With invoices that are made
// beforehand, nobody waits for it. Times are reported and not judged, but for this: whoever gets an
// invoice from the shelf cannot have waited for the wallet.
func TestSlowWallet(t *testing.T) {
	const roundTrip = 300 * time.Millisecond
	net, up := network(t), upstream.Start(t)
	wire := relay.StartSlow(t, net.Bob.Addr(), roundTrip)
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Global: lndOptionsAt(net.Bob, wire.Addr), Site: shop(up, "limit off", "prefetch 48"), Level: "INFO",
	})
	challengeSoon(t, gw)
	cold := medianOf(t, 3, func() { gw.Challenge(t, "/premium/a") })
	var warm sync.WaitGroup
	for range 64 {
		// Ends with its answer.
		warm.Go(func() { gw.Get(t, "/premium/a") })
	}
	warm.Wait()
	time.Sleep(3 * roundTrip) // until the shelf is full

	seen := make(map[string]bool)
	var times []time.Duration
	for range 200 {
		begin := time.Now()
		ch := gw.Challenge(t, "/premium/a")
		times = append(times, time.Since(begin))
		if seen[ch.PaymentHash] {
			t.Fatal("an invoice was given to two clients")
		}
		seen[ch.PaymentHash] = true
		time.Sleep(10 * time.Millisecond)
	}
	slices.Sort(times)
	t.Logf("402 with a wallet %s away: p50 %s, p90 %s, p99 %s, max %s; before the shelf was filled %s",
		roundTrip, times[100], times[180], times[198], times[199], cold)
	if times[100] >= roundTrip {
		t.Error("every other client waited for the wallet, as if no invoice had been made beforehand")
	}
	passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, net.Alice, "/premium/a")))
}

// TestHangingWalletSlowsNobody compares paid and free requests beside a wallet that works with those
// beside one that hangs, while others ask for prices.
func TestHangingWalletSlowsNobody(t *testing.T) {
	net, gw, up := lndShop(t, "limit off", "prefetch off")
	token := gw.Buy(t, net.Alice, "/premium/a")
	const samples = 300
	measure := func() (paid, free time.Duration) {
		t.Helper()
		paid = medianOf(t, samples, func() { gw.Want(t, http.StatusOK, "/premium/a", client.Auth(token)) })
		free = medianOf(t, samples, func() { gw.Want(t, http.StatusOK, "/free") })
		return paid, free
	}
	measure() // warms everything up
	paid, free := measure()

	if err := net.Bob.Pause(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 8 {
		// Ends with the channel stop and the answer that it waits for.
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
				resp, err := gw.Try(t.Context(), http.MethodGet, "/premium/a")
				// Those that wait when LND goes on get their invoices.
				if err == nil && resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusPaymentRequired {
					t.Errorf("an unpaid request got %d beside a wallet that hangs", resp.StatusCode)
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	hungPaid, hungFree := measure()
	close(stop)
	if err := net.Bob.Resume(); err != nil {
		t.Error(err)
	}
	others.Wait()
	t.Logf("medians with a working and a hanging wallet: paid %s and %s, free %s and %s", paid, hungPaid, free, hungFree)
	for what, pair := range map[string][2]time.Duration{"paid": {paid, hungPaid}, "free": {free, hungFree}} {
		// A wait for the wallet would be a thousand times longer; a busy machine is not.
		if pair[1] > 20*pair[0] {
			t.Errorf("a hanging wallet slows %s requests from %s to %s", what, pair[0], pair[1])
		}
	}
	challengeSoon(t, gw)
	passes(t, gw, up, "/premium/a", client.Auth(gw.Buy(t, net.Alice, "/premium/a")))
}

// medianOf calls f n times and gives the median of the times.
func medianOf(t *testing.T, n int, f func()) time.Duration {
	t.Helper()
	times := make([]time.Duration, n)
	for i := range times {
		begin := time.Now()
		f()
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[n/2]
}
