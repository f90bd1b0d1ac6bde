package nwc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// maxPending bounds the requests that wait for an answer.
const maxPending = 4096

// legState is where a request stands at one relay.
type legState int

const (
	legWaiting legState = iota // not sent yet
	legSent
	legFailed
)

// pending is a request that waits for its answer. transport.mu guards it.
type pending struct {
	id, method string
	at         time.Time
	line       []byte
	legs       []legState
	errs       []error
	// first are the relays that got the request at once. A wallet acts on a request once, so
	// when these are lost with the answer, a relay that got it later brings none.
	first []bool
	// broke says that a relay was lost that may have passed the request on.
	broke bool
	done  chan outcome // holds one
	over  bool
}

// outcome ends a request.
type outcome struct {
	answer *answer
	err    error
}

// answer is what the wallet answered, signature and form checked.
type answer struct {
	// at is the wallet's clock.
	at     time.Time
	result json.RawMessage
	err    *walletError
}

// finish gives a request its outcome, the first one only; transport.mu is held.
func (p *pending) finish(o outcome) {
	if !p.over {
		p.over = true
		p.done <- o
	}
}

// sent tells whether the wallet may have got the request; transport.mu is held.
func (p *pending) sent() bool { return p.broke || slices.Contains(p.legs, legSent) }

// fail ends a request at one relay, and as a whole where no relay is left; transport.mu is held.
func (p *pending) fail(leg int, err error) {
	if p.legs[leg] == legFailed {
		return
	}
	p.legs[leg], p.errs[leg] = legFailed, err
	for _, state := range p.legs {
		if state != legFailed {
			return
		}
	}
	p.finish(outcome{err: joined(p.errs)})
}

// lose is fail for a connection that broke, perhaps with the answer; transport.mu is held.
func (p *pending) lose(leg int, err error) {
	gone := p.legs[leg] == legSent && p.first[leg]
	p.broke = p.broke || p.legs[leg] == legSent
	p.fail(leg, err)
	for i, state := range p.legs {
		gone = gone && !(state == legSent && p.first[i])
	}
	if gone {
		p.finish(outcome{err: err})
	}
}

// joined makes one line of the errors of several relays.
func joined(errs []error) error {
	err := errs[0]
	for _, more := range errs[1:] {
		err = fmt.Errorf("%w; %w", err, more)
	}
	return err
}

// request asks the wallet. sent tells whether a relay got the request, so that the wallet may act
// on it although no answer came. life is how long the wallet may still begin with it.
func (s *transport) request(ctx context.Context, method string, params any, life time.Duration) (a *answer, sent bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if err := s.start(); err != nil {
		return nil, false, err
	}
	enc, err := s.encryption(ctx)
	if err != nil {
		return nil, false, err
	}
	a, sent, err = s.ask(ctx, enc, method, params, life)
	if err == nil && a.err != nil && a.err.code == codeEncryption {
		// The info event is old or was withheld. The refusal is signed, so nothing was done.
		s.mu.Lock()
		s.forced = enc.other()
		s.mu.Unlock()
		return s.ask(ctx, enc.other(), method, params, life)
	}
	return a, sent, err
}

// ask sends one request to all relays and waits for the first answer.
func (s *transport) ask(ctx context.Context, enc scheme, method string, params any, life time.Duration) (*answer, bool, error) {
	p, err := s.prepare(enc, method, params, life)
	if err != nil {
		return nil, false, err
	}
	if err := s.submit(p); err != nil {
		return nil, false, err
	}
	var o outcome
	select {
	case o = <-p.done:
	case <-ctx.Done():
		o.err = ctx.Err()
	}
	s.mu.Lock()
	delete(s.pending, p.id)
	sent := p.sent()
	s.mu.Unlock()
	return o.answer, sent, o.err
}

// prepare makes the request's event.
func (s *transport) prepare(enc scheme, method string, params any, life time.Duration) (*pending, error) {
	body, err := json.Marshal(struct {
		Method string `json:"method"`
		Params any    `json:"params"`
	}{method, params})
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", method, err)
	}
	content, err := s.keys.encrypt(enc, string(body))
	if err != nil {
		return nil, fmt.Errorf("encrypting %s: %w", method, err)
	}
	now := s.now()
	ev := nostr.Event{
		CreatedAt: nostr.Timestamp(now.Unix()),
		Kind:      kindRequest,
		Tags: nostr.Tags{
			{"p", s.keys.peer},
			{"encryption", string(enc)},
			{"expiration", fmt.Sprint(now.Add(life).Unix() + 1)},
		},
		Content: content,
	}
	if err := ev.Sign(s.keys.secret); err != nil {
		// The library's error would hold the key.
		return nil, fmt.Errorf("signing %s: the secret is no private key", method)
	}
	line, err := json.Marshal([]any{"EVENT", ev})
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", method, err)
	}
	return &pending{
		id: ev.ID, method: method, at: now, line: line,
		legs: make([]legState, len(s.links)), errs: make([]error, len(s.links)), first: make([]bool, len(s.links)),
		done: make(chan outcome, 1),
	}, nil
}

// submit sends the request where there is a connection and has the other relays dialed.
func (s *transport) submit(p *pending) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if len(s.pending) >= maxPending {
		return fmt.Errorf("%w: %d requests wait for an answer", wallets.ErrRateLimited, maxPending)
	}
	s.pending[p.id] = p
	for _, l := range s.links {
		l.offer(p, true)
	}
	return nil
}
