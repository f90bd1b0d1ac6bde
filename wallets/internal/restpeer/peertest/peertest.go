// Package peertest is the part that doubles of peers with an HTTP API and a websocket share: the
// server, what it does wrong on request, and the events. It is for tests.
package peertest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// Double is a server that can misbehave. A peer's double is built around it.
type Double struct {
	// URL is where it listens.
	URL string
	// Node makes the invoices.
	Node *wallettest.Node
	// Refuse answers as the peer does to a wrong credential.
	Refuse http.HandlerFunc
	// Break answers as the peer does when it is out of order.
	Break http.HandlerFunc

	server *httptest.Server
	ended  chan struct{}

	mu       sync.Mutex
	fault    wallettest.Fault
	silent   bool
	deaf     bool
	mute     bool
	sockets  map[*websocket.Conn]context.CancelFunc
	last     time.Time
	requests map[string]int
}

// New starts a double with the handler; t.Cleanup ends it. Refuse and Break are set before the first
// request.
func New(t testing.TB, network wallets.Network, handler http.Handler) *Double {
	d := &Double{
		Node: wallettest.NewNode(t, network), ended: make(chan struct{}),
		sockets: make(map[*websocket.Conn]context.CancelFunc), requests: make(map[string]int),
	}
	d.server = httptest.NewServer(d.misbehave(handler))
	d.URL = d.server.URL
	t.Cleanup(func() {
		close(d.ended)
		d.Cut()
		d.server.Close()
	})
	return d
}

// Inflict sets what goes wrong from now on.
func (d *Double) Inflict(_ testing.TB, f wallettest.Fault) {
	d.mu.Lock()
	d.fault = f
	d.mu.Unlock()
	if f.Kind == wallettest.Disconnect {
		d.server.CloseClientConnections()
		d.Cut()
	}
}

// Fault is what goes wrong now.
func (d *Double) Fault() wallettest.Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault
}

// Silence drops events from now on, or sends them again.
func (d *Double) Silence(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = on
}

// Deafen refuses websockets from now on, as a proxy may that does not know them.
func (d *Double) Deafen(on bool) {
	d.mu.Lock()
	d.deaf = on
	d.mu.Unlock()
	d.Cut()
}

// Mute makes websockets that are opened from now on answer no pings, or answer them again.
func (d *Double) Mute(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mute = on
}

// Requests tells how many requests the path got.
func (d *Double) Requests(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.requests[path]
}

// Sockets tells how many websockets are open.
func (d *Double) Sockets() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sockets)
}

// Now is the peer's clock. Each answer is later than the one before, by a millisecond at least.
func (d *Double) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now().Truncate(time.Millisecond)
	if !now.After(d.last) {
		now = d.last.Add(time.Millisecond)
	}
	d.last = now
	return now
}

// Cut closes the websockets.
func (d *Double) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for conn, cancel := range d.sockets {
		cancel()
		delete(d.sockets, conn)
	}
}

// Websocket takes a websocket and keeps it open until it is cut.
func (d *Double) Websocket(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	deaf := d.deaf
	d.mu.Unlock()
	if deaf {
		http.Error(w, "no websockets here", http.StatusForbidden)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	// The request's context ends with the hijacking in some versions.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d.mu.Lock()
	d.sockets[conn] = cancel
	mute := d.mute
	d.mu.Unlock()
	if mute {
		<-ctx.Done()
	} else {
		// Reads answer pings, and end when either side goes.
		_, _, _ = conn.Read(ctx)
	}
	d.mu.Lock()
	delete(d.sockets, conn)
	d.mu.Unlock()
	_ = conn.CloseNow() // it has ended
}

// Send sends an event to all websockets.
func (d *Double) Send(event []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silent {
		return
	}
	for conn := range d.sockets {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = conn.Write(ctx, websocket.MessageText, event) // a lost one is lost, as with the real peer
		cancel()
	}
}

// misbehave plays the fault, if there is one, in front of the peer.
func (d *Double) misbehave(next http.Handler) http.Handler {
	junk := make([]byte, 32<<10)
	for i := range junk {
		junk[i] = 'a'
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		fault := d.fault
		d.requests[r.URL.Path]++
		d.mu.Unlock()
		switch fault.Kind {
		case wallettest.Hang:
			select {
			case <-r.Context().Done():
			case <-d.ended:
			}
			// To return would be to answer 200, and what hangs never answers.
			panic(http.ErrAbortHandler)
		case wallettest.Slow:
			time.Sleep(fault.Delay)
		case wallettest.Garbage:
			_, _ = w.Write([]byte("<html>no JSON"))
			return
		case wallettest.Huge:
			_, _ = w.Write([]byte(`{"paymentHash":"00","payment_hash":"00","serialized":"`))
			for {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		case wallettest.Disconnect:
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"paymentHash":"`))
			panic(http.ErrAbortHandler)
		case wallettest.ServerError:
			d.Break(w, r)
			return
		case wallettest.Unauthorized:
			d.Refuse(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Hash is the payment hash of an invoice.
func Hash(t testing.TB, invoice string) lntypes.Hash {
	t.Helper()
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		t.Fatal(err)
	}
	return d.PaymentHash
}
