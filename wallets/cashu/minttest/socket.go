package minttest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// socket is a websocket of a client that follows quotes (NUT-17). Its fields are under Mint.mu.
type socket struct {
	conn *websocket.Conn
	subs map[string][]string

	// writing is held while a message is sent.
	writing sync.Mutex
}

// follow serves a websocket.
func (m *Mint) follow(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	s := &socket{conn: conn, subs: make(map[string][]string)}
	m.mu.Lock()
	m.sockets[s] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.sockets, s)
		m.mu.Unlock()
		_ = conn.CloseNow() // the client may be gone
	}()
	conn.SetReadLimit(2048)
	for {
		_, b, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var in struct {
			ID     int    `json:"id"`
			Method string `json:"method"`
			Params struct {
				Kind    string   `json:"kind"`
				SubID   string   `json:"subId"`
				Filters []string `json:"filters"`
			} `json:"params"`
		}
		if json.Unmarshal(b, &in) != nil {
			return
		}
		m.mu.Lock()
		problem := ""
		var first []any
		switch {
		case in.Method == "unsubscribe":
			delete(s.subs, in.Params.SubID)
		case in.Method != "subscribe" || in.Params.Kind != "bolt11_mint_quote":
			problem = "no such subscription"
		case len(in.Params.Filters) > 50 || len(s.subs) >= 100:
			problem = "too many"
		default:
			s.subs[in.Params.SubID] = in.Params.Filters
			for _, id := range in.Params.Filters {
				if q := m.mints[id]; q != nil {
					first = append(first, notification(in.Params.SubID, m.mintJSON(q)))
				}
			}
		}
		m.mu.Unlock()
		if problem != "" {
			s.write(map[string]any{"jsonrpc": "2.0", "id": in.ID, "error": map[string]any{"code": -32602, "message": problem}})
			continue
		}
		s.write(map[string]any{"jsonrpc": "2.0", "id": in.ID, "result": map[string]string{"status": "OK", "subId": in.Params.SubID}})
		for _, n := range first {
			s.write(n)
		}
	}
}

func notification(sub string, payload any) any {
	return map[string]any{"jsonrpc": "2.0", "method": "subscribe", "params": map[string]any{"subId": sub, "payload": payload}}
}

func (s *socket) write(v any) {
	s.writing.Lock()
	defer s.writing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = s.conn.Write(ctx, websocket.MessageText, answer(v)) // the client may be gone
}

// tell tells of a quote; the caller has m.mu.
func (m *Mint) tell(q *mintQuote) {
	for s := range m.sockets {
		for sub, quotes := range s.subs {
			if slices.Contains(quotes, q.id) {
				n := notification(sub, m.mintJSON(q))
				go s.write(n) // ends with the write, which is bounded
			}
		}
	}
}

// Cut cuts all websockets.
func (m *Mint) Cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.sockets {
		_ = s.conn.CloseNow() // the client may be gone
	}
}

// Followers is how many websockets are open.
func (m *Mint) Followers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sockets)
}
