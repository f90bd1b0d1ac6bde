package nwc

import (
	"sync"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// maxNotes bounds the notifications that wait for a slow listener; what does not fit is found again
// in the wallet's list.
const maxNotes = 1024

// note is what a feed brings: a settlement, or that something may have been missed until now.
type note struct {
	gap        bool
	at         time.Time
	settlement wallets.Settlement
}

// feed brings notifications from the sockets to one listener, in their order.
type feed struct {
	now func() time.Time
	// signal holds a token when there is something to do.
	signal chan struct{}

	mu    sync.Mutex
	notes []note
}

// listen makes a feed and begins to dial.
func (s *transport) listen() (*feed, error) {
	if err := s.start(); err != nil {
		return nil, err
	}
	f := &feed{now: s.now, signal: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feeds[f] = struct{}{}
	for _, l := range s.links {
		l.poke()
	}
	return f, nil
}

func (s *transport) unlisten(f *feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.feeds, f)
}

// put adds a settlement.
func (f *feed) put(st wallets.Settlement) { f.add(note{settlement: st}) }

// reconnected adds that a socket is new, so that what came before may have been missed.
func (f *feed) reconnected() { f.add(note{gap: true, at: f.now()}) }

func (f *feed) add(n note) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.notes) >= maxNotes {
		// The last place says that more is missing.
		n = note{gap: true, at: f.now()}
		f.notes = f.notes[:maxNotes-1]
	}
	f.notes = append(f.notes, n)
	nudge(f.signal)
}

// nudge has the listener look at its clock again.
func (f *feed) nudge() { nudge(f.signal) }

// take gives what came and empties the feed.
func (f *feed) take() []note {
	f.mu.Lock()
	defer f.mu.Unlock()
	notes := f.notes
	f.notes = nil
	return notes
}
