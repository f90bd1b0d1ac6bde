package nwc

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// timing holds the waits of a transport, so that tests can be quick.
type timing struct {
	// dial bounds the making of a connection, write the sending of one message.
	dial, write time.Duration
	// ping is how often a connection is tried, pong how long the answer may take.
	ping, pong time.Duration
	// firstPause and lastPause bound the pause before a lost relay is dialed again; a call that
	// waits shortens it to wakePause.
	firstPause, lastPause, wakePause time.Duration
	// infoWait is how long the first call waits for a slow relay if another one works.
	infoWait time.Duration
}

var defaultTiming = timing{
	dial: 10 * time.Second, write: 10 * time.Second,
	ping: 30 * time.Second, pong: 10 * time.Second,
	firstPause: 500 * time.Millisecond, lastPause: 30 * time.Second, wakePause: 500 * time.Millisecond,
	infoWait: 3 * time.Second,
}

// transport is the traffic with one wallet service: a socket for each relay, the requests that wait
// for an answer and those who listen for notifications. Its goroutines start with the first call
// and end with close. It is safe for concurrent use.
type transport struct {
	keys   *keys
	logger func() *zap.Logger
	dial   func(ctx context.Context, url string) (*websocket.Conn, error)
	now    func() time.Time
	jitter func() float64
	timing timing

	// ctx ends when the transport is closed.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	links  []*link

	mu      sync.Mutex
	started bool
	closed  bool
	pending map[string]*pending
	feeds   map[*feed]struct{}
	info    *info
	// settled says that the first wait for the relays and the info event is over.
	settled bool
	// forced is the scheme that the wallet wants in spite of its info event, or empty.
	forced scheme
	// changed is closed and replaced when a link or the info changes.
	changed chan struct{}
}

func newTransport(k *keys, relays []string, logger func() *zap.Logger) *transport {
	s := &transport{
		keys: k, logger: logger, dial: dialRelay, now: time.Now, jitter: defaultJitter, timing: defaultTiming,
		pending: make(map[string]*pending), feeds: make(map[*feed]struct{}), changed: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for i, url := range relays {
		s.links = append(s.links, &link{s: s, index: i, url: url, host: hostOf(url), wake: make(chan struct{}, 1)})
	}
	return s
}

// dialRelay follows no redirect and asks for no compression, whose output has no bound.
func dialRelay(ctx context.Context, url string) (*websocket.Conn, error) {
	// Each relay is dialed once in a long time, so no connection is kept for the next time.
	client := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: client, CompressionMode: websocket.CompressionDisabled,
	})
	return ws, err
}

// start begins to dial, once.
func (s *transport) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if s.started {
		return nil
	}
	s.started = true
	for _, l := range s.links {
		// Owned by the transport: close ends it and waits.
		s.wg.Go(func() { l.run(s.ctx) })
	}
	return nil
}

var errClosed = fmt.Errorf("%w: the wallet is closed: %w", wallets.ErrUnavailable, net.ErrClosed)

// close ends all goroutines and fails all requests. A second time it does nothing.
func (s *transport) close() {
	s.mu.Lock()
	s.closed = true
	for _, p := range s.pending {
		p.finish(outcome{err: errClosed})
	}
	s.broadcast()
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// broadcast wakes those who wait for a change; s.mu is held.
func (s *transport) broadcast() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// currentInfo gives the latest info event, or nil.
func (s *transport) currentInfo() *info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// suspect has the connections tried, since an answer did not come.
func (s *transport) suspect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l.conn != nil {
			nudge(l.conn.suspect)
		}
	}
}

// nudge puts a token into a channel that holds one.
func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// listeners gives the feeds at this moment.
func (s *transport) listeners() []*feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*feed, 0, len(s.feeds))
	for f := range s.feeds {
		out = append(out, f)
	}
	return out
}
