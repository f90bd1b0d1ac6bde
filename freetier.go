package caddyl402

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/free"
	"github.com/caddy-l402/caddy-l402/internal/limit"
	"github.com/caddy-l402/caddy-l402/internal/paywall"
)

// Free is what clients get for nothing.
type Free struct {
	// How many requests without a credential are free in a window. Required.
	Requests int `json:"requests,omitempty"`

	// The window, which begins with a client's first request. Required.
	Window caddy.Duration `json:"window,omitempty"`

	// What tells clients apart, with placeholders. Where it comes out empty, and by default, it
	// is the client's IPv4 address or IPv6 /64. Do not use what a client can choose freely.
	Key string `json:"key,omitempty"`
}

// The headers of the free tier.
const (
	headerFreeLimit     = "RateLimit-Limit"
	headerFreeRemaining = "RateLimit-Remaining"
	headerFreeReset     = "RateLimit-Reset"
)

// gift tells whether a request without a credential is free.
func (h *Handler) gift(w http.ResponseWriter, r *http.Request) bool {
	if h.Free == nil {
		return false
	}
	client := ""
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok && h.Free.Key != "" {
		client = repl.ReplaceAll(h.Free.Key, "")
	}
	if client == "" {
		client = limit.Prefix(clientAddr(r)).String()
	}
	allowance := free.Allowance{Requests: h.Free.Requests, Window: time.Duration(h.Free.Window)}
	standing := h.freeCounter.Take(client, allowance, time.Now())
	header := w.Header()
	header.Set(headerFreeLimit, strconv.Itoa(standing.Limit))
	header.Set(headerFreeRemaining, strconv.Itoa(standing.Remaining))
	header.Set(headerFreeReset, strconv.FormatInt(int64(standing.Reset/time.Second), 10))
	paywall.Expose(header, r, headerFreeLimit, headerFreeRemaining, headerFreeReset)
	if standing.Allowed {
		metrics.gave(h.Service)
	}
	return standing.Allowed
}

// freeCounters are the counters by service; they outlive reloads.
var freeCounters = caddy.NewUsagePool()

type freeBox struct{ *free.Counter }

// Destruct implements caddy.Destructor; memory is all that a Counter holds.
func (freeBox) Destruct() error { return nil }

// freeCounter takes the counter of a service from the pool.
func (a *App) freeCounter(service string) (*free.Counter, error) {
	value, _, err := freeCounters.LoadOrNew(service, func() (caddy.Destructor, error) {
		return freeBox{free.New(free.MaxClients)}, nil
	})
	if err != nil {
		return nil, err
	}
	counter := value.(freeBox).Counter
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pooled = append(a.pooled, pooled{freeCounters, service})
	if a.gifts == nil {
		a.gifts = make(map[string]*free.Counter)
	}
	a.gifts[service] = counter
	return counter, nil
}

// processName tells this process from others that share its storage.
var processName = func() string {
	var name [8]byte
	_, _ = rand.Read(name[:]) // never fails
	return hex.EncodeToString(name[:])
}()

// shareGifts tells other instances what was given away, and hears it from them, until ctx ends.
func (a *App) shareGifts(ctx context.Context) {
	tick := time.NewTicker(free.ShareEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var err error
		for service, counter := range a.gifts {
			bounded, cancel := context.WithTimeout(ctx, free.ShareEvery)
			if failed := counter.Share(bounded, a.ctx.Storage(), processName, hex.EncodeToString([]byte(service)), time.Now()); failed != nil {
				err = failed
			}
			cancel()
		}
		if err != nil && !failing && ctx.Err() == nil {
			a.logger.Warn("free requests are counted by each instance alone", zap.Error(err))
		}
		failing = err != nil
	}
}
