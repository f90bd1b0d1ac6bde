package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSecret = "correct horse battery staple"

// receiver is a target in memory.
type receiver struct {
	mu     sync.Mutex
	got    []string // the bodies that were taken
	tries  []time.Time
	answer func(*http.Request, int) (int, error) // status for the n-th try; nil takes all
	bad    []string
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.tries = append(r.tries, time.Now())
	n := len(r.tries)
	if err := verify(req.Header.Get("L402-Signature"), body); err != nil {
		r.bad = append(r.bad, err.Error())
	}
	if req.Method != "POST" || req.Header.Get("Content-Type") != "application/json" {
		r.bad = append(r.bad, req.Method)
	}
	answer := r.answer
	r.mu.Unlock()
	status := 204
	if answer != nil {
		if status, err = answer(req, n); err != nil {
			return nil, err
		}
	}
	if status >= 200 && status < 300 {
		r.mu.Lock()
		r.got = append(r.got, string(body))
		r.mu.Unlock()
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://elsewhere.example/"}},
		Body: io.NopCloser(strings.NewReader("ok")), Request: req}, nil
}

func (r *receiver) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.got))
}

func (r *receiver) tried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tries)
}

// verify does what a receiver does, by the documentation alone.
func verify(header string, body []byte) error {
	stamp, signature, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	if _, err := strconv.ParseInt(stamp, 10, 64); !ok || err != nil {
		return fmt.Errorf("header %q", header)
	}
	mac := hmac.New(sha256.New, []byte(testSecret))
	fmt.Fprintf(mac, "%s.%s", stamp, body)
	if signature != hex.EncodeToString(mac.Sum(nil)) {
		return errors.New("wrong signature")
	}
	return nil
}

// shelf is a Store in memory.
type shelf struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func newShelf() *shelf { return &shelf{values: make(map[string][]byte)} }

func (s *shelf) PutDurable(_ context.Context, kind, id string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if kind != "notify" || len(id) > 80 || len(value) > ledger.MaxDurable {
		return fmt.Errorf("%s %s of %d bytes", kind, id, len(value))
	}
	s.values[id] = bytes.Clone(value)
	return nil
}

func (s *shelf) ListDurable(context.Context, string) ([]ledger.Durable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []ledger.Durable
	for _, id := range slices.Sorted(maps.Keys(s.values)) {
		list = append(list, ledger.Durable{ID: id, Value: s.values[id]})
	}
	return list, s.err
}

func (s *shelf) DeleteDurable(_ context.Context, _, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, id)
	return s.err
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.values)
}

// setup is one process with a notifier.
type setup struct {
	*Notifier
	host *Host
	logs *observer.ObservedLogs

	mu     sync.Mutex
	counts map[string]int
}

func newSetup(t *testing.T, r *receiver, store *shelf) *setup {
	t.Helper()
	n, err := New(Target{URL: "https://shop.example/hook/s3cr3t?k=s3cr3t", Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	n.Transport, n.Random = r, func() float64 { return 0.5 }
	core, logs := observer.New(zap.DebugLevel)
	s := &setup{Notifier: n, logs: logs, counts: make(map[string]int)}
	s.host = &Host{Logger: zap.New(core), Timeout: 5 * time.Second, Count: func(result string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts[result]++
	}, Store: func() Store {
		if store == nil {
			return nil
		}
		return store
	}}
	s.Attach(s.host)
	return s
}

func (s *setup) count(result string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[result]
}

func (s *setup) send(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if !s.Send(id, []byte(`{"id":"`+id+`"}`)) {
			t.Fatal("not taken")
		}
	}
}

func (s *setup) secrets(t *testing.T) {
	t.Helper()
	for _, entry := range s.logs.All() {
		for _, field := range entry.ContextMap() {
			if text := fmt.Sprint(field); strings.Contains(text, "s3cr3t") || strings.Contains(text, testSecret) {
				t.Errorf("a secret in the log: %s %s", entry.Message, text)
			}
		}
	}
}

func body(ids ...string) []string {
	var list []string
	for _, id := range ids {
		list = append(list, `{"id":"`+id+`"}`)
	}
	return list
}

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		s := newSetup(t, r, newShelf())
		s.send(t, "a", "b", "c")
		synctest.Wait()
		if !slices.Equal(r.taken(), body("a", "b", "c")) || len(r.bad) > 0 || s.count(Delivered) != 3 {
			t.Error(r.taken(), r.bad, s.counts)
		}
		s.Detach(s.host)
		if s.Send("d", []byte("{}")) {
			t.Error("taken after the end")
		}
	})
}

func TestSendBeforeTheFirstConfigurationRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(receiver)
		s := newSetup(t, r, newShelf())
		s.Detach(s.host)
		n, err := New(s.target)
		if err != nil {
			t.Fatal(err)
		}
		n.Transport = r
		if !n.Send("early", []byte(`{"id":"early"}`)) || r.tried() != 0 {
			t.Error("not taken, or sent by nobody")
		}
		n.Attach(s.host)
		synctest.Wait()
		if !slices.Equal(r.taken(), body("early")) {
			t.Error(r.taken())
		}
		n.Detach(s.host)
	})
}

func TestRetriesWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(_ *http.Request, n int) (int, error) {
			switch {
			case n == 1:
				return 0, errors.New("connection refused")
			case n < 6:
				return 500, nil
			}
			return 200, nil
		}}
		s := newSetup(t, r, newShelf())
		begin := time.Now()
		s.send(t, "a")
		time.Sleep(time.Hour)
		if !slices.Equal(r.taken(), body("a")) || r.tried() != 6 || s.count(Failed) != 5 || s.count(Delivered) != 1 {
			t.Fatal(r.taken(), r.tried(), s.counts)
		}
		for i, want := range []time.Duration{0, 1, 3, 7, 15, 31} {
			if got := r.tries[i].Sub(begin); got != want*time.Second {
				t.Errorf("try %d after %v, want %v", i, got, want*time.Second)
			}
		}
		if s.logs.FilterLevelExact(zap.WarnLevel).Len() != 1 || s.logs.FilterMessageSnippet("again").FilterLevelExact(zap.InfoLevel).Len() != 1 {
			t.Error("not logged once each:", s.logs.All())
		}
		s.secrets(t)
		s.Detach(s.host)
	})
}

func TestPause(t *testing.T) {
	n, err := New(Target{URL: "https://shop.example/", Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	for random, want := range map[float64]time.Duration{0: 5 * time.Minute, 0.5: 10 * time.Minute, 1: 15 * time.Minute} {
		n.Random = func() float64 { return random }
		for _, attempts := range []int{11, 30, 70, 1000} {
			if got := n.pause(attempts); got != want {
				t.Errorf("after %d tries %v, want %v", attempts, got, want)
			}
		}
	}
}

func TestGivesUpAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(*http.Request, int) (int, error) { return 404, nil }}
		s := newSetup(t, r, newShelf())
		s.send(t, "a")
		time.Sleep(23 * time.Hour)
		if s.Waiting() != 1 || s.count(Expired) != 0 {
			t.Error("given up too early", s.counts)
		}
		time.Sleep(2 * time.Hour)
		if s.Waiting() != 0 || s.count(Expired) != 1 || s.logs.FilterMessageSnippet("given up").Len() != 1 {
			t.Error(s.Waiting(), s.counts)
		}
		if tries := r.tried(); tries < 140 || tries > 170 {
			t.Errorf("%d tries", tries)
		}
		s.Detach(s.host)
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(req *http.Request, _ int) (int, error) {
			if req.URL.Host != "shop.example" {
				t.Errorf("sent to %s", req.URL.Host)
			}
			return 307, nil
		}}
		s := newSetup(t, r, newShelf())
		s.send(t, "a")
		time.Sleep(time.Second / 2)
		if s.count(Failed) != 1 || r.tried() != 1 {
			t.Error(s.counts, r.tried())
		}
		s.Detach(s.host)
	})
}

// hang is an answer that never comes.
func hang(req *http.Request, _ int) (int, error) {
	<-req.Context().Done()
	return 0, req.Context().Err()
}

func TestHangingReceiverHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: hang}
		s := newSetup(t, r, newShelf())
		begin := time.Now()
		for i := range 5000 {
			s.send(t, strconv.Itoa(i))
		}
		if time.Since(begin) != 0 {
			t.Error("sending waited for", time.Since(begin))
		}
		synctest.Wait()
		if r.tried() != maxSending {
			t.Errorf("%d requests at once", r.tried())
		}
		time.Sleep(6 * time.Second)
		if r.tried() != 2*maxSending || s.count(Failed) != maxSending {
			t.Error("a try has no end:", r.tried(), s.counts)
		}
		begin = time.Now()
		s.Detach(s.host)
		if took := time.Since(begin); took > drainFor {
			t.Error("the end took", took)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: hang}
		s := newSetup(t, r, newShelf())
		s.waiting.max = 100
		s.host.Timeout = time.Hour
		for i := range maxSending {
			s.send(t, "sending"+strconv.Itoa(i))
		}
		synctest.Wait()
		for i := range 250 {
			s.send(t, fmt.Sprintf("%03d", i))
		}
		if s.Waiting() != 100 || s.count(Dropped) != 150 || s.logs.FilterMessageSnippet("too many").Len() != 1 {
			t.Error(s.Waiting(), s.counts, s.logs.All())
		}
		if oldest := s.waiting.all()[0].id; oldest != "150" {
			t.Error("the oldest is", oldest)
		}
		s.Detach(s.host)
	})
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		r := &receiver{answer: func(*http.Request, int) (int, error) { return 503, nil }}
		first := newSetup(t, r, store)
		first.send(t, "a", "b")
		time.Sleep(time.Minute)
		first.Detach(first.host)
		if store.len() != 1 || first.Waiting() != 0 {
			t.Fatal("not kept", store.len(), first.Waiting())
		}
		// The receiver is still down at the next start, and the one after that.
		second := newSetup(t, r, store)
		second.send(t, "c")
		time.Sleep(time.Minute)
		if second.Waiting() != 3 || store.len() != 1 {
			t.Error("waiting", second.Waiting(), "stored", store.len())
		}
		second.Detach(second.host)
		if store.len() != 1 {
			t.Error("stored twice", store.len())
		}
		r.mu.Lock()
		r.answer = nil
		r.mu.Unlock()
		third := newSetup(t, r, store)
		time.Sleep(time.Second)
		if !slices.Equal(r.taken(), body("a", "b", "c")) || store.len() != 0 || third.count(Delivered) != 3 {
			t.Error(r.taken(), store.len(), third.counts)
		}
		third.Detach(third.host)
		if store.len() != 0 {
			t.Error("left behind", store.len())
		}
	})
}

func TestCrashAfterRestartLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		r := &receiver{answer: hang}
		first := newSetup(t, r, store)
		first.send(t, "a", "b", "c", "d", "e", "f")
		first.Detach(first.host)
		// This process dies: what it took up is still stored.
		taken := 0
		r.answer = func(req *http.Request, n int) (int, error) {
			if r.mu.Lock(); taken < 2 {
				taken++
				r.mu.Unlock()
				return 200, nil
			}
			r.mu.Unlock()
			return hang(req, n)
		}
		second := newSetup(t, r, store)
		synctest.Wait()
		crashed := newShelf()
		crashed.values = maps.Clone(store.values)
		second.Detach(second.host)

		r.mu.Lock()
		r.answer = nil
		r.mu.Unlock()
		third := newSetup(t, r, crashed)
		synctest.Wait()
		all := slices.Compact(r.taken())
		if !slices.Equal(all, body("a", "b", "c", "d", "e", "f")) || crashed.len() != 0 {
			t.Error(all, crashed.len())
		}
		third.Detach(third.host)
	})
}

func TestOldEventsExpireOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		r := &receiver{answer: hang}
		s := newSetup(t, r, store)
		s.send(t, "a")
		s.Detach(s.host)
		time.Sleep(25 * time.Hour)
		r.answer = nil
		next := newSetup(t, r, store)
		synctest.Wait()
		if len(r.taken()) != 0 || next.count(Expired) != 1 || store.len() != 0 {
			t.Error(r.taken(), next.counts, store.len())
		}
		next.Detach(next.host)
	})
}

func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: hang}
		store := newShelf()
		store.err = errors.New("disk on fire")
		s := newSetup(t, r, store)
		s.send(t, "a", "b")
		s.Detach(s.host)
		if s.count(Lost) != 2 || s.logs.FilterMessageSnippet("cannot be kept").Len() != 1 {
			t.Error(s.counts, s.logs.All())
		}
		none := newSetup(t, r, nil)
		none.send(t, "a")
		none.Detach(none.host)
		if none.count(Lost) != 1 {
			t.Error(none.counts)
		}
	})
}

func TestStoreComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, r := newShelf(), &receiver{answer: hang}
		s := newSetup(t, r, store)
		s.send(t, "a")
		synctest.Wait()
		s.Detach(s.host)
		r.answer = nil
		store.err = errors.New("not yet")
		next := newSetup(t, r, store)
		time.Sleep(5 * time.Second)
		if r.tried() != 1 { // the one that hung
			t.Error("read from a store that fails", r.tried())
		}
		store.mu.Lock()
		store.err = nil
		store.mu.Unlock()
		time.Sleep(3 * time.Second)
		if !slices.Equal(r.taken(), body("a")) {
			t.Error(r.taken())
		}
		next.Detach(next.host)
	})
}

func TestManyAreKeptInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, r := newShelf(), &receiver{answer: hang}
		s := newSetup(t, r, store)
		for i := range 2000 {
			s.Send(strconv.Itoa(i), []byte(`"`+strconv.Itoa(i)+strings.Repeat("x", 600)+`"`))
		}
		s.Detach(s.host)
		if store.len() < 5 || s.Waiting() != 0 {
			t.Fatal(store.len(), s.counts)
		}
		r.answer = nil
		next := newSetup(t, r, store)
		synctest.Wait()
		if len(slices.Compact(r.taken())) != 2000 || store.len() != 0 {
			t.Error(len(r.taken()), store.len())
		}
		next.Detach(next.host)
	})
}

func TestStrangersInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, r := newShelf(), new(receiver)
		other, err := New(Target{URL: "https://other.example/", Secret: testSecret})
		if err != nil {
			t.Fatal(err)
		}
		own, err := New(Target{URL: "https://shop.example/hook/s3cr3t?k=s3cr3t", Secret: testSecret})
		if err != nil {
			t.Fatal(err)
		}
		store.values[other.target.ID()+"-1"] = []byte(`[{"id":"x","body":{}}]`)
		store.values[own.target.ID()+"-1"] = []byte(`{`)
		store.values[own.target.ID()+"-2"] = []byte(`[]`)
		s := newSetup(t, r, store)
		synctest.Wait()
		if len(r.taken()) != 0 || store.len() != 2 || s.logs.FilterLevelExact(zap.ErrorLevel).Len() != 1 {
			t.Error(r.taken(), store.len(), s.logs.All())
		}
		s.Detach(s.host)
	})
}

func TestReloadKeepsDelivering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShelf()
		r := &receiver{answer: func(_ *http.Request, n int) (int, error) { return map[bool]int{true: 500, false: 200}[n == 1], nil }}
		s := newSetup(t, r, store)
		s.send(t, "a")
		synctest.Wait()
		next := *s.host
		s.Attach(&next)
		s.Detach(s.host)
		s.Detach(s.host) // a second time changes nothing
		if store.len() != 0 {
			t.Error("a reload wrote")
		}
		time.Sleep(2 * time.Second)
		if !slices.Equal(r.taken(), body("a")) {
			t.Error(r.taken())
		}
		s.Detach(&next)
		// And back again, in the same process.
		s.Attach(s.host)
		s.send(t, "b")
		synctest.Wait()
		if !slices.Equal(r.taken(), body("a", "b")) {
			t.Error(r.taken())
		}
		s.Detach(s.host)
	})
}

func TestBadTargets(t *testing.T) {
	for name, test := range map[string]struct {
		target Target
		says   string
	}{
		"no URL":        {Target{"", testSecret}, "https://example.com/hook"},
		"no host":       {Target{"https:///x", testSecret}, "https://example.com/hook"},
		"words":         {Target{"to my shop", testSecret}, "https://example.com/hook"},
		"control":       {Target{"https://s3cr3t\x00/", testSecret}, "https://example.com/hook"},
		"plain":         {Target{"http://shop.example/", testSecret}, "must begin with https://"},
		"other scheme":  {Target{"ftp://shop.example/", testSecret}, "must begin with https://"},
		"near loopback": {Target{"http://localhost.example/", testSecret}, "must begin with https://"},
		"password":      {Target{"https://a:s3cr3t@shop.example/", testSecret}, "leave it out"},
		"no secret":     {Target{"https://shop.example/", ""}, "openssl rand"},
		"short secret":  {Target{"https://shop.example/", "s3cr3t"}, "has 6 bytes"},
	} {
		_, err := New(test.target)
		if !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, good := range []string{"https://shop.example/x?y#z", "http://127.0.0.1:80/", "http://[::1]:80/", "http://localhost/"} {
		if _, err := New(Target{good, testSecret}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if (Target{"https://a/", "b"}).ID() == (Target{"https://a/", "c"}).ID() {
		t.Error("one id for two targets")
	}
}

// TestOverTheWire sends through a real server whose answer never ends.
func TestOverTheWire(t *testing.T) {
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		if err := verify(r.Header.Get(SignatureHeader), data); err != nil {
			t.Error(err)
		}
		got <- string(data)
		for range 100 { // more than anybody wants to read
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	n, err := New(Target{URL: server.URL + "/hook", Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	delivered := make(chan string, 10)
	host := &Host{Logger: zap.NewNop(), Count: func(result string) { delivered <- result }}
	n.Attach(host)
	n.Send("a", []byte(`{}`))
	if body := <-got; body != "{}" {
		t.Error(body)
	}
	if result := <-delivered; result != Delivered {
		t.Error(result)
	}
	n.Detach(host)
	if err := n.Destruct(); err != nil {
		t.Error(err)
	}
}

func FuzzTarget(f *testing.F) {
	f.Add("https://shop.example/hook")
	f.Add("http://[::1%25eth0]:80/")
	f.Add("http://127.0.0.1.example/")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := New(Target{URL: text, Secret: testSecret})
		if err != nil {
			return
		}
		if n.url.User != nil || n.url.Scheme != "https" && !isLoopback(n.url.Hostname()) || n.url.Host == "" {
			t.Errorf("%q is taken as %v", text, n.url)
		}
	})
}
