package caddyl402

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(listener{}) }

// hook is a receiver of notifications.
type hook struct {
	*httptest.Server
	status atomic.Int64
	hang   chan struct{}

	mu  sync.Mutex
	got []settledEvent
	bad []string
}

const hookSecret = "a secret for notifications"

func newHook(t *testing.T) *hook {
	h := new(hook)
	h.status.Store(200)
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	hang := h.hang
	stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("L402-Signature"), "t="), ",")
	mac := hmac.New(sha256.New, []byte(hookSecret))
	fmt.Fprintf(mac, "%s.%s", stamp, body)
	if want := "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil)); r.Header.Get("L402-Signature") != want {
		h.bad = append(h.bad, r.Header.Get("L402-Signature"))
	}
	var event settledEvent
	if err := json.Unmarshal(body, &event); err != nil {
		h.bad = append(h.bad, err.Error())
	}
	status := int(h.status.Load())
	if status == 200 && hang == nil {
		h.got = append(h.got, event)
	}
	h.mu.Unlock()
	if hang != nil {
		<-hang
	}
	w.WriteHeader(status)
}

func (h *hook) options() string {
	return fmt.Sprintf("wallet play sandbox\nnotify %s/hook {\n\tsecret \"%s\"\n\ttimeout 1s\n}", h.URL, hookSecret)
}

// wait waits for the n-th event.
func (h *hook) wait(t *testing.T, n int) settledEvent {
	t.Helper()
	for range 1000 {
		h.mu.Lock()
		if len(h.bad) > 0 {
			t.Error(h.bad)
		}
		if len(h.got) >= n {
			defer h.mu.Unlock()
			return h.got[n-1]
		}
		h.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("event %d did not come", n)
	return settledEvent{}
}

func TestNotification(t *testing.T) {
	h := newHook(t)
	s := serve(t, h.options(), "l402 /premium/* 10 sat {\n\tservice premium 2\n}\ntest_upstream")
	p := s.buy("/premium/x")
	for range 3 {
		s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	}
	event := h.wait(t, 1)
	f := event.Settlement
	if event.Event != "l402_settled" || event.ID != p.preimage.Hash().String() || f.PaymentHash != event.ID || f.Service != "premium" ||
		f.Tier != 2 || f.AmountMsat != 10_000 || f.Wallet != "play" || f.Scheme != "L402" || time.Since(event.Time) > time.Minute {
		t.Errorf("%+v", event)
	}
	time.Sleep(100 * time.Millisecond)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.got) != 1 {
		t.Errorf("%d events of one payment", len(h.got))
	}
}

func TestNotificationIsTriedAgain(t *testing.T) {
	h := newHook(t)
	h.status.Store(500)
	s := serve(t, h.options(), gated)
	failed := metrics.notices.WithLabelValues("failed")
	before := value(t, failed)
	p := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	for begin := time.Now(); value(t, failed) == before; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("not tried")
		}
	}
	h.status.Store(200)
	h.wait(t, 1)
}

func TestNotificationsSurviveRestartsAndReloads(t *testing.T) {
	h := newHook(t)
	h.status.Store(500)
	s := serve(t, h.options(), gated)
	p := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	s.reload(s.config(strings.Replace(h.options(), "timeout 1s", "timeout 2s", 1), gated))
	if n := s.app().notified[0].notifier.Waiting(); n > 1 {
		t.Errorf("%d wait after a reload", n)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if len(h.got) > 0 {
		t.Fatal("taken")
	}
	h.status.Store(200)
	s.reload(s.config(h.options(), gated))
	if event := h.wait(t, 1); event.ID != p.preimage.Hash().String() {
		t.Errorf("%+v", event)
	}
}

func TestHangingReceiverHoldsUpNoRequest(t *testing.T) {
	h := newHook(t)
	h.hang = make(chan struct{})
	defer close(h.hang)
	s := serve(t, strings.Replace(h.options(), "timeout 1s", "timeout 1h", 1), gated)
	begin := time.Now()
	for range 20 {
		p := s.buy("/premium/x")
		s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Error("twenty payments took", took)
	}
	begin = time.Now()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Error("stopping took", took)
	}
}

func TestBadNotifyIsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ options, says string }{
		"twice": {"wallet play sandbox\nnotify https://a.test/ {\n\tsecret 0123456789abcdef\n}\n" +
			"notify https://a.test/ {\n\tsecret 0123456789abcdef\n}", "given twice"},
		"unset": {"wallet play sandbox\nnotify https://a.test/ {\n\tsecret {env.NO_SUCH_VARIABLE}\n}", "secret"},
	} {
		config, err := adapt("{\n\tl402 {\n" + tc.options + "\n\t}\n}\nhttp://127.0.0.1:1 {\n\tbind 127.0.0.1\n\tl402 10 sat\n}")
		if err != nil {
			t.Fatal(name, err)
		}
		var parsed caddy.Config
		if err := json.Unmarshal(config, &parsed); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&parsed); err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// listener is a handler of Caddy's events.
type listener struct{}

func (listener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_listener", New: func() caddy.Module { return new(listener) }}
}

func (*listener) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

// heard are the events that listeners got; what they do with them is replaced by tests.
var heard = struct {
	sync.Mutex
	events []caddy.Event
	then   func(context.Context)
}{}

func (*listener) Handle(ctx context.Context, e caddy.Event) error {
	heard.Lock()
	heard.events = append(heard.events, e)
	then := heard.then
	heard.Unlock()
	if then != nil {
		then(ctx)
	}
	return nil
}

func listen(t *testing.T, then func(context.Context)) func(n int) caddy.Event {
	t.Helper()
	heard.Lock()
	heard.events, heard.then = nil, then
	heard.Unlock()
	return func(n int) caddy.Event {
		t.Helper()
		for range 1000 {
			heard.Lock()
			if len(heard.events) >= n {
				defer heard.Unlock()
				return heard.events[n-1]
			}
			heard.Unlock()
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("event %d was not heard", n)
		return caddy.Event{}
	}
}

const listening = "events {\n\t\ton l402_settled test_listener\n\t}"

func TestEvent(t *testing.T) {
	wait := listen(t, nil)
	s := serveWith(t, listening, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	e := wait(1)
	if e.Name() != "l402_settled" || e.Data["payment_hash"] != p.preimage.Hash().String() || e.Data["amount_msat"] != uint64(10_000) ||
		e.Data["service"] != "premium" || e.Origin().CaddyModule().ID != "l402" {
		t.Errorf("%s %v", e.Name(), e.Data)
	}
	// A reload keeps telling.
	s.reload(s.config("wallet play sandbox\nwallet_timeout 7s", gated))
	p = s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	if e := wait(2); e.Data["payment_hash"] != p.preimage.Hash().String() {
		t.Error(e.Data)
	}
}

func TestHandlersOfEventsHoldUpNothing(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	wait := listen(t, func(context.Context) { <-release }) // not even at the end of the configuration
	s := serveWith(t, listening, "wallet play sandbox", gated)
	for range 3 {
		p := s.buy("/premium/x")
		s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	}
	wait(1)
	begin := time.Now()
	s.reload(s.config("wallet play sandbox\nwallet_timeout 8s", gated))
	if took := time.Since(begin); took > 5*time.Second {
		t.Error("a reload took", took)
	}
}

func TestPanickingHandlerOfEvents(t *testing.T) {
	wait := listen(t, func(context.Context) { panic("handler") })
	s := serveWith(t, listening, "wallet play sandbox", gated)
	for n := 1; n <= 2; n++ {
		p := s.buy("/premium/x")
		s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
		wait(n)
	}
}

func TestAnnouncementsAreBounded(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	app := s.app()
	dropped := metrics.notices.WithLabelValues("event_dropped")
	before := value(t, dropped)
	idle := &App{announcer: announcer{queue: make(chan settlementFacts, 2), done: make(chan struct{})}}
	for range 5 {
		idle.announce(settlementFacts{})
	}
	if got := value(t, dropped) - before; got != 3 {
		t.Errorf("%v dropped", got)
	}
	// What an old configuration's last requests bring goes to the one that runs.
	close(idle.announcer.done)
	wait := listen(t, nil)
	s.globals = listening
	s.reload(s.config("wallet play sandbox", gated))
	if s.app() == app {
		t.Fatal("not reloaded")
	}
	idle.announce(settlementFacts{PaymentHash: "late"})
	if e := wait(1); e.Data["payment_hash"] != "late" {
		t.Error(e.Data)
	}
}
