// Package relay is a wire between two programs that a test can cut and mend.
package relay

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Relay carries TCP connections from Addr to a target.
type Relay struct {
	// Addr is the host and port to connect to.
	Addr string

	target string
	mu     sync.Mutex
	cut    bool
	conns  map[net.Conn]struct{}
}

// Start runs a relay until the test ends.
func Start(t testing.TB, target string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: l.Addr().String(), target: target, conns: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	// Owned by the test; ends when the listener closes.
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			// Ends when either side closes, or by Cut.
			running.Go(func() { r.carry(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.Cut()
		running.Wait()
	})
	return r
}

// Cut closes all connections and every new one until Mend.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
	for c := range r.conns {
		c.Close()
	}
}

// Mend ends a Cut.
func (r *Relay) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

// hold registers a connection for Cut and tells whether it may go on.
func (r *Relay) hold(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		return false
	}
	r.conns[c] = struct{}{}
	return true
}

func (r *Relay) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer to.Close()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, from)
		delete(r.conns, to)
	}()
	if !r.hold(from) || !r.hold(to) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			// The other direction has nothing more to say either.
			from.Close()
			to.Close()
		})
	}
	both.Wait()
}
