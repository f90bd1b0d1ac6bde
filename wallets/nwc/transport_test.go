package nwc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// TestLazy demands that opening dials nothing and that one socket serves everything.
func TestLazy(t *testing.T) {
	s := newService(t, modern, 2)
	before := goleak.IgnoreCurrent()
	w := s.open(t, wallettest.NewEnv(t))
	if err := goleak.Find(before); err != nil {
		t.Errorf("opening started a goroutine: %v", err)
	}
	if n := s.relays[0].openedCount(); n != 0 {
		t.Fatalf("opening made %d connections", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 3 {
		// Ends with ctx; wg.Wait below.
		wg.Go(func() { _ = w.SubscribeSettlements(ctx, "", func(wallets.Settlement) {}) })
	}
	for range 40 {
		// Ends with the call; wg.Wait below.
		wg.Go(func() {
			if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
				t.Error(err)
			}
			if err := w.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	cancel()
	wg.Wait()
	for i, r := range s.relays {
		r.set(func() {
			if r.opened != 1 || r.maxAlive != 1 {
				t.Errorf("relay %d saw %d connections, %d at a time; want 1", i, r.opened, r.maxAlive)
			}
		})
	}
	if n := s.count(methodPay); n != 0 {
		t.Errorf("%d payments were asked for", n)
	}
}

// lastRequest gives the newest request as the relay saw it.
func (s *service) lastRequest(t *testing.T) nostr.Event {
	t.Helper()
	r := s.relays[0]
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) == 0 {
		t.Fatal("the relay saw no request")
	}
	return r.requests[len(r.requests)-1]
}

func TestRequestForm(t *testing.T) {
	for encryption, want := range map[string]scheme{
		"nip44_v2 nip04": schemeNIP44, "nip04 nip44_v2": schemeNIP44, "nip44_v2": schemeNIP44,
		"nip04": schemeNIP04, "-": schemeNIP04, "": schemeNIP04,
	} {
		t.Run(encryption, func(t *testing.T) {
			s := newService(t, profile{encryption: encryption, methods: allMethods}, 1)
			w := s.open(t, wallettest.NewEnv(t))
			start := time.Now()
			if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
				t.Fatal(err)
			}
			ev := s.lastRequest(t)
			if got, _ := onlyTag(&ev, "encryption"); got != string(want) {
				t.Errorf("encryption is %q, want %q", got, want)
			}
			if to, _ := onlyTag(&ev, "p"); to != s.keys.public || ev.Kind != kindRequest || ev.PubKey != s.keys.peer {
				t.Errorf("kind %d from %s to %s", ev.Kind, ev.PubKey, to)
			}
			text, _ := onlyTag(&ev, "expiration")
			at, err := strconv.ParseInt(text, 10, 64)
			if left := time.Unix(at, 0).Sub(start); err != nil || left < testTimeout || left > testTimeout+requestSlack+5*time.Second {
				t.Errorf("expiration %q is %s away", text, left)
			}
			if strings.Contains(ev.Content, "?iv=") != (want == schemeNIP04) {
				t.Error("the content has the form of the other encryption")
			}
		})
	}
}

// TestEncryptionChanges has the wallet change its mind after the info event was read.
func TestEncryptionChanges(t *testing.T) {
	s := newService(t, profile{encryption: "nip04", methods: allMethods}, 1)
	w := s.open(t, wallettest.NewEnv(t))
	create := func(want scheme) {
		t.Helper()
		if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
			t.Fatal(err)
		}
		ev := s.lastRequest(t)
		if got, _ := onlyTag(&ev, "encryption"); got != string(want) {
			t.Errorf("encryption is %q, want %q", got, want)
		}
	}
	create(schemeNIP04)
	// Without a new info event: the wallet's refusal tells.
	s.set(func() { s.encryption = "nip44_v2" })
	create(schemeNIP44)
	before := s.count(methodMake)
	create(schemeNIP44)
	if n := s.count(methodMake) - before; n != 1 {
		t.Errorf("%d requests for one invoice", n)
	}
	// With one, which is newer than the first.
	s.set(func() { s.encryption = "nip04 nip44_v2" })
	ev := nostr.Event{Kind: kindInfo, CreatedAt: nostr.Now() + 2, Content: "make_invoice", Tags: nostr.Tags{{"encryption", "nip04"}}}
	s.sign(&ev)
	s.relays[0].store(ev)
	for range 100 {
		if w.s.currentInfo().at == ev.CreatedAt {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	create(schemeNIP04)
}

func TestUnsupportedEncryption(t *testing.T) {
	s := newService(t, profile{encryption: "nip99", methods: allMethods}, 1)
	w := s.open(t, wallettest.NewEnv(t))
	if _, err := w.CreateInvoice(t.Context(), ask()); !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), "nip99") {
		t.Errorf("got %v, want ErrUnavailable that names nip99", err)
	}
}

func TestRelayAuth(t *testing.T) {
	for name, c := range map[string]struct {
		challenge string
		never     bool
		want      error
	}{
		"right":        {"a challenge", false, nil},
		"let in never": {"a challenge", true, wallets.ErrUnavailable},
		"absurd":       {strings.Repeat("x", 1025), false, wallets.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, modern, 1)
			s.relays[0].auth, s.relays[0].never = c.challenge, c.never
			w := s.open(t, wallettest.NewEnv(t))
			if _, err := w.CreateInvoice(t.Context(), ask()); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestRelayRejects(t *testing.T) {
	for reason, want := range map[string]error{
		"blocked: not here":                 wallets.ErrUnavailable,
		"rate-limited: slow down":           wallets.ErrRateLimited,
		"auth-required: who are you":        wallets.ErrUnavailable,
		"":                                  wallets.ErrUnavailable,
		"invalid: expiration " + someSecret: wallets.ErrUnavailable,
	} {
		t.Run(reason, func(t *testing.T) {
			s := newService(t, modern, 1)
			s.relays[0].set(func() { s.relays[0].fault, s.relays[0].reason = relayRejects, reason })
			w := s.open(t, wallettest.NewEnv(t))
			start := time.Now()
			_, err := w.CreateInvoice(t.Context(), ask())
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			if err != nil && strings.Contains(err.Error(), someSecret) {
				t.Errorf("the relay's words came through: %v", err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("a refusal took %s", took)
			}
		})
	}
}

// TestDuplicateVerdict: a relay that has the event already says OK false on some software.
func TestDuplicateVerdict(t *testing.T) {
	s := newService(t, modern, 2)
	s.relays[0].set(func() { s.relays[0].fault, s.relays[0].reason = relayRejects, "duplicate: have it" })
	w := s.open(t, wallettest.NewEnv(t))
	if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
		t.Error(err)
	}
}

// TestNoRelay: where nothing listens, a call fails at once and names the host but not the token.
func TestNoRelay(t *testing.T) {
	s := newService(t, modern, 2)
	for _, r := range s.relays {
		r.set(func() { r.refuse = true })
	}
	w := s.open(t, wallettest.NewEnv(t))
	start := time.Now()
	for range 3 {
		_, err := w.CreateInvoice(t.Context(), ask())
		if !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Fatalf("got %v, want ErrUnavailable that names the relay", err)
		}
		if strings.Contains(err.Error(), "relaytoken") {
			t.Fatalf("the error holds the relay's token: %v", err)
		}
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("three failures took %s", took)
	}
	for _, r := range s.relays {
		r.set(func() { r.refuse = false })
	}
	if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
		t.Errorf("after the relays came back: %v", err)
	}
}

// TestRedirect: a relay cannot send the client elsewhere.
func TestRedirect(t *testing.T) {
	s := newService(t, modern, 1)
	redirect := httptest.NewServer(http.RedirectHandler(s.relays[0].server.URL, http.StatusFound))
	defer redirect.Close()
	w := s.open(t, wallettest.NewEnv(t))
	w.s.links[0].url = "ws" + strings.TrimPrefix(redirect.URL, "http")
	if _, err := w.CreateInvoice(t.Context(), ask()); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if n := s.relays[0].openedCount(); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// TestSilentDeath has the relay hold the connection and answer nothing any more, as behind a NAT
// that forgot it.
func TestSilentDeath(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	w.s.timing.pong, w.s.timing.ping = 100*time.Millisecond, time.Hour
	if err := w.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.relays[0].set(func() { s.relays[0].fault = relayDeaf })
	w.configure(options{network: wallets.Regtest, timeout: 150 * time.Millisecond})
	// The first line after the change may still be read.
	for range 3 {
		_ = w.Ping(t.Context())
	}
	s.relays[0].set(func() { s.relays[0].fault = relayFine })
	w.configure(options{network: wallets.Regtest, timeout: testTimeout})
	deadline := time.Now().Add(5 * time.Second)
	for s.relays[0].openedCount() < 2 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if err := w.Ping(t.Context()); err != nil {
		t.Errorf("after a connection that died in silence: %v", err)
	}
}

func TestClosed(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	s.set(func() { s.fault.Kind = wallettest.Hang })
	done := make(chan error, 2)
	// Both end with Close, below.
	go func() { _, err := w.CreateInvoice(context.Background(), ask()); done <- err }()
	go func() {
		done <- w.SubscribeSettlements(context.Background(), "", func(wallets.Settlement) {})
	}()
	time.Sleep(100 * time.Millisecond)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case err := <-done:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want net.ErrClosed", err)
			}
		case <-time.After(2 * time.Second):
			t.Fatal("a call outlives Close")
		}
	}
	if err := w.SubscribeSettlements(t.Context(), "", func(wallets.Settlement) {}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("subscribing after Close: got %v, want net.ErrClosed", err)
	}
	if n := w.pendingCount(); n != 0 {
		t.Errorf("%d requests are left", n)
	}
}

