package restpeer

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestFollow(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	now := time.Now().Truncate(time.Millisecond)
	t.Run("events", func(t *testing.T) {
		b := newBooks(t)
		s := b.follow(t, "", nil, nil)
		s.connected(b)
		b.Send([]byte("no event"))
		b.Send([]byte(lntypes.Hash{9}.String())) // of nothing that was settled here
		b.settle(1, now)
		b.settle(2, now.Add(time.Millisecond))
		b.Send([]byte(lntypes.Hash{1}.String()))
		s.wait(1, 2)
		if got := s.found[1].Cursor; got != strconv.FormatInt(now.UnixMilli()+1, 10) {
			t.Errorf("cursor %s", got)
		}
		s.stop()
	})
	t.Run("lost events", func(t *testing.T) {
		b := newBooks(t)
		s := b.follow(t, "", func(c *Client) { c.Sweep = 20 * time.Millisecond }, nil)
		s.connected(b)
		b.Silence(true)
		b.settle(1, now)
		b.settle(2, now)
		s.wait(1, 2)
		s.stop()
	})
	t.Run("event before the settlement can be seen", func(t *testing.T) {
		b := newBooks(t)
		b.lag = 1
		s := b.follow(t, "", nil, nil)
		s.connected(b)
		b.settle(1, now)
		s.wait(1)
		s.stop()
	})
	t.Run("reconnect", func(t *testing.T) {
		b := newBooks(t)
		s := b.follow(t, "", nil, nil)
		s.connected(b)
		b.settle(1, now)
		s.wait(1)
		b.Inflict(t, wallettest.Fault{Kind: wallettest.Disconnect})
		b.settle(2, now)
		time.Sleep(30 * time.Millisecond)
		b.settle(3, now)
		b.Inflict(t, wallettest.Fault{Kind: wallettest.None})
		s.wait(1, 2, 3)
		s.stop()
	})
	t.Run("no websockets", func(t *testing.T) {
		b := newBooks(t)
		b.Deafen(true)
		s := b.follow(t, "", nil, nil)
		b.settle(1, now)
		s.wait(1)
		b.settle(2, now)
		s.wait(1, 2)
		if lines := strings.Count(s.env.Log(), "subscription lost"); lines != 1 {
			t.Errorf("%d lines in the log for one cause", lines)
		}
		s.stop()
	})
	t.Run("cursor", func(t *testing.T) {
		b := newBooks(t)
		b.settle(1, now.Add(-time.Hour))
		b.settle(2, now.Add(-time.Hour+3*time.Minute))
		b.settle(3, now)
		s := b.follow(t, strconv.FormatInt(now.Add(-time.Hour+3*time.Minute).UnixMilli(), 10), nil, nil)
		s.wait(2, 3)
		s.stop()
		s = b.follow(t, s.found[1].Cursor, nil, nil)
		s.wait(3)
		s.stop()
	})
	t.Run("from now on", func(t *testing.T) {
		b := newBooks(t)
		b.settle(1, now.Add(-2*time.Minute))
		s := b.follow(t, "", nil, nil)
		s.connected(b)
		b.settle(2, now)
		s.wait(2)
		s.stop()
	})
	t.Run("clock ahead", func(t *testing.T) {
		b := newBooks(t)
		s := b.follow(t, "", func(c *Client) { c.Sweep = 20 * time.Millisecond }, nil)
		s.connected(b)
		b.settle(1, now.Add(1000*time.Hour))
		s.wait(1)
		b.Silence(true)
		b.settle(2, time.Now())
		s.wait(1, 2)
		ms, err := strconv.ParseInt(s.found[0].Cursor, 10, 64)
		if err != nil || time.UnixMilli(ms).After(time.Now()) {
			t.Errorf("cursor %s lies in the future: %v", s.found[0].Cursor, err)
		}
		s.stop()
	})
	t.Run("flood", func(t *testing.T) {
		b := newBooks(t)
		s := b.follow(t, "", nil, nil)
		s.connected(b)
		for n := range 100 {
			b.settle(byte(n), now)
			for range 50 {
				b.Send([]byte(lntypes.Hash{byte(n)}.String()))
			}
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			s.mu.Lock()
			got := len(s.found)
			s.mu.Unlock()
			if got == 100 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d of 100 settlements", got)
			}
		}
		s.stop()
	})
	t.Run("event without end", func(t *testing.T) {
		b := newBooks(t)
		s := b.follow(t, "", nil, nil)
		s.connected(b)
		b.Send([]byte(strings.Repeat("a", maxEvent+1)))
		b.settle(1, now)
		s.wait(1)
		s.stop()
	})
	t.Run("dead connection", func(t *testing.T) {
		// A peer that takes the websocket and answers no ping.
		b := newBooks(t)
		b.Mute(true)
		s := b.follow(t, "", func(c *Client) { c.PingEvery = 10 * time.Millisecond }, nil)
		for end := time.Now().Add(5 * time.Second); b.Requests("/ws") < 3; time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the dead connection is kept")
			}
		}
		b.Mute(false)
		b.settle(1, now)
		s.wait(1)
		s.stop()
	})
}

func TestFollowEnds(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("refused", func(t *testing.T) {
		b := newBooks(t)
		b.key = "another"
		s := b.follow(t, "", nil, nil)
		if err := s.end(); !errors.Is(err, wallets.ErrUnauthorized) || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("refused later", func(t *testing.T) {
		b := newBooks(t)
		s := b.follow(t, "", nil, nil)
		s.connected(b)
		b.mu.Lock()
		b.key = "another"
		b.mu.Unlock()
		b.Cut()
		if err := s.end(); !errors.Is(err, wallets.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		b := newBooks(t)
		s := b.follow(t, "", nil, nil)
		s.connected(b)
		if err := s.client.Close(); err != nil {
			t.Error(err)
		}
		if err := s.end(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
	for _, cursor := range []string{"x", "-1", "0", "99999999999999999999", "1e3"} {
		t.Run("cursor "+cursor, func(t *testing.T) {
			b := newBooks(t)
			if err := b.follow(t, cursor, nil, nil).end(); err == nil || !strings.Contains(err.Error(), "cursor") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestSecretFile has the credential change while the subscription runs.
func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBooks(t)
	s := b.follow(t, "", nil, func(r *Raw) { r.Secret, r.SecretFile = "", path })
	s.connected(b)
	if err := os.WriteFile(path, []byte("renewed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.key = "renewed"
	b.mu.Unlock()
	b.Cut()
	b.settle(1, time.Now())
	s.wait(1)
	s.stop()
	if got, err := s.client.Secret(); got != "renewed" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestReconfigure(t *testing.T) {
	b := newBooks(t)
	s := b.follow(t, "", nil, nil)
	s.stop()
	if got := s.client.Network(); got != wallets.Mainnet {
		t.Errorf("network %s", got)
	}
	set, err := Resolve("books", "", raw(func(r *Raw) { r.Network, r.Timeout = "regtest", 1 }))
	if err != nil {
		t.Fatal(err)
	}
	s.client.Reconfigure(set)
	if got := s.client.Network(); got != wallets.Regtest {
		t.Errorf("network %s", got)
	}
	// A nanosecond is too short for anything.
	if _, err := s.client.Do(t.Context(), httpjson.Request{Path: "list"}); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("the new time-out is not in force: %v", err)
	}
	if _, err := s.client.dial(t.Context(), "ws"); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("the new time-out is not in force for websockets: %v", err)
	}
}
