package rates

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/fetch"
)

const (
	// keepFor is how long rates go on to be refreshed after somebody last asked for them.
	keepFor = 10 * time.Minute
	// retryAfter is how long an error is the answer to all who ask, before sources are asked
	// again on their account.
	retryAfter = 5 * time.Second
)

// Host is what one configuration lends to a Market.
type Host struct {
	Settings Settings
	Logger   *zap.Logger
}

// Market knows the rates of any number of currencies from one set of sources. It is safe for
// concurrent use. It asks nobody before Attach and before the first question for a rate.
type Market struct {
	sources   []Source
	transport http.RoundTripper
	// Now is the clock. It must not be changed after the first use.
	Now func() time.Time

	mu     sync.Mutex
	hosts  []*Host
	shift  *shift // set while there are hosts
	boards map[Currency]*board
	trying map[string]string // what is wrong with a source, by currency and source
}

// shift is the time in which a Market may ask its sources, from the first Attach to the last Detach.
type shift struct {
	ctx     context.Context
	end     context.CancelFunc
	work    sync.WaitGroup
	looping bool
	wake    chan struct{} // tells the loop of new settings
}

// board is what is known of one currency.
type board struct {
	verdict
	asked time.Time     // when somebody last asked for it
	begun time.Time     // when the last round began
	ended time.Time     // when the last round ended
	round chan struct{} // closed at the end of the round that runs; nil while none does
}

// New makes a Market. Transport carries the questions; nil makes one that verifies servers by the
// authorities that the system trusts.
func New(sources []Source, transport http.RoundTripper) *Market {
	if transport == nil {
		transport = fetch.NewTransport(nil)
	}
	return &Market{
		sources: slices.Clone(sources), transport: transport, Now: time.Now,
		boards: make(map[Currency]*board), trying: make(map[string]string),
	}
}

// Attach lends a configuration's means to the market and applies its settings. The same pointer is
// given to Detach later.
func (m *Market) Attach(h *Host) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hosts = append(m.hosts, h)
	if m.shift == nil {
		ctx, end := context.WithCancel(context.Background())
		m.shift = &shift{ctx: ctx, end: end, wake: make(chan struct{}, 1)}
		return
	}
	select {
	case m.shift.wake <- struct{}{}:
	default:
	}
}

// Detach takes back what Attach lent; the settings of the configuration before apply again. The
// last one ends what runs in the background and waits for it. The rates stay in memory.
func (m *Market) Detach(h *Host) {
	m.mu.Lock()
	i := slices.Index(m.hosts, h)
	if i < 0 {
		m.mu.Unlock()
		return
	}
	m.hosts = slices.Delete(m.hosts, i, i+1)
	if len(m.hosts) > 0 {
		m.mu.Unlock()
		return
	}
	over := m.shift
	m.shift = nil
	m.mu.Unlock()
	over.end()
	over.work.Wait()
}

// Destruct closes connections that are idle. It implements caddy.Destructor.
func (m *Market) Destruct() error {
	if t, ok := m.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// host is what counts at the moment. The caller holds mu.
func (m *Market) host() *Host {
	if len(m.hosts) == 0 {
		return &Host{Logger: zap.NewNop()}
	}
	return m.hosts[len(m.hosts)-1]
}

// Rate gives the rate of a currency. Where none is at hand it asks the sources, or waits for the
// answers that others wait for already, until ctx ends. All errors wrap ErrNoRate.
func (m *Market) Rate(ctx context.Context, c Currency) (Rate, error) {
	for first := true; ; first = false {
		m.mu.Lock()
		now, s := m.Now(), m.host().Settings.withDefaults()
		if err := s.Serves(m.sources, c); err != nil {
			m.mu.Unlock()
			return Rate{}, fmt.Errorf("%w for %s: %w", ErrNoRate, c, err)
		}
		b := m.board(c)
		b.asked = now
		m.keepLoop()
		switch {
		case b.usable(s, now):
			defer m.mu.Unlock()
			return b.rate, nil
		case b.round == nil && b.err != nil && (!first || now.Sub(b.ended) < retryAfter || b.doubt && now.Sub(b.begun) < s.Refresh):
			// A jump is confirmed by rounds that are apart in time, not by many requests.
			defer m.mu.Unlock()
			return Rate{}, b.err
		case b.round == nil && !first:
			defer m.mu.Unlock()
			return Rate{}, fmt.Errorf("%w for %s: %w", ErrNoRate, c, ErrStale)
		case b.round == nil && !m.begin(c, b):
			defer m.mu.Unlock()
			return Rate{}, fmt.Errorf("%w for %s: the configuration is not loaded yet or any more", ErrNoRate, c)
		}
		round := b.round
		m.mu.Unlock()
		select {
		case <-round:
		case <-ctx.Done():
			return Rate{}, fmt.Errorf("%w for %s: waiting for the sources: %w", ErrNoRate, c, ctx.Err())
		}
	}
}

// Peek gives the rate of a currency if one is at hand. It never waits; where none is, the sources
// are asked in the background for those who come later.
func (m *Market) Peek(c Currency) (Rate, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, s := m.Now(), m.host().Settings.withDefaults()
	if s.Serves(m.sources, c) != nil {
		return Rate{}, false
	}
	b := m.board(c)
	b.asked = now
	m.keepLoop()
	if b.usable(s, now) {
		return b.rate, true
	}
	if b.round == nil && now.Sub(b.begun) >= s.Refresh {
		m.begin(c, b)
	}
	return Rate{}, false
}

// RetryAfter is when to ask again after an error.
func (m *Market) RetryAfter() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return min(m.host().Settings.withDefaults().Refresh, time.Minute)
}

// board finds what is known of a currency. The caller holds mu.
func (m *Market) board(c Currency) *board {
	b := m.boards[c]
	if b == nil {
		b = new(board)
		m.boards[c] = b
	}
	return b
}

// inUse tells whether somebody asked lately.
func (b *board) inUse(s Settings, now time.Time) bool {
	return !b.asked.IsZero() && now.Sub(b.asked) <= max(keepFor, 3*s.Refresh)
}

// State is what a Market knows of a currency, for operators.
type State struct {
	Currency Currency
	// PerBTC is the rate in use, rounded; it is for metrics and not for prices.
	PerBTC float64
	// Age is that of the rate; it is negative where none was ever learned.
	Age time.Duration
	// Sources is how many sources agreed on it.
	Sources int
	// Usable tells whether prices are made of it.
	Usable bool
	// InUse tells whether somebody asked for it lately. A rate that is not in use is not
	// refreshed, so that its age is no fault.
	InUse bool
	// Err is why the last round gave no rate; nil where it gave one.
	Err error
}

// States are those of all currencies that were asked for, by code.
func (m *Market) States() []State {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, s := m.Now(), m.host().Settings.withDefaults()
	list := make([]State, 0, len(m.boards))
	for c, b := range m.boards {
		state := State{Currency: c, Age: -1, Usable: b.usable(s, now), InUse: b.inUse(s, now), Err: b.err}
		if b.rate.PerBTC != nil {
			state.PerBTC, _ = b.rate.PerBTC.Float64()
			state.Age, state.Sources = max(0, now.Sub(b.rate.At)), b.rate.Sources
		}
		list = append(list, state)
	}
	slices.SortFunc(list, func(a, b State) int {
		if a.Currency < b.Currency {
			return -1
		}
		return 1
	})
	return list
}

// Guards: a Market is kept in a pool of Caddy's.
var _ caddy.Destructor = (*Market)(nil)
