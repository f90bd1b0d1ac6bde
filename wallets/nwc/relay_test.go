package nwc

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

// relayFault is what a relay double does wrong.
type relayFault int

const (
	relayFine relayFault = iota
	// relayCuts breaks the connection in the middle of each response, and refuses none.
	relayCuts
	// relayFloods sends a response that does not end.
	relayFloods
	// relayHoards takes requests, says OK and passes nothing on.
	relayHoards
	// relayDeaf reads nothing, not even pings.
	relayDeaf
	// relayRejects says that it does not take the request.
	relayRejects
)

// relay is a Nostr relay in the process: of NIP-01 what wallets need, and AUTH of NIP-42.
type relay struct {
	url    string
	server *httptest.Server
	ctx    context.Context
	// publish is what happens to events of clients.
	publish func(r *relay, ev nostr.Event)
	wg      sync.WaitGroup

	mu      sync.Mutex
	sockets map[*socket]struct{}
	stored  map[string]nostr.Event // replaceable events by author
	fault   relayFault
	refuse  bool // no new connections
	// warp changes what is passed on.
	warp     func(ev nostr.Event) nostr.Event
	auth     string // the challenge that clients must sign
	never    bool   // lets nobody in, whatever they sign
	reason   string // of relayRejects
	opened   int
	maxAlive int
	requests []nostr.Event
}

// socket is one client of a relay.
type socket struct {
	ws     *websocket.Conn
	mu     sync.Mutex
	subs   map[string][]nostr.Filter
	authed bool
}

func newRelay(t testing.TB, publish func(r *relay, ev nostr.Event)) *relay {
	t.Helper()
	r := &relay{publish: publish, sockets: make(map[*socket]struct{}), stored: make(map[string]nostr.Event)}
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx = ctx
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	r.server.Start()
	r.url = "ws" + strings.TrimPrefix(r.server.URL, "http") + "/v1?token=relaytoken1234567890abcdef"
	t.Cleanup(func() {
		cancel()
		r.cut()
		r.server.Close()
		r.wg.Wait()
	})
	return r
}

func (r *relay) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *relay) openedCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened
}

// cut breaks all connections.
func (r *relay) cut() {
	r.mu.Lock()
	sockets := make([]*socket, 0, len(r.sockets))
	for s := range r.sockets {
		sockets = append(sockets, s)
	}
	r.mu.Unlock()
	for _, s := range sockets {
		_ = s.ws.CloseNow()
	}
}

func (r *relay) serve(w http.ResponseWriter, req *http.Request) {
	// The server does not wait for hijacked connections.
	r.wg.Add(1)
	defer r.wg.Done()
	r.mu.Lock()
	refuse, challenge := r.refuse, r.auth
	r.mu.Unlock()
	if refuse {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	ws, err := websocket.Accept(w, req, nil)
	if err != nil {
		return
	}
	ws.SetReadLimit(1 << 20)
	s := &socket{ws: ws, subs: make(map[string][]nostr.Filter), authed: challenge == ""}
	r.set(func() {
		r.sockets[s] = struct{}{}
		r.opened++
		r.maxAlive = max(r.maxAlive, len(r.sockets))
	})
	defer r.set(func() { delete(r.sockets, s) })
	defer func() { _ = ws.CloseNow() }()
	if challenge != "" {
		s.send(r.ctx, []any{"AUTH", challenge})
	}
	for {
		r.mu.Lock()
		deaf := r.fault == relayDeaf
		r.mu.Unlock()
		if deaf {
			<-r.ctx.Done()
			return
		}
		_, line, err := ws.Read(r.ctx)
		if err != nil {
			return
		}
		r.line(s, line, challenge)
	}
}

func (s *socket) send(ctx context.Context, v any) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	_ = s.ws.Write(ctx, websocket.MessageText, line) // the client may have gone
}

