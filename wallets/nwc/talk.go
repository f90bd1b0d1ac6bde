package nwc

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nbd-wtf/go-nostr"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// handle acts on one message. An error ends the connection.
func (l *link) handle(c *conn, m message) error {
	switch m.label {
	case "EVENT":
		if m.subscription == subInfo || m.subscription == subWallet {
			l.s.received(l, m.event)
		}
	case "EOSE":
		l.ready(c, m.subscription)
	case "OK":
		return l.verdict(m)
	case "AUTH":
		return l.authenticate(m.text)
	case "CLOSED":
		return l.ended(m)
	case "NOTICE":
		l.s.logger().Debug("notice of nostr relay", zap.String("relay", l.host), zap.String("text", clean(m.text)))
	}
	return nil
}

// ready notes that the relay has sent all that it had for the subscriptions, and so knows of them.
// Requests that waited for that are sent.
func (l *link) ready(c *conn, subscriptions ...string) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.conn != c {
		return
	}
	for _, sub := range subscriptions {
		switch sub {
		case subInfo:
			l.infoDone = true
		case subWallet:
			l.walletDone = true
		}
	}
	for _, p := range l.s.pending {
		l.offer(p, !p.sent())
	}
	l.s.broadcast()
}

// subscribe asks for the info event and for what is meant for this client; s.mu is held.
func (l *link) subscribe() {
	k := l.s.keys
	since := l.s.now().Add(-clockSlack).Unix()
	for _, req := range [][]any{
		{"REQ", subInfo, map[string]any{"kinds": []int{kindInfo}, "authors": []string{k.peer}, "limit": 1}},
		{"REQ", subWallet, map[string]any{
			"kinds":   []int{kindResponse, kindNotification4, kindNotification},
			"authors": []string{k.peer}, "#p": []string{k.public}, "since": since,
		}},
	} {
		line, err := json.Marshal(req)
		if err == nil {
			l.conn.send(line)
		}
	}
}

// verdict reads OK: what the relay did with an event of ours.
func (l *link) verdict(m message) error {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.id == l.authID && m.id != "" {
		l.authID = ""
		if !m.accepted {
			return fmt.Errorf("%w: the relay does not let this client in: %s", wallets.ErrUnavailable, clean(m.text))
		}
		l.authDone, l.infoDone, l.walletDone = true, false, false
		l.subscribe()
		return nil
	}
	p := s.pending[m.id]
	if p == nil || m.accepted || p.legs[l.index] != legSent || strings.HasPrefix(m.text, "duplicate:") {
		return nil
	}
	if strings.HasPrefix(m.text, "auth-required:") && l.authID != "" && !l.authDone {
		p.legs[l.index] = legWaiting
		return nil
	}
	sentinel := wallets.ErrUnavailable
	if strings.HasPrefix(m.text, "rate-limited:") {
		sentinel = wallets.ErrRateLimited
	}
	p.fail(l.index, fmt.Errorf("%w: relay %s refuses the request: %s", sentinel, l.host, clean(m.text)))
	return nil
}

// ended reads CLOSED: the relay gives up a subscription, without which no answer comes.
func (l *link) ended(m message) error {
	if m.subscription != subInfo && m.subscription != subWallet {
		return nil
	}
	l.s.mu.Lock()
	authenticating := l.authID != "" && !l.authDone
	l.s.mu.Unlock()
	if strings.HasPrefix(m.text, "auth-required:") && authenticating {
		return nil
	}
	return fmt.Errorf("%w: the relay closed the subscription: %s", wallets.ErrUnavailable, clean(m.text))
}

// authenticate proves to the relay who is there (NIP-42), with the key that the connection URI is
// for and that the relay sees in each request anyway.
func (l *link) authenticate(challenge string) error {
	if challenge == "" || len(challenge) > 1024 {
		return fmt.Errorf("%w: a challenge of %d bytes", wallets.ErrBadAnswer, len(challenge))
	}
	ev := nostr.Event{
		CreatedAt: nostr.Timestamp(l.s.now().Unix()),
		Kind:      kindRelayAuth,
		Tags:      nostr.Tags{{"relay", l.url}, {"challenge", challenge}},
	}
	if err := ev.Sign(l.s.keys.secret); err != nil {
		return fmt.Errorf("%w: signing the relay's challenge", wallets.ErrUnavailable)
	}
	line, err := json.Marshal([]any{"AUTH", ev})
	if err != nil {
		return fmt.Errorf("%w: encoding the relay's challenge", wallets.ErrUnavailable)
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.conn == nil || l.authDone || l.challenge == challenge {
		return nil
	}
	l.challenge, l.authID = challenge, ev.ID
	l.conn.send(line)
	return nil
}
