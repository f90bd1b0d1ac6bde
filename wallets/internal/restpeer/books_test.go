package restpeer

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer/peertest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// books is a peer that knows settlements and nothing else.
type books struct {
	*peertest.Double
	key string

	mu      sync.Mutex
	settled []wallets.Settlement
	// lag is by how much a look-up is behind an event.
	lag   int
	lists []time.Time
}

func newBooks(t *testing.T) *books {
	b := &books{key: secret}
	mux := http.NewServeMux()
	allowed := func(w http.ResponseWriter, r *http.Request) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if r.Header.Get("Key") != b.key {
			http.Error(w, "wrong key "+r.Header.Get("Key"), http.StatusUnauthorized)
			return false
		}
		return true
	}
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		if allowed(w, r) {
			b.Websocket(w, r)
		}
	})
	mux.HandleFunc("GET /list", func(w http.ResponseWriter, r *http.Request) {
		if allowed(w, r) {
			b.mu.Lock()
			defer b.mu.Unlock()
			_ = json.NewEncoder(w).Encode(b.settled)
		}
	})
	b.Double = peertest.New(t, wallets.Regtest, mux)
	return b
}

// settle settles an invoice at a time, and tells it unless it is to be silent.
func (b *books) settle(n byte, at time.Time) {
	hash := lntypes.Hash{n}
	b.mu.Lock()
	b.settled = append(b.settled, wallets.Settlement{PaymentHash: hash, AmountPaid: 1000, SettledAt: at})
	b.mu.Unlock()
	b.Send([]byte(hash.String()))
}

func (b *books) feed(c *Client) Feed {
	list := func(ctx context.Context) ([]wallets.Settlement, error) {
		answer, err := c.Do(ctx, httpjson.Request{Path: "list"})
		if err != nil {
			return nil, err
		}
		if answer.Status != http.StatusOK {
			return nil, answer.Refusal("")
		}
		var out []wallets.Settlement
		return out, answer.Decode(&out)
	}
	return Feed{
		Path: func() (string, error) { return "ws", nil },
		Event: func(m []byte) (lntypes.Hash, bool) {
			hash, err := lntypes.MakeHashFromStr(string(m))
			return hash, err == nil
		},
		Lookup: func(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
			b.mu.Lock()
			b.lag--
			behind := b.lag >= 0
			b.mu.Unlock()
			if behind {
				return &wallets.Status{State: wallets.StatePending}, nil
			}
			all, err := list(ctx)
			if err != nil {
				return nil, err
			}
			for _, s := range all {
				if s.PaymentHash == hash {
					return &wallets.Status{State: wallets.StateSettled, AmountPaid: s.AmountPaid, SettledAt: s.SettledAt}, nil
				}
			}
			return nil, wallets.ErrNotFound
		},
		List: func(ctx context.Context, since time.Time, _ bool) ([]wallets.Settlement, error) {
			b.mu.Lock()
			b.lists = append(b.lists, since)
			b.mu.Unlock()
			return list(ctx)
		},
	}
}

// subscription is a running Follow.
type subscription struct {
	t      *testing.T
	client *Client
	env    *wallettest.Env
	cancel context.CancelFunc
	done   chan error

	mu    sync.Mutex
	found []wallets.Settlement
}

func (b *books) follow(t *testing.T, cursor string, change func(*Client), source func(*Raw)) *subscription {
	t.Helper()
	env := wallettest.NewEnv(t)
	r := raw(func(r *Raw) { r.Address = b.URL })
	if source != nil {
		source(&r)
	}
	set, err := Resolve("books", "", r)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Name: "books", Authorize: func(h http.Header, s string) { h.Set("Key", s) }, Logger: env.Logger}, set)
	if err != nil {
		t.Fatal(err)
	}
	c.FirstRetry, c.LastRetry = 5*time.Millisecond, 20*time.Millisecond
	if change != nil {
		change(c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &subscription{t: t, client: c, env: env, cancel: cancel, done: make(chan error, 1)}
	// Ends with the context; stop waits for it.
	go func() {
		s.done <- c.Follow(ctx, cursor, b.feed(c), func(st wallets.Settlement) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.found = append(s.found, st)
		})
	}()
	t.Cleanup(func() { cancel(); _ = c.Close() })
	return s
}

// hashes waits for the settlements and gives their first bytes.
func (s *subscription) wait(want ...byte) {
	s.t.Helper()
	var got []byte
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		got = got[:0]
		s.mu.Lock()
		for _, st := range s.found {
			got = append(got, st.PaymentHash[0])
		}
		s.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
	}
	s.t.Fatalf("settlements are %v, want %v", got, want)
}

func (s *subscription) stop() {
	s.t.Helper()
	s.cancel()
	if err := s.end(); !errors.Is(err, context.Canceled) {
		s.t.Errorf("ended with %v", err)
	}
}

func (s *subscription) end() error {
	s.t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(5 * time.Second):
		s.t.Fatal("the subscription does not end")
		return nil
	}
}

func (s *subscription) connected(b *books) {
	s.t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		b.mu.Lock()
		listed := len(b.lists)
		b.mu.Unlock()
		if b.Sockets() > 0 && listed > 0 {
			return
		}
	}
	s.t.Fatal("no websocket")
}