func (r *relay) line(s *socket, line []byte, challenge string) {
	var parts []json.RawMessage
	var label, id string
	if json.Unmarshal(line, &parts) != nil || len(parts) < 2 || json.Unmarshal(parts[0], &label) != nil {
		s.send(r.ctx, []any{"NOTICE", "what?"})
		return
	}
	switch label {
	case "REQ":
		_ = json.Unmarshal(parts[1], &id)
		if !s.authed {
			s.send(r.ctx, []any{"CLOSED", id, "auth-required: who are you"})
			return
		}
		var filters []nostr.Filter
		for _, p := range parts[2:] {
			var f nostr.Filter
			if err := json.Unmarshal(p, &f); err != nil {
				s.send(r.ctx, []any{"CLOSED", id, "error: bad filter"})
				return
			}
			filters = append(filters, f)
		}
		s.mu.Lock()
		s.subs[id] = filters
		s.mu.Unlock()
		r.mu.Lock()
		var found []nostr.Event
		for _, ev := range r.stored {
			if nostr.Filters(filters).Match(&ev) {
				found = append(found, ev)
			}
		}
		r.mu.Unlock()
		for _, ev := range found {
			s.send(r.ctx, []any{"EVENT", id, ev})
		}
		s.send(r.ctx, []any{"EOSE", id})
	case "AUTH":
		var ev nostr.Event
		if json.Unmarshal(parts[1], &ev) != nil {
			return
		}
		ok, _ := ev.CheckSignature()
		ok = ok && ev.Kind == kindRelayAuth && ev.Tags.ContainsAny("challenge", []string{challenge}) &&
			ev.Tags.ContainsAny("relay", []string{r.url})
		r.mu.Lock()
		ok = ok && !r.never
		r.mu.Unlock()
		s.authed = s.authed || ok
		s.send(r.ctx, []any{"OK", ev.ID, ok, ""})
	case "EVENT":
		var ev nostr.Event
		if json.Unmarshal(parts[1], &ev) != nil {
			return
		}
		if ok, _ := ev.CheckSignature(); !ok || ev.ID != ev.GetID() {
			s.send(r.ctx, []any{"OK", ev.ID, false, "invalid: signature"})
			return
		}
		if !s.authed {
			s.send(r.ctx, []any{"OK", ev.ID, false, "auth-required: who are you"})
			return
		}
		r.mu.Lock()
		r.requests = append(r.requests, ev)
		fault, reason := r.fault, r.reason
		r.mu.Unlock()
		if fault == relayRejects {
			s.send(r.ctx, []any{"OK", ev.ID, false, reason})
			return
		}
		s.send(r.ctx, []any{"OK", ev.ID, true, ""})
		if fault != relayHoards {
			r.publish(r, ev)
		}
	}
}

// store keeps a replaceable event and tells it to those who listen.
func (r *relay) store(ev nostr.Event) {
	r.set(func() { r.stored[ev.PubKey] = ev })
	r.broadcast(ev)
}

// broadcast sends an event to those who asked for such.
func (r *relay) broadcast(ev nostr.Event) {
	r.mu.Lock()
	fault, warp := r.fault, r.warp
	sockets := make([]*socket, 0, len(r.sockets))
	for s := range r.sockets {
		sockets = append(sockets, s)
	}
	r.mu.Unlock()
	for _, s := range sockets {
		s.mu.Lock()
		var ids []string
		for id, filters := range s.subs {
			if nostr.Filters(filters).Match(&ev) {
				ids = append(ids, id)
			}
		}
		s.mu.Unlock()
		for _, id := range slices.Sorted(slices.Values(ids)) {
			switch {
			case fault == relayCuts && ev.Kind != kindInfo:
				s.cutInside(r.ctx)
			case fault == relayFloods && ev.Kind == kindResponse:
				s.flood(r.ctx)
			case warp != nil:
				s.send(r.ctx, []any{"EVENT", id, warp(ev)})
			default:
				s.send(r.ctx, []any{"EVENT", id, ev})
			}
		}
	}
}

// raw sends a line to all clients, whatever they asked for.
func (r *relay) raw(line string) {
	r.mu.Lock()
	sockets := make([]*socket, 0, len(r.sockets))
	for s := range r.sockets {
		sockets = append(sockets, s)
	}
	r.mu.Unlock()
	for _, s := range sockets {
		_ = s.ws.Write(r.ctx, websocket.MessageText, []byte(line)) // the client may have gone
	}
}

// cutInside sends the beginning of a message and breaks the connection.
func (s *socket) cutInside(ctx context.Context) {
	if w, err := s.ws.Writer(ctx, websocket.MessageText); err == nil {
		_, _ = w.Write([]byte(`["EVENT","wallet",{"id":"`))
	}
	_ = s.ws.CloseNow()
}

// flood sends a message without end, as long as the client takes it.
func (s *socket) flood(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// A message that was begun blocks the socket for all others.
	defer func() { _ = s.ws.CloseNow() }()
	w, err := s.ws.Writer(ctx, websocket.MessageText)
	if err != nil {
		return
	}
	if _, err := w.Write([]byte(`["EVENT","wallet",{"content":"`)); err != nil {
		return
	}
	chunk := []byte(strings.Repeat("A", 16<<10))
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}
