package nwc

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nbd-wtf/go-nostr"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// received takes an event from a relay, which may send anything: what is forged, late, repeated,
// or not for this client is dropped. Cheap checks come first, since a signature takes a while.
func (s *transport) received(l *link, ev *nostr.Event) {
	var err error
	switch ev.Kind {
	case kindInfo:
		err = s.receivedInfo(ev)
	case kindResponse:
		err = s.receivedResponse(ev)
	case kindNotification, kindNotification4:
		err = s.receivedNotification(ev)
	default:
		err = errors.New("it is of another kind")
	}
	if err != nil {
		if ce := s.logger().Check(zap.DebugLevel, "nostr event ignored"); ce != nil {
			ce.Write(zap.String("relay", l.host), zap.Int("kind", ev.Kind), zap.Error(err))
		}
	}
}

// receivedInfo keeps the newest info event of all relays.
func (s *transport) receivedInfo(ev *nostr.Event) error {
	if old := s.currentInfo(); old != nil && ev.CreatedAt <= old.at {
		return errors.New("it is not newer than the one known")
	}
	// No lower bound: an info event may stand for years. A wrong future one would stay for ever.
	if ev.CreatedAt.Time().After(s.now().Add(clockSlack)) {
		return errors.New("it is from the future")
	}
	if err := verify(ev, s.keys.peer); err != nil {
		return err
	}
	i := readInfo(ev)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.info == nil || i.at > s.info.at {
		s.info, s.forced = i, ""
		s.broadcast()
	}
	return nil
}

// response is the decrypted content of a response.
type response struct {
	ResultType string          `json:"result_type"`
	Result     json.RawMessage `json:"result"`
	Error      *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// receivedResponse ends the request that the event answers.
func (s *transport) receivedResponse(ev *nostr.Event) error {
	if err := s.forUs(ev); err != nil {
		return err
	}
	id, ok := onlyTag(ev, "e")
	if !ok {
		return errors.New("it names no request")
	}
	s.mu.Lock()
	p := s.pending[id]
	waits := p != nil && !p.over
	s.mu.Unlock()
	if !waits {
		return errors.New("it answers no request that waits")
	}
	if !timely(ev, p.at, s.now()) {
		return errors.New("its time is not that of an answer")
	}
	if err := verify(ev, s.keys.peer); err != nil {
		return err
	}
	// From here on it is the wallet itself that speaks, so a fault ends the request.
	var o outcome
	if text, err := s.keys.decrypt(ev.Content); err != nil {
		o.err = fmt.Errorf("%w: the content cannot be decrypted: %s", wallets.ErrBadAnswer, clean(err.Error()))
	} else if o.answer, err = readResponse(p.method, text); err != nil {
		o.err = fmt.Errorf("%w: %w", wallets.ErrBadAnswer, err)
	} else {
		o.answer.at = ev.CreatedAt.Time()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.finish(o)
	return nil
}

// forUs checks by the tags that the event is meant for this client.
func (s *transport) forUs(ev *nostr.Event) error {
	if to, ok := onlyTag(ev, "p"); !ok || to != s.keys.public {
		return errors.New("it is for another client")
	}
	return nil
}

// readResponse reads a decrypted response to the method.
func readResponse(method, text string) (*answer, error) {
	var r response
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, errors.New("the content is no response in JSON")
	}
	if r.Error != nil && (r.Error.Code != "" || r.Error.Message != "") {
		return &answer{err: &walletError{method: method, code: r.Error.Code, message: r.Error.Message}}, nil
	}
	if r.ResultType != method {
		return nil, fmt.Errorf("it answers %s and not %s", clean(r.ResultType), method)
	}
	if len(r.Result) == 0 || string(r.Result) == "null" {
		return nil, errors.New("it holds neither result nor error")
	}
	return &answer{result: r.Result}, nil
}

// receivedNotification tells a payment to those who listen.
func (s *transport) receivedNotification(ev *nostr.Event) error {
	feeds := s.listeners()
	if len(feeds) == 0 {
		return nil
	}
	if err := s.forUs(ev); err != nil {
		return err
	}
	if now := s.now(); !timely(ev, now, now) {
		return errors.New("its time is not now")
	}
	if err := verify(ev, s.keys.peer); err != nil {
		return err
	}
	text, err := s.keys.decrypt(ev.Content)
	if err != nil {
		return err
	}
	settled, err := readNotification(text)
	if err != nil || settled == nil {
		return err
	}
	if settled.SettledAt.IsZero() {
		settled.SettledAt = ev.CreatedAt.Time()
	}
	for _, f := range feeds {
		f.put(*settled)
	}
	return nil
}

// readNotification reads a decrypted notification; it gives nil for one that is of no interest.
func readNotification(text string) (*wallets.Settlement, error) {
	var n struct {
		Type         string      `json:"notification_type"`
		Notification transaction `json:"notification"`
	}
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return nil, errors.New("the content is no notification in JSON")
	}
	if n.Type != paymentReceived {
		return nil, nil
	}
	// The notification itself says that the payment arrived, whatever else stands in it.
	if n.Notification.State == "" && n.Notification.SettledAt == 0 {
		n.Notification.State = stateSettled
	}
	return n.Notification.settlement()
}
