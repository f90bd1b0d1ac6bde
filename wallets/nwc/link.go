package nwc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func defaultJitter() float64 { return rand.Float64() }

const (
	// maxQueue is how many lines may wait to be sent to one relay: all requests at once, after a
	// connection was made again, and what opens it.
	maxQueue = maxPending + 16
	// healthyAfter is how long a connection must hold for the next pause to be short again.
	healthyAfter = time.Minute

	subInfo   = "info"
	subWallet = "wallet"
)

// link is the one socket to a relay. The library's own relay client reads messages without bound
// and prints events to standard error, so the socket is handled here.
type link struct {
	s         *transport
	index     int
	url, host string
	// wake cuts the pause before the next dialing short; it holds one token.
	wake chan struct{}

	// What follows is guarded by s.mu.

	// conn is nil while there is no connection.
	conn *conn
	// fails counts the connections that were lost or never made, err is why the last one was.
	fails int
	err   error
	// infoDone says that this connection's relay has sent the info event if it has one,
	// walletDone that it knows where answers go.
	infoDone, walletDone bool
	// challenge is what the relay wants signed (NIP-42), authID the event that does so.
	challenge, authID string
	authDone          bool
}

// conn is one connection's way out.
type conn struct {
	out     chan []byte
	suspect chan struct{}
	// lines counts what was read.
	lines atomic.Int64
}

// send queues a line; it never waits.
func (c *conn) send(line []byte) bool {
	select {
	case c.out <- line:
		return true
	default:
		return false
	}
}

// poke has a lost link dialed soon; s.mu is held.
func (l *link) poke() {
	if l.conn == nil {
		nudge(l.wake)
	}
}

// offer sends a request that waits for this relay; first says that no relay got it earlier. s.mu is
// held.
func (l *link) offer(p *pending, first bool) {
	switch {
	case l.conn == nil:
		l.poke()
	case !l.walletDone:
		// A request now could be answered before the relay knows whom to tell.
	case p.over || p.legs[l.index] != legWaiting:
	case l.conn.send(p.line):
		p.legs[l.index], p.first[l.index] = legSent, first
	default:
		p.fail(l.index, fmt.Errorf("%w: relay %s does not keep up", wallets.ErrRateLimited, l.host))
	}
}

// run keeps the connection until ctx ends.
func (l *link) run(ctx context.Context) {
	pause := l.s.timing.firstPause
	quiet := false
	for {
		began := l.s.now()
		connected, err := l.serve(ctx)
		l.lost(err)
		if ctx.Err() != nil {
			return
		}
		if connected {
			quiet = false
		}
		if connected && l.s.now().Sub(began) >= healthyAfter {
			pause = l.s.timing.firstPause
		}
		wait := time.Duration((0.5 + l.s.jitter()) * float64(pause))
		pause = min(pause*2, l.s.timing.lastPause)
		// The first failure in a row is news, the others are not.
		log := l.s.logger().Warn
		if quiet {
			log = l.s.logger().Debug
		}
		quiet = true
		log("nostr relay lost", zap.String("relay", l.host), zap.Duration("retry_in", wait), zap.Error(err))
		l.rest(ctx, wait)
	}
}

// rest waits, but no longer than wakePause when a call wants the relay.
func (l *link) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	soonest := time.NewTimer(l.s.timing.wakePause)
	defer soonest.Stop()
	woken, early := false, true
	for !woken || early {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-l.wake:
			woken = true
		case <-soonest.C:
			early = false
		}
	}
}

