// Package relay is a wire between two programs that a test can cut and mend, and that may be long.
package relay

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Relay carries TCP connections from Addr to a target.
type Relay struct {
	// Addr is the host and port to connect to.
	Addr string

	target string
	delay  time.Duration
	mu     sync.Mutex
	cut    bool
	conns  map[net.Conn]struct{}
}

// Start runs a relay until the test ends.
func Start(t testing.TB, target string) *Relay {
	t.Helper()
	return StartSlow(t, target, 0)
}

// StartSlow runs a relay over which an answer comes so much later than without it. What follows on
// each other stays as close as it was: the wire is long and not narrow.
func StartSlow(t testing.TB, target string, roundTrip time.Duration) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: l.Addr().String(), target: target, delay: roundTrip / 2, conns: map[net.Conn]struct{}{}}
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
			r.pump(way[0], way[1])
			// The other direction has nothing more to say either.
			from.Close()
			to.Close()
		})
	}
	both.Wait()
}

// pump carries one direction until either side closes.
func (r *Relay) pump(to io.Writer, from io.Reader) {
	if r.delay == 0 {
		_, _ = io.Copy(to, from)
		return
	}
	type piece struct {
		bytes []byte
		due   time.Time
	}
	wire := make(chan piece, 4096)
	var writing sync.WaitGroup
	// Ends with what was read.
	writing.Go(func() {
		for p := range wire {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.bytes); err != nil {
				break
			}
		}
		for range wire { // what is left has nowhere to go
		}
	})
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			wire <- piece{append([]byte(nil), buf[:n]...), time.Now().Add(r.delay)}
		}
		if err != nil {
			break
		}
	}
	close(wire)
	writing.Wait()
}
