package caddyl402

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/limit"
)

// What outlives a configuration: connections to wallets, and what clients did. The keys name the
// resource and not the configuration, so that a reload finds it again.
var (
	cashiers  = caddy.NewUsagePool()
	limiters  = caddy.NewUsagePool()
	notifiers = caddy.NewUsagePool()
	markets   = caddy.NewUsagePool() // of exchange rates
	programs  = caddy.NewUsagePool() // that tell prices
)

// pooled is a reference that has to be given back.
type pooled struct {
	pool *caddy.UsagePool
	key  any
}

// limiterBox makes a Limiter fit for a pool.
type limiterBox struct{ *limit.Limiter }

// Destruct implements caddy.Destructor; memory is all that a Limiter holds.
func (*limiterBox) Destruct() error { return nil }
