// Package watch tells a browser that its payment arrived: a stream of server-sent events (the HTML
// standard, section 9.2) that asks for the payment's state now and then and hears of it at once
// where the wallet tells. Everything about it is bounded: how many watch, how long, how often they
// ask, and how long a slow reader holds a stream.
package watch

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"github.com/caddy-l402/caddy-l402/internal/limit"
)

var (
	// ErrFull says that as many watch as there may be.
	ErrFull = errors.New("too many payments are being watched")
	// ErrTooMany says that this client watches as many payments as it may.
	ErrTooMany = errors.New("this client watches too many payments")
)

// The bounds of a Room that serves a whole process.
const (
	// MaxWatchers is how many may watch at the same time.
	MaxWatchers = 1024
	// MaxPerClient is how many of them may come from one client, counted as limits are: by IPv4
	// address or IPv6 /64. Browsers open six connections to a host.
	MaxPerClient = 12
	// MaxQuestions is how many questions to wallets may be under way for them.
	MaxQuestions = 16
)

// Room bounds the watchers of a process. It is safe for concurrent use.
type Room struct {
	max, perClient int
	questions      chan struct{}

	mu      sync.Mutex
	total   int
	clients map[netip.Prefix]int
}

// NewRoom makes a Room for so many watchers, so many of one client, and so many questions at the
// same time.
func NewRoom(max, perClient, questions int) *Room {
	return &Room{
		max: max, perClient: perClient, questions: make(chan struct{}, questions),
		clients: make(map[netip.Prefix]int),
	}
}

// Enter lets a watcher in, or returns ErrFull or ErrTooMany. The function leave must be called once.
func (r *Room) Enter(addr netip.Addr) (leave func(), err error) {
	client := limit.Prefix(addr)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.total >= r.max:
		return nil, ErrFull
	case r.clients[client] >= r.perClient:
		return nil, ErrTooMany
	}
	r.total++
	r.clients[client]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.total--
		if r.clients[client]--; r.clients[client] == 0 {
			delete(r.clients, client)
		}
	}, nil
}

// Len is how many watch.
func (r *Room) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// ask waits for its turn to ask a wallet.
func (r *Room) ask(ctx context.Context, question func(context.Context) (State, error)) (State, error) {
	select {
	case r.questions <- struct{}{}:
		defer func() { <-r.questions }()
		return question(ctx)
	case <-ctx.Done():
		return State{}, ctx.Err()
	}
}
