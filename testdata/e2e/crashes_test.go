package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
)

// The crashes of TestCrashUnderLoad and the payments that are used up around each.
const crashes, tokensPerCrash = 25, 12

// ticket is a payment of one request and what became of it.
type ticket struct {
	token client.Token
	path  string
	mu    sync.Mutex
	// sent says that somebody asked with it, answered how many got 200.
	sent     bool
	answered int
}

// TestCrashUnderLoad kills a gateway at random moments while payments of one request are used, each
// by three clients at the same time. What was answered before the crash is never answered again;
// what nobody asked for before is still good; what was under way may be either.
func TestCrashUnderLoad(t *testing.T) {
	onStorages(t, "uses 1", func(t *testing.T, c *counted) {
		gw := c.instance()
		count := map[string]int{}
		for range crashes {
			tickets := make([]*ticket, tokensPerCrash)
			for i := range tickets {
				tickets[i] = &ticket{token: gw.Buy(t, gw.Sandbox(), "/premium/a"), path: fmt.Sprintf("/premium/%d", i)}
			}
			useThenKill(t, gw, tickets)
			if err := gw.Run(t.Context()); err != nil {
				t.Fatalf("after a crash: %v", err)
			}
			for _, k := range tickets {
				count[settle(t, gw, k)]++
			}
		}
		t.Logf("%d crashes: %v", crashes, count)
		for _, outcome := range []string{"answered before", "good after"} {
			if count[outcome] == 0 {
				t.Errorf("no payment was %s the crash: the crashes came at the wrong moments", outcome)
			}
		}
		if strings.Contains(gw.Log(), "ledger object is damaged") {
			t.Error("a crash damaged the ledger")
		}
	})
}

// useThenKill lets clients use the payments, one after the other, and kills the gateway meanwhile.
func useThenKill(t *testing.T, gw *gateway.Gateway, tickets []*ticket) {
	t.Helper()
	var clients sync.WaitGroup
	for range 3 {
		// Ends with the payments or with the gateway.
		clients.Go(func() {
			for _, k := range tickets {
				k.mu.Lock()
				k.sent = true
				k.mu.Unlock()
				resp, err := gw.Try(t.Context(), http.MethodGet, k.path, client.Auth(k.token))
				if err != nil {
					return
				}
				if resp.StatusCode == http.StatusOK {
					k.mu.Lock()
					k.answered++
					k.mu.Unlock()
				}
			}
		})
	}
	time.Sleep(rand.N(120 * time.Millisecond))
	gw.Kill()
	clients.Wait()
}

// settle uses a payment after the crash until it is used up and tells what became of it.
func settle(t *testing.T, gw *gateway.Gateway, k *ticket) string {
	t.Helper()
	if k.answered > 1 {
		t.Fatalf("a payment of one request was answered %d times before a crash", k.answered)
	}
	passed := 0
	for begin := time.Now(); ; {
		resp := gw.Get(t, k.path, client.Auth(k.token))
		if resp.StatusCode == http.StatusPaymentRequired {
			break
		}
		switch {
		case resp.StatusCode == http.StatusOK:
			passed++
		case resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusTooManyRequests:
			t.Fatalf("after a crash: status %d: %s", resp.StatusCode, resp.Text)
		case time.Since(begin) > 30*time.Second:
			t.Fatalf("30 s after a crash the answer is still %d: %s", resp.StatusCode, resp.Text)
		}
	}
	switch {
	case passed > 1, passed == 1 && k.answered == 1:
		t.Fatalf("a payment of one request was answered %d times before and %d times after a crash", k.answered, passed)
	case k.answered == 1:
		return "answered before"
	case !k.sent && passed == 0:
		t.Fatal("a crash took a payment that nobody had used")
	case !k.sent:
		return "untouched before, good after"
	case passed == 1:
		return "good after"
	}
	return "under way and spent"
}
