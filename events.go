package caddyl402

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"
)

const (
	// maxAnnouncements is how many payments wait for the handlers of Caddy's events; of more, the
	// oldest are dropped.
	maxAnnouncements = 4096
	// activeAfter is how long to wait between looks at whether the configuration is active.
	activeAfter = 20 * time.Millisecond
)

// announcer emits Caddy's event l402_settled. Handlers of events run where they are emitted and may
// take any time, so that has a goroutine of its own, away from all requests.
type announcer struct {
	events *caddyevents.App
	queue  chan settlementFacts
	done   chan struct{} // closed when the configuration is stopped
}

func (a *App) provisionEvents(ctx caddy.Context) error {
	app, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("getting the events app: %w", err)
	}
	a.announcer.events = app.(*caddyevents.App)
	a.announcer.queue, a.announcer.done = make(chan settlementFacts, maxAnnouncements), make(chan struct{})
	return nil
}

// announce has the event of a payment emitted. It waits for nothing.
func (a *App) announce(facts settlementFacts) {
	to := &a.announcer
	select {
	case <-to.done:
		// A request that outlives its configuration is told of by the one that runs now.
		if active, err := activeApp(); err == nil && active != a {
			active.announce(facts)
		}
		return
	default:
	}
	for {
		select {
		case to.queue <- facts:
			return
		default:
		}
		select {
		case <-to.queue:
			metrics.notified("event_dropped")
		default:
		}
	}
}

// runAnnouncer emits events until the configuration is stopped. Nobody waits for it, since a handler
// may not return.
func (a *App) runAnnouncer(ctx context.Context) {
	to := &a.announcer
	if !a.waitActive(ctx) {
		return
	}
	origin := a.ctx
	origin.Context = ctx // handlers that look at it end with the configuration
	for {
		select {
		case <-ctx.Done():
			return
		case facts := <-to.queue:
			if to.events.ShouldEmit(eventSettled) {
				a.emit(origin, facts)
			}
		}
	}
}

// waitActive waits until all apps have started: the events app takes subscriptions in until then,
// and does so without a lock.
func (a *App) waitActive(ctx context.Context) bool {
	for {
		if active, err := activeApp(); err == nil && active == a {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(activeAfter):
		}
	}
}

func (a *App) emit(origin caddy.Context, facts settlementFacts) {
	defer func() {
		if what := recover(); what != nil {
			a.logger.Error("a handler of the event panicked", zap.String("event", eventSettled), zap.String("kind", fmt.Sprintf("%T", what)))
		}
	}()
	a.announcer.events.Emit(origin, eventSettled, map[string]any{
		"payment_hash": facts.PaymentHash, "time": facts.Time, "service": facts.Service, "tier": facts.Tier,
		"amount_msat": facts.AmountMsat, "wallet": facts.Wallet, "scheme": facts.Scheme, "token_id": facts.TokenID,
		"tenant": facts.Tenant,
	})
}
