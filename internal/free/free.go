// Package free counts what clients get for nothing: so many requests in a window of time. Counts
// live in memory of fixed size. Instances that share a storage tell each other every few seconds
// what they counted, so that a client who goes to several of them gets more than his share for at
// most that long.
package free

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// MaxClients is how many clients a Counter remembers. When it is full the one that was seen least
// recently is forgotten and begins anew.
const MaxClients = 16384

// Allowance is a number of requests in a window that begins with a client's first one.
type Allowance struct {
	Requests int
	Window   time.Duration
}

// Standing is where a client stands.
type Standing struct {
	// Allowed tells whether this request is free.
	Allowed bool
	// Limit is the allowance, Remaining what is left of it.
	Limit, Remaining int
	// Reset is when the window ends.
	Reset time.Duration
}

// key names a client without holding his address or name.
type key [16]byte

// Counter counts the free requests of one service. It is safe for concurrent use.
type Counter struct {
	max int

	mu      sync.Mutex
	clients map[key]*list.Element
	order   *list.List // most recently seen first
	changed map[key]bool
	others  map[string]map[key]count // what other instances counted, by instance
	window  time.Duration            // the longest that was asked for
}

// count is what was counted since a time.
type count struct {
	n     int
	since time.Time
}

type client struct {
	key key
	count
}

// New makes a Counter for at most max clients.
func New(max int) *Counter {
	return &Counter{max: max, clients: make(map[key]*list.Element), order: list.New(),
		changed: make(map[key]bool), others: make(map[string]map[key]count)}
}

// Take counts a request of a client if it is free, and tells where he stands. The name is
// whatever tells clients apart; it is hashed.
func (c *Counter) Take(name string, a Allowance, now time.Time) Standing {
	sum := sha256.Sum256([]byte(name))
	k := key(sum[:len(key{})])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window = max(c.window, a.Window)
	own := c.client(k, a, now)
	taken := own.n + c.elsewhere(k, a, now)
	standing := Standing{Limit: a.Requests, Reset: own.since.Add(a.Window).Sub(now)}
	if taken < a.Requests {
		own.n++
		taken++
		c.changed[k] = true
		standing.Allowed = true
	}
	standing.Remaining = max(a.Requests-taken, 0)
	return standing
}

// client finds a client's count of the current window. The caller holds mu.
func (c *Counter) client(k key, a Allowance, now time.Time) *client {
	if element, ok := c.clients[k]; ok {
		c.order.MoveToFront(element)
		known := element.Value.(*client)
		if now.Sub(known.since) >= a.Window {
			known.count = count{since: now}
		}
		return known
	}
	if c.order.Len() >= c.max {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.clients, last.Value.(*client).key)
		delete(c.changed, last.Value.(*client).key)
	}
	fresh := &client{k, count{since: now}}
	c.clients[k] = c.order.PushFront(fresh)
	return fresh
}

// elsewhere is what other instances gave a client in the current window. The caller holds mu.
func (c *Counter) elsewhere(k key, a Allowance, now time.Time) (n int) {
	for _, counts := range c.others {
		if theirs, ok := counts[k]; ok && now.Sub(theirs.since) < a.Window {
			n += theirs.n
		}
	}
	return n
}

func (c *Counter) longestWindow() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.window
}

// Len is the number of clients that are remembered.
func (c *Counter) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}
