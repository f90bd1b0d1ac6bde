package rates

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/fetch"
)

// begin starts a round of questions for a currency, or returns false where no configuration is
// there for it. The caller holds mu, and no round runs for the currency.
func (m *Market) begin(c Currency, b *board) bool {
	if m.shift == nil {
		return false
	}
	done := make(chan struct{})
	b.round, b.begun = done, m.Now()
	ctx, host := m.shift.ctx, m.host()
	m.shift.work.Go(func() { // owned by the shift; ends with the deadlines of its calls
		defer close(done)
		m.ask(ctx, host, c, b)
	})
	return true
}

// reply is what came of asking one source.
type reply struct {
	name string
	quote
	err error
}

// ask asks all sources of a currency at once and takes in what they say.
func (m *Market) ask(ctx context.Context, host *Host, c Currency, b *board) {
	settings := host.Settings.withDefaults()
	client := &fetch.Client{Transport: m.transport, Timeout: settings.Timeout}
	replies := make([]reply, 0, len(m.sources))
	for _, source := range m.sources {
		if source.serves(c) {
			replies = append(replies, reply{name: source.Name})
		}
	}
	var asking sync.WaitGroup
	i := 0
	for _, source := range m.sources {
		if !source.serves(c) {
			continue
		}
		to := &replies[i]
		i++
		asking.Go(func() { to.quote, to.err = source.ask(ctx, client, c, m.Now) }) // ends with its deadline
	}
	asking.Wait()

	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.Now()
	b.round, b.ended = nil, now
	if ctx.Err() != nil {
		return // cut off: that says nothing of the rate
	}
	var quotes []quote
	for i := range replies {
		r := &replies[i]
		if r.err == nil && (now.Sub(r.at) > settings.MaxAge || r.at.Sub(now) > settings.MaxAge) {
			r.err = fmt.Errorf("%w %s: its price is of another time: %s", ErrSource, r.name, r.at.UTC().Format(time.RFC3339))
		}
		if r.err == nil {
			if r.at.After(now) {
				r.at = now
			}
			quotes = append(quotes, r.quote)
		}
	}
	before := b.err
	outliers := b.conclude(settings, c, quotes, len(replies), now)
	m.report(host.Logger, c, b, before, replies, outliers)
}

// report logs what changed: sources that fail or are far from the others, and whether there is a
// rate. The caller holds mu.
func (m *Market) report(log *zap.Logger, c Currency, b *board, before error, replies []reply, outliers []string) {
	for _, r := range replies {
		key, trouble := string(c)+" "+r.name, ""
		if r.err != nil {
			trouble = "fails"
		}
		for _, name := range outliers {
			if name == r.name {
				trouble = "deviates"
			}
		}
		if m.trying[key] == trouble {
			continue
		}
		m.trying[key] = trouble
		fields := []zap.Field{zap.String("source", r.name), zap.String("currency", string(c))}
		switch trouble {
		case "fails":
			log.Warn("source of exchange rates fails", append(fields, zap.Error(r.err))...)
		case "deviates":
			log.Warn("source of exchange rates is far from the others and left out", fields...)
		default:
			log.Info("source of exchange rates is believed again", fields...)
		}
	}
	currency := zap.String("currency", string(c))
	switch {
	case b.err != nil && (before == nil || reason(b.err) != reason(before)):
		log.Warn("exchange rate cannot be renewed", currency, zap.Error(b.err))
	case b.err == nil && before != nil:
		log.Info("exchange rate is known again", currency)
	}
}

// reason is the sentinel that an error of a round wraps.
func reason(err error) error {
	for _, sentinel := range []error{ErrStale, ErrDisagree, ErrJump} {
		if errors.Is(err, sentinel) {
			return sentinel
		}
	}
	return nil
}

// keepLoop makes sure that rates in use are refreshed. The caller holds mu.
func (m *Market) keepLoop() {
	s := m.shift
	if s == nil || s.looping {
		return
	}
	s.looping = true
	s.work.Go(func() { m.loop(s) }) // owned by the shift; ends with it, or when no rate is in use
}

// loop refreshes the rates that are in use.
func (m *Market) loop(s *shift) {
	for {
		m.mu.Lock()
		now, settings := m.Now(), m.host().Settings.withDefaults()
		every := settings.Refresh
		used := false
		wait := every
		for c, b := range m.boards {
			if !b.inUse(settings, now) {
				continue
			}
			used = true
			due := b.begun.Add(every).Sub(now)
			switch {
			case b.round != nil || b.begun.IsZero():
				// It runs, or whoever asked is about to begin it.
			case due > 0:
				wait = min(wait, due)
			case m.shift == s:
				m.begin(c, b)
			}
		}
		if !used {
			s.looping = false
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-s.ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}
