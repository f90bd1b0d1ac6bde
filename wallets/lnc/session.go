package lnc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
)

// session keeps one connection to the node up from the first call on until it is closed, since
// the mailbox has room for one only and a new one takes many seconds. It is safe for concurrent
// use.
type session struct {
	env     wallets.Env
	entropy entropy
	mailbox string

	// patience is how long calls wait for a connection that is being made. After it they fail
	// at once until there is one.
	patience time.Duration
	// dialTimeout bounds one try. When it is not sure that the node has our key, half of it.
	dialTimeout time.Duration
	// firstRetry and lastRetry bound the pause between tries.
	firstRetry, lastRetry time.Duration
	// saveAgain is the pause between tries to store the pairing.
	saveAgain time.Duration
	// giveUp is how long the mailbox may be away before the connection counts as lost. The
	// library notices a silent node by itself, but waits for its mailbox for ever.
	giveUp time.Duration
	jitter func() float64

	complaint complaint
	pairings  pairings // used by run alone

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	ca      string
	started bool
	closed  bool
	link    *link
	changed chan struct{} // closed and renewed when link changes
	since   time.Time     // when link became nil
	failed  error         // why the last try failed; nil while the first one runs
}

func newSession(env wallets.Env, set settings) *session {
	ctx, cancel := context.WithCancel(context.Background())
	return &session{
		env: env, entropy: set.entropy, mailbox: set.mailbox, ca: set.ca,
		patience:    5 * time.Second,
		dialTimeout: time.Minute,
		firstRetry:  250 * time.Millisecond,
		lastRetry:   30 * time.Second,
		saveAgain:   time.Minute,
		giveUp:      10 * time.Second,
		jitter:      rand.Float64,
		pairings:    pairings{env: env},
		ctx:         ctx, cancel: cancel,
		changed: make(chan struct{}),
	}
}

// healthyAfter is how long a connection must have lasted for the next pause to be short again.
const healthyAfter = 10 * time.Second

// run makes the connection and makes it again when it is lost, until the session is closed.
func (s *session) run() {
	pause := s.firstRetry
	said := ""
	for try := 0; s.ctx.Err() == nil; try++ {
		began := time.Now()
		link, err := s.connect(try)
		if s.ctx.Err() != nil {
			if link != nil {
				link.close()
			}
			return
		}
		if err == nil {
			s.env.Logger().Info("connected to the node through the mailbox",
				zap.String("mailbox", s.mailbox), zap.Duration("took", time.Since(began)))
			began, said = time.Now(), ""
			s.set(link, nil)
			s.stay(link)
			s.set(nil, nil)
			link.close()
			if s.ctx.Err() != nil {
				return
			}
			if time.Since(began) >= healthyAfter {
				pause = s.firstRetry
			}
			s.env.Logger().Warn("connection through the mailbox lost; connecting again", zap.String("mailbox", s.mailbox))
		} else {
			s.set(nil, err)
			// A node that is away for a day needs no line a minute.
			if said != err.Error() {
				said = err.Error()
				s.env.Logger().Warn("connecting through the mailbox did not work; trying on",
					zap.String("mailbox", s.mailbox), zap.Error(err))
			}
		}
		select {
		case <-s.ctx.Done():
		case <-time.After(time.Duration((0.5 + s.jitter()) * float64(pause))):
		}
		pause = min(2*pause, s.lastRetry)
	}
}

// connect makes one try.
func (s *session) connect(try int) (*link, error) {
	known, err := s.pairings.get(s.ctx)
	if err != nil {
		return nil, err
	}
	remote, timeout := known.remote, s.dialTimeout
	if remote != nil && !known.confirmed {
		// The node waits either for our key or still for the phrase.
		timeout /= 2
		if try%2 == 1 {
			remote = nil
		}
	}
	s.mu.Lock()
	d := &dialer{entropy: s.entropy, mailbox: s.mailbox, ca: s.ca, complaint: &s.complaint}
	s.mu.Unlock()
	s.complaint.clear()
	link, err := d.dial(s.ctx, timeout, known.local, remote, func(key *btcec.PublicKey) {
		if known.remote == nil || !known.remote.IsEqual(key) {
			known.remote, known.confirmed = key, false
			s.pairings.put(s.ctx, known)
		}
	})
	if err != nil {
		return nil, err
	}
	// A node that speaks an early version of the handshake has no keys for us to keep: it takes
	// the phrase each time.
	if known.remote != nil && !known.confirmed {
		known.confirmed = true
		s.pairings.put(s.ctx, known)
	}
	return link, nil
}

