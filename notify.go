package caddyl402

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/notify"
)

// eventSettled is the name of the event of a payment that arrived, for web servers and for the
// handlers of Caddy's events.
const eventSettled = "l402_settled"

// Notification is a web server that is told of each payment by a signed POST. See the
// documentation for the form of the request and for how to check its signature.
type Notification struct {
	// Where the POST goes: an https URL, or an http one on this machine. Placeholders such as
	// {env.HOOK} are replaced when the configuration is loaded. Required.
	URL string `json:"url,omitempty"`

	// What requests are signed with: at least 16 bytes that the receiver knows too.
	// Placeholders are replaced. Required.
	Secret string `json:"secret,omitempty"`

	// How long the server may take to answer; it is asked again later. Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// notified is an open notification of a configuration.
type notified struct {
	notifier *notify.Notifier
	host     *notify.Host
}

// provisionNotify finds the notifiers of the settings in the pool, or makes them.
func (a *App) provisionNotify() error {
	repl := caddy.NewReplacer()
	seen := make(map[string]bool)
	for i, n := range a.Notify {
		var target notify.Target
		for _, text := range []struct {
			name, value string
			into        *string
		}{{"url", n.URL, &target.URL}, {"secret", n.Secret, &target.Secret}} {
			replaced, err := repl.ReplaceOrErr(text.value, true, true)
			if err != nil {
				return fmt.Errorf("notify %d: %s: %w", i+1, text.name, err)
			}
			*text.into = replaced
		}
		if n.Timeout < 0 {
			return fmt.Errorf("notify %d: timeout %v: use a duration such as 10s", i+1, time.Duration(n.Timeout))
		}
		id := target.ID()
		if seen[id] {
			return fmt.Errorf("notify %d: this target is given twice", i+1)
		}
		seen[id] = true
		value, _, err := notifiers.LoadOrNew(id, func() (caddy.Destructor, error) { return notify.New(target) })
		if err != nil {
			return fmt.Errorf("notify %d: %w", i+1, err)
		}
		a.mu.Lock()
		a.pooled = append(a.pooled, pooled{notifiers, id})
		a.mu.Unlock()
		a.notified = append(a.notified, notified{value.(*notify.Notifier), &notify.Host{
			Logger: a.logger.Named("notify"), Timeout: time.Duration(n.Timeout), Count: metrics.notified,
			Store: a.notifyStore,
		}})
	}
	return nil
}

// notifyStore keeps what is not delivered; nil while the ledger is not open.
func (a *App) notifyStore() notify.Store {
	if book := a.books.Ledger(); book != nil {
		return book
	}
	return nil
}

// startNotify lends this configuration's means to its notifiers.
func (a *App) startNotify() {
	for _, n := range a.notified {
		n.notifier.Attach(n.host)
	}
}

// stopNotify takes them back. What no other configuration delivers is kept in the ledger, which
// must still be open.
func (a *App) stopNotify() {
	for _, n := range a.notified {
		n.notifier.Detach(n.host)
	}
}

// settledEvent is the JSON that a web server gets.
type settledEvent struct {
	Event      string          `json:"event"`
	ID         string          `json:"id"`
	Time       time.Time       `json:"time"`
	Settlement settlementFacts `json:"settlement"`
}

// tell tells all who want to know of a payment. It waits for nobody.
func (a *App) tell(s ledger.Settlement) {
	facts := factsOf(s)
	a.announce(facts)
	if len(a.notified) == 0 {
		return
	}
	body, err := json.Marshal(settledEvent{eventSettled, facts.PaymentHash, s.Time.UTC(), facts})
	if err != nil {
		return // strings, numbers and times of this age always encode
	}
	for _, n := range a.notified {
		if !n.notifier.Send(facts.PaymentHash, body) {
			metrics.notified(notify.Lost) // it was stopped a moment ago
		}
	}
}

// parseNotify reads
//
//	notify <url> {
//		secret  <text>
//		timeout <duration>
//	}
func (a *App) parseNotify(d *caddyfile.Dispenser) error {
	n := new(Notification)
	if err := word(d, &n.URL); err != nil {
		return d.Err("expected `notify <url> { secret <text> }`")
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		if seen[option] {
			return d.Errf("option %q of notify is given twice", option)
		}
		seen[option] = true
		switch option {
		case "secret":
			if err := word(d, &n.Secret); err != nil {
				return err
			}
		case "timeout":
			if err := duration(d, &n.Timeout); err != nil {
				return err
			}
		default:
			return d.Errf("unknown option %q of notify: use secret or timeout", option)
		}
	}
	a.Notify = append(a.Notify, n)
	return nil
}