func (w *Wallet) pendingCount() int {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return len(w.s.pending)
}

// TestNothingStays: requests without an answer leave nothing behind, and there is a bound.
func TestNothingStays(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	s.set(func() { s.fault.Kind = wallettest.Hang })
	w.configure(options{network: wallets.Regtest, timeout: 50 * time.Millisecond})
	for range 5 {
		if _, err := w.CreateInvoice(t.Context(), ask()); !errors.Is(err, wallets.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
	}
	if n := w.pendingCount(); n != 0 {
		t.Errorf("%d requests are left", n)
	}
	w.s.mu.Lock()
	for i := range maxPending {
		w.s.pending[strconv.Itoa(i)] = &pending{legs: make([]legState, 1), errs: make([]error, 1), first: make([]bool, 1), done: make(chan outcome, 1)}
	}
	w.s.mu.Unlock()
	if _, err := w.CreateInvoice(t.Context(), ask()); !errors.Is(err, wallets.ErrRateLimited) {
		t.Errorf("with %d requests under way: got %v, want ErrRateLimited", maxPending, err)
	}
}

func TestPermissions(t *testing.T) {
	for name, c := range map[string]struct {
		p         profile
		has, lack []string
	}{
		"may spend": {modern, []string{methodMake, "notification payment_received", "warning: pay_invoice allowed"}, []string{"lookup_invoice is not allowed"}},
		"may only receive": {
			profile{encryption: "nip44_v2", methods: without(methodPay), notify: true},
			[]string{methodMake, methodLookup}, []string{"warning", methodPay},
		},
		"no look-up": {
			profile{encryption: "nip44_v2", methods: []string{methodGetInfo, methodMake}},
			[]string{"warning: lookup_invoice is not allowed"}, []string{"pay_invoice", "notification"},
		},
		"by the info event": {
			profile{encryption: "nip44_v2", methods: []string{methodMake, methodPay}, notify: true},
			[]string{methodMake, "notification payment_sent", "warning: pay_invoice allowed"}, []string{methodGetInfo},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, c.p, 1)
			w := s.open(t, wallettest.NewEnv(t))
			words, err := w.Permissions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(words, "\n")
			for _, word := range c.has {
				if !strings.Contains(text, word) {
					t.Errorf("%q is missing in:\n%s", word, text)
				}
			}
			for _, word := range c.lack {
				if strings.Contains(text, word) {
					t.Errorf("%q should not be in:\n%s", word, text)
				}
			}
		})
	}
}

// TestPermissionsUnknown has neither get_info nor an info event.
func TestPermissionsUnknown(t *testing.T) {
	s := newService(t, profile{encryption: "", methods: []string{methodMake}}, 1)
	w := s.open(t, wallettest.NewEnv(t))
	if words, err := w.Permissions(t.Context()); !errors.Is(err, wallets.ErrUnauthorized) {
		t.Errorf("got %q, error %v; want ErrUnauthorized", words, err)
	}
}
