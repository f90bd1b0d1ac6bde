package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// TestStorageAway takes Redis away under two kinds of paid tokens: those that are good for a time
// pass as ever, those whose uses must be counted get 503 until Redis is back. The log says so once.
func TestStorageAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]outage{
		"stopped": {down: (*redis).stop, up: (*redis).start},
		"frozen": {
			down: func(r *redis, t *testing.T) { signalled(t, r.process.Pause()) },
			up:   func(r *redis, t *testing.T) { signalled(t, r.process.Resume()) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			away.happens(t)
		})
	}
}

func signalled(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outage is how Redis goes away and comes back.
type outage struct{ down, up func(*redis, *testing.T) }

func (o outage) happens(t *testing.T) {
	program, err := redisCaddy()
	if err != nil {
		t.Fatal(err)
	}
	storage := startRedis(t)
	c := newCounted(t, "uses 1000")
	c.options.Binary, c.options.StorageModule = program, storage.Module
	gw := c.instance()
	metered, timed := gw.Buy(t, gw.Sandbox(), "/premium/a"), gw.Buy(t, gw.Sandbox(), "/time/a")
	passes(t, gw, c.up, "/premium/a", client.Auth(metered))
	passes(t, gw, c.up, "/time/a", client.Auth(timed))

	before := len(gw.Log())
	o.down(storage, t)
	back := false
	defer func() {
		if !back {
			o.up(storage, t) // the gateway's end wants to write
		}
	}()
	begin, used := time.Now(), 0
	for gw.Get(t, "/premium/a", client.Auth(metered)).StatusCode == http.StatusOK {
		if used++; time.Since(begin) > 20*time.Second {
			t.Fatal("for 20 s uses pass that cannot be written down")
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("without Redis %d uses passed from memory in %s", used, time.Since(begin).Round(time.Millisecond))
	for range 200 {
		resp := gw.Want(t, http.StatusServiceUnavailable, "/premium/a", client.Auth(metered))
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || s < 1 {
			t.Fatalf("503 with Retry-After %q, want seconds", resp.Header.Get("Retry-After"))
		}
		passes(t, gw, c.up, "/time/a", client.Auth(timed))
	}
	// Long enough for all that looks at the storage from time to time.
	time.Sleep(time.Until(begin.Add(16 * time.Second)))
	gw.Want(t, http.StatusServiceUnavailable, "/premium/a", client.Auth(metered))
	passes(t, gw, c.up, "/time/a", client.Auth(timed))
	complaints(t, gw, before)

	back = true
	o.up(storage, t)
	begin = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = proc.Poll(ctx, "metered tokens to pass again", func() error {
		if s := gw.Get(t, "/premium/a", client.Auth(metered)).StatusCode; s != http.StatusOK {
			return statusError(s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("metered tokens pass %s after Redis is back", time.Since(begin).Round(time.Millisecond))
	passes(t, gw, c.up, "/premium/a", client.Auth(gw.Buy(t, gw.Sandbox(), "/premium/a")))
	// What was spent and paid in between is not lost.
	reports(t, gw, map[string]int64{"shop": 2, "time": 1})
}

// complaints checks the warnings and errors in the log from an offset on: some, and each once.
func complaints(t *testing.T, gw *gateway.Gateway, from int) {
	t.Helper()
	count := make(map[string]int)
	for line := range strings.Lines(gw.Log()[from:]) {
		var entry struct{ Level, Logger, Msg, Step string }
		if json.Unmarshal([]byte(line), &entry) != nil || (entry.Level != "warn" && entry.Level != "error") {
			continue
		}
		if strings.HasPrefix(entry.Logger, "l402") || strings.HasPrefix(entry.Logger, "http.handlers.l402") {
			count[fmt.Sprint(entry.Logger, ": ", entry.Msg, " ", entry.Step)]++
		}
	}
	if len(count) == 0 {
		t.Error("the log says nothing of a storage that is gone")
	}
	for message, n := range count {
		t.Logf("%d× %s", n, message)
		if n > 1 {
			t.Errorf("the log says %d times: %s", n, message)
		}
	}
}
