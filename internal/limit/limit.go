// Package limit bounds how many invoices and refusals one client may cause, in memory that an
// attacker cannot make grow.
package limit

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// MaxClients is how many client prefixes a Limiter remembers. When it is full the one that was
// seen least recently is forgotten, which is in that client's favor; a table of this size takes
// about 5 MiB.
const MaxClients = 16384

// Rate is a number of events in a window. The zero Rate limits nothing.
type Rate struct {
	Events int
	Window time.Duration
}

// Limited tells whether the rate limits anything.
func (r Rate) Limited() bool { return r.Events > 0 && r.Window > 0 }

// Limiter counts events by client prefix. It is safe for concurrent use.
type Limiter struct {
	max int

	mu      sync.Mutex
	clients map[netip.Prefix]*list.Element
	order   *list.List // most recently seen first
}

// client is one prefix's token bucket.
type client struct {
	prefix netip.Prefix
	bucket *rate.Limiter
	rate   Rate
}

// New makes a Limiter for at most max client prefixes.
func New(max int) *Limiter {
	return &Limiter{max: max, clients: make(map[netip.Prefix]*list.Element), order: list.New()}
}

// Allow counts one event of a client at the time now. It returns zero when the event is within
// the rate, and else how long the client has to wait. The rate may differ from call to call: a
// changed configuration applies at once.
func (l *Limiter) Allow(addr netip.Addr, r Rate, now time.Time) time.Duration {
	if !r.Limited() {
		return 0
	}
	prefix := Prefix(addr)
	every := rate.Limit(float64(r.Events) / r.Window.Seconds())

	l.mu.Lock()
	defer l.mu.Unlock()
	element, ok := l.clients[prefix]
	if ok {
		l.order.MoveToFront(element)
	} else {
		if l.order.Len() >= l.max {
			last := l.order.Back()
			delete(l.clients, last.Value.(*client).prefix)
			l.order.Remove(last)
		}
		element = l.order.PushFront(&client{prefix, rate.NewLimiter(every, r.Events), r})
		l.clients[prefix] = element
	}
	c := element.Value.(*client)
	if c.rate != r {
		c.bucket, c.rate = rate.NewLimiter(every, r.Events), r
	}
	if c.bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - c.bucket.TokensAt(now)
	return max(time.Duration(missing/float64(every)*float64(time.Second)), time.Millisecond)
}

// Forgive takes back one event that Allow counted, such as a try that turned out to be a payment.
func (l *Limiter) Forgive(addr netip.Addr, r Rate, now time.Time) {
	if !r.Limited() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	element, ok := l.clients[Prefix(addr)]
	if !ok {
		return
	}
	if c := element.Value.(*client); c.rate == r {
		c.bucket.AllowN(now, -1)
	}
}

// Len is the number of client prefixes that are remembered.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.order.Len()
}

// Prefix is what a client is counted by: an IPv4 address itself, an IPv6 address's /64, since
// that is the least that one subscriber gets. An invalid address is counted with all others of
// its kind.
func Prefix(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