// serve makes a connection and reads from it to its end.
func (l *link) serve(ctx context.Context) (connected bool, err error) {
	dialCtx, cancelDial := context.WithTimeout(ctx, l.s.timing.dial)
	ws, err := l.s.dial(dialCtx, l.url)
	cancelDial()
	if err != nil {
		return false, l.failure("connecting", err)
	}
	// The bound is kept below, where it can be told from a lost connection.
	ws.SetReadLimit(-1)
	ctx, cancel := context.WithCancelCause(ctx)
	c := &conn{out: make(chan []byte, maxQueue), suspect: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	// Both are owned by this call: cancel ends them and the call waits.
	wg.Go(func() { cancel(l.write(ctx, ws, c)) })
	wg.Go(func() { cancel(l.watch(ctx, ws, c)) })
	l.established(c)
	err = l.read(ctx, ws, c)
	if cause := context.Cause(ctx); cause != nil {
		// What the other goroutines saw is why reading ended.
		err = cause
	}
	cancel(err)
	_ = ws.CloseNow() // The connection is given up, whatever it says to that.
	wg.Wait()
	return true, l.failure("reading", err)
}

// failure names the relay and hides the rest of its URL, which may hold a token.
func (l *link) failure(step string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, wallets.ErrBadAnswer) || errors.Is(err, wallets.ErrUnavailable) {
		return fmt.Errorf("%s at relay %s: %w", step, l.host, err)
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	return fmt.Errorf("%w: %s at relay %s: %s", wallets.ErrUnavailable, step, l.host, clean(err.Error()))
}

// write sends what is queued.
func (l *link) write(ctx context.Context, ws *websocket.Conn, c *conn) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line := <-c.out:
			// The library closes the connection when this context ends, so it must be
			// none of a caller's.
			writeCtx, cancel := context.WithTimeout(ctx, l.s.timing.write)
			err := ws.Write(writeCtx, websocket.MessageText, line)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// watch pings, so that a connection that died in silence is noticed. It also goes on without a relay
// that does not say when it has sent all.
func (l *link) watch(ctx context.Context, ws *websocket.Conn, c *conn) error {
	ticker := time.NewTicker(l.s.timing.ping)
	defer ticker.Stop()
	patience := time.NewTimer(l.s.timing.infoWait)
	defer patience.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			l.ready(c, subInfo, subWallet)
			continue
		case <-ticker.C:
		case <-c.suspect:
		}
		before := c.lines.Load()
		pingCtx, cancel := context.WithTimeout(ctx, l.s.timing.pong)
		err := ws.Ping(pingCtx)
		cancel()
		// On a busy connection the answer stands in line behind others.
		if err != nil && c.lines.Load() == before {
			return fmt.Errorf("%w: no answer to a ping", wallets.ErrUnavailable)
		}
	}
}

// read takes messages until the connection ends.
func (l *link) read(ctx context.Context, ws *websocket.Conn, c *conn) error {
	var buf bytes.Buffer
	for {
		kind, r, err := ws.Reader(ctx)
		if err != nil {
			return err
		}
		c.lines.Add(1)
		buf.Reset()
		n, err := buf.ReadFrom(io.LimitReader(r, maxMessage+1))
		if err != nil {
			return err
		}
		if n > maxMessage {
			return fmt.Errorf("%w: a message of more than %d bytes", wallets.ErrBadAnswer, maxMessage)
		}
		if kind != websocket.MessageText {
			continue
		}
		m, err := parseMessage(buf.Bytes())
		if err != nil {
			l.s.logger().Debug("malformed line from nostr relay", zap.String("relay", l.host), zap.Error(err))
			continue
		}
		if err := l.handle(c, m); err != nil {
			return err
		}
	}
}

// established publishes the new connection. Listeners are told before any notification can come;
// requests wait until the relay knows of the subscriptions.
func (l *link) established(c *conn) {
	for _, f := range l.s.listeners() {
		f.reconnected()
	}
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	l.conn, l.infoDone, l.walletDone = c, false, false
	l.challenge, l.authID, l.authDone = "", "", false
	l.subscribe()
	s.broadcast()
	s.logger().Info("nostr relay connected", zap.String("relay", l.host))
}

// lost forgets the connection and fails what waited for this relay.
func (l *link) lost(err error) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	l.conn, l.err = nil, err
	l.fails++
	for _, p := range s.pending {
		p.lose(l.index, err)
	}
	select {
	case <-l.wake: // those who poked have just been told
	default:
	}
	s.broadcast()
}