// stay waits until the connection is lost or the session closed.
func (s *session) stay(l *link) {
	save := time.NewTicker(s.saveAgain)
	defer save.Stop()
	look := time.NewTicker(s.giveUp / 8)
	defer look.Stop()
	for {
		select {
		case <-l.lost:
			return
		case <-s.ctx.Done():
			return
		case <-save.C:
			s.pairings.save(s.ctx)
		case <-look.C:
			if s.complaint.lasts() >= s.giveUp {
				return
			}
		}
	}
}

// set takes in a connection or the loss of it.
func (s *session) set(l *link, failed error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil && l == nil {
		s.since = time.Now()
	}
	s.link, s.failed = l, failed
	close(s.changed)
	s.changed = make(chan struct{})
}

// connected gives the connection. The first call has it made. While it is being made, calls wait
// for a while, but never to the end of their time; patient ones wait as long as they may.
func (s *session) connected(ctx context.Context, patient bool) (*link, error) {
	var enough <-chan time.Time
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, fmt.Errorf("%w: %w", wallets.ErrUnavailable, net.ErrClosed)
		}
		if !s.started {
			s.started, s.since = true, time.Now()
			s.done.Go(s.run) // owned by the session; ends by Close
		}
		link, changed, until := s.link, s.changed, s.since.Add(s.patience)
		s.mu.Unlock()
		if link != nil {
			return link, nil
		}
		if !patient && enough == nil {
			wait := time.Until(until)
			if deadline, ok := ctx.Deadline(); ok {
				wait = min(wait, time.Until(deadline)*3/4)
			}
			if wait <= 0 {
				return nil, s.unavailable()
			}
			timer := time.NewTimer(wait)
			defer timer.Stop()
			enough = timer.C
		}
		select {
		case <-changed:
		case <-enough:
			return nil, s.unavailable()
		case <-ctx.Done():
		}
	}
}

// unavailable says why there is no connection.
func (s *session) unavailable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed == nil:
		return fmt.Errorf("%w: connecting through the mailbox takes long (%s)", wallets.ErrUnavailable, s.complaint.reason())
	case errors.Is(s.failed, wallets.ErrUnauthorized):
		return s.failed
	}
	return fmt.Errorf("%w: not connected through the mailbox: %w", wallets.ErrUnavailable, s.failed)
}

// Invoke makes a unary call with the session's macaroon.
func (s *session) Invoke(ctx context.Context, method string, in, out any, opts ...grpc.CallOption) error {
	l, err := s.connected(ctx, false)
	if err != nil {
		return err
	}
	return l.cc.Invoke(l.sign(ctx), method, in, out, opts...)
}

// NewStream starts a streaming call with the session's macaroon. The subscription to settlements
// waits for the connection, however long that takes.
func (s *session) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	l, err := s.connected(ctx, method == rpc.MethodSubscribeInvoices)
	if err != nil {
		return nil, err
	}
	return l.cc.NewStream(l.sign(ctx), desc, method, opts...)
}

// sign adds the macaroon, which nothing else in the connection does: LND refuses two.
func (l *link) sign(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "macaroon", l.header)
}

// trust changes the certificates that the mailbox is known by, from the next connection on.
func (s *session) trust(ca string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ca = ca
}

// Close ends the connection, all calls and the goroutine. Later calls fail with net.ErrClosed.
func (s *session) Close() error {
	s.mu.Lock()
	s.closed = true
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	s.cancel()
	s.done.Wait()
	return nil
}

// errGuest says that a guest was opened that Caddy did not set up.
var errGuest = errors.New("opening wallet lnc: it was not provisioned")

// Interface guards.
var _ grpc.ClientConnInterface = (*session)(nil)
