package nwc

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// The kinds of events of NIP-47, and of NIP-42 for relays that ask who is there.
const (
	kindInfo          = 13194
	kindRequest       = 23194
	kindResponse      = 23195
	kindNotification4 = 23196 // encrypted with NIP-04
	kindNotification  = 23197 // encrypted with NIP-44
	kindRelayAuth     = 22242
)

// maxMessage bounds one message of a relay in bytes. The largest content that NIP-44 knows has
// 87,472 characters; NIP-04 knows no bound.
const maxMessage = 256 << 10

// clockSlack is by how much the clocks of wallet, relay and this machine may differ.
const clockSlack = 10 * time.Minute

// message is one line from a relay (NIP-01, NIP-42).
type message struct {
	label string
	// subscription belongs to EVENT, EOSE and CLOSED.
	subscription string
	// event belongs to EVENT.
	event *nostr.Event
	// id and accepted belong to OK.
	id       string
	accepted bool
	// text is the reason of OK and CLOSED, a NOTICE, or the challenge of AUTH.
	text string
}

// wireEvent is an event as it travels. The library's own decoder keeps unknown fields of any depth,
// so this one stands in its place.
type wireEvent struct {
	ID        string     `json:"id"`
	PubKey    string     `json:"pubkey"`
	CreatedAt int64      `json:"created_at"`
	Kind      int        `json:"kind"`
	Tags      nostr.Tags `json:"tags"`
	Content   string     `json:"content"`
	Sig       string     `json:"sig"`
}

// parseMessage reads a line of at most maxMessage bytes. Nothing in it is verified yet.
func parseMessage(line []byte) (message, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(line, &parts); err != nil {
		return message{}, errors.New("not a JSON array")
	}
	if len(parts) < 2 || len(parts) > 8 {
		return message{}, errors.New("not an array of two to eight parts")
	}
	var m message
	if json.Unmarshal(parts[0], &m.label) != nil {
		return m, errors.New("the label is no text")
	}
	var err error
	text := func(i int, to *string) {
		if i < len(parts) && err == nil {
			err = json.Unmarshal(parts[i], to)
		}
	}
	switch m.label {
	case "EVENT":
		if len(parts) != 3 {
			return m, errors.New("EVENT without subscription or event")
		}
		text(1, &m.subscription)
		var w wireEvent
		if err == nil {
			err = json.Unmarshal(parts[2], &w)
		}
		m.event = &nostr.Event{
			ID: w.ID, PubKey: w.PubKey, CreatedAt: nostr.Timestamp(w.CreatedAt), Kind: w.Kind,
			Tags: w.Tags, Content: w.Content, Sig: w.Sig,
		}
	case "OK":
		if len(parts) < 3 {
			return m, errors.New("OK without a verdict")
		}
		text(1, &m.id)
		if err == nil {
			err = json.Unmarshal(parts[2], &m.accepted)
		}
		text(3, &m.text)
	case "EOSE":
		text(1, &m.subscription)
	case "CLOSED":
		text(1, &m.subscription)
		text(2, &m.text)
	case "NOTICE", "AUTH":
		text(1, &m.text)
	}
	if err != nil {
		return m, fmt.Errorf("%s is malformed", clean(m.label))
	}
	return m, nil
}

// verify checks that the event is by the author: its id is the hash of what it says and the
// signature is over that.
func verify(ev *nostr.Event, author string) error {
	switch {
	case subtle.ConstantTimeCompare([]byte(ev.PubKey), []byte(author)) != 1:
		return errors.New("it is by another key")
	// The library compares no id: it hashes anew and verifies that.
	case subtle.ConstantTimeCompare([]byte(ev.ID), []byte(ev.GetID())) != 1:
		return errors.New("its id is not its hash")
	}
	if ok, err := ev.CheckSignature(); err != nil || !ok {
		return errors.New("its signature is wrong")
	}
	return nil
}

// onlyTag gives the value of the tag if it occurs once, or several times with one value.
func onlyTag(ev *nostr.Event, name string) (string, bool) {
	value, found := "", false
	for _, tag := range ev.Tags {
		if len(tag) < 2 || tag[0] != name {
			continue
		}
		if found && tag[1] != value {
			return "", false
		}
		value, found = tag[1], true
	}
	return value, found
}

// timely tells whether the event was made between the two times, give or take clockSlack.
func timely(ev *nostr.Event, from, to time.Time) bool {
	at := ev.CreatedAt.Time()
	return !at.Before(from.Add(-clockSlack)) && !at.After(to.Add(clockSlack))
}
