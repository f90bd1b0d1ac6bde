package httpjson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const testSecret = "correct horse battery"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient makes a client for the handler, with a credential.
func newClient(t testing.TB, h http.Handler, change func(*Config)) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	base, err := ParseBase("address", server.URL+"/api")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Base: base, Timeout: 5 * time.Second, MaxAnswer: 64 << 10,
		Authorize: func(h http.Header) error { h.Set("X-Key", testSecret); return nil },
		Secrets:   func() []string { return []string{testSecret} },
	}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return c
}

func TestDo(t *testing.T) {
	seen := make(chan *http.Request, 1)
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		seen <- r
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"n":7}`)
	}), nil)
	for _, tt := range []struct {
		name                      string
		req                       Request
		method, uri, body, accept string
	}{
		{"get", Request{Path: "a/b"}, "GET", "/api/a/b", "", "application/json"},
		{"query", Request{Path: "/a", Query: url.Values{"x": {"1 &"}}}, "GET", "/api/a?x=1+%26", "", "application/json"},
		{"escaped path", Request{Path: "a/" + url.PathEscape("x/y z")}, "GET", "/api/a/x%2Fy%20z", "", "application/json"},
		{"json", Request{Method: "POST", Path: "a", JSON: map[string]int{"k": 1}}, "POST", "/api/a", `{"k":1}`, "application/json"},
		{"form", Request{Method: "POST", Path: "a", Form: url.Values{"k": {"é="}}}, "POST", "/api/a", "k=%C3%A9%3D", "application/json"},
		{"own header", Request{Path: "a", Header: http.Header{"accept": {"text/plain"}}}, "GET", "/api/a", "", "text/plain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := c.Do(t.Context(), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			var out struct{ N int }
			if err := answer.Decode(&out); err != nil || out.N != 7 || answer.Status != 201 {
				t.Errorf("got status %d, %+v, %v", answer.Status, out, err)
			}
			r := <-seen
			b, _ := io.ReadAll(r.Body)
			if r.Method != tt.method || r.RequestURI != tt.uri || string(b) != tt.body || r.Header.Get("Accept") != tt.accept {
				t.Errorf("sent %s %s with body %q and Accept %q", r.Method, r.RequestURI, b, r.Header.Get("Accept"))
			}
			if r.Header.Get("X-Key") != testSecret {
				t.Error("no credential was sent")
			}
		})
	}
}

func TestRequestRefused(t *testing.T) {
	c := newClient(t, http.NotFoundHandler(), nil)
	for name, req := range map[string]Request{
		"query in path":      {Path: "a?b=c"},
		"fragment in path":   {Path: "a#b"},
		"dots in path":       {Path: "a/../../admin"},
		"foreign URL":        {URL: "http://203.0.113.1/"},
		"two bodies":         {JSON: 1, Form: url.Values{}},
		"method with blanks": {Method: "GE T", Path: "a"},
		"not JSON":           {Method: "POST", Path: "a", JSON: make(chan int)},
	} {
		if _, err := c.Do(t.Context(), req); err == nil {
			t.Errorf("%s was sent", name)
		}
	}
	free, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	for _, u := range []string{"", "ftp://host/", "file:///etc/passwd", "http://", "://", "host/path"} {
		if _, err := free.Do(t.Context(), Request{URL: u}); err == nil {
			t.Errorf("%q was taken for a URL", u)
		}
	}
}

func TestNewRefusesLooseCredential(t *testing.T) {
	auth := func(http.Header) error { return nil }
	base := &url.URL{Scheme: "https", Host: "h"}
	for name, cfg := range map[string]Config{
		"no base":   {Authorize: auth},
		"redirects": {Base: base, Authorize: auth, Redirect: func(*url.URL) error { return nil }},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: a client was made", name)
		}
	}
}

// fails demands an error that wraps want and tells no secret.
func fails(t *testing.T, c *Client, ctx context.Context, req Request, want error) {
	t.Helper()
	answer, err := c.Do(ctx, req)
	if !errors.Is(err, want) {
		t.Fatalf("got answer %v, error %v; want %v", answer, err, want)
	}
	if strings.Contains(err.Error(), testSecret) {
		t.Errorf("the error tells the secret: %v", err)
	}
}

func TestFailures(t *testing.T) {
	hang := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/api/hang", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-hang:
		}
	})
	mux.HandleFunc("/api/huge", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/api/headers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 128<<10))
	})
	mux.HandleFunc("/api/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"a":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/api/echo", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", r.Header.Get("X-Key"))
		_ = conn.Close()
	})
	c := newClient(t, mux, nil)
	defer close(hang)

	fails(t, c, t.Context(), Request{Path: "huge"}, wallets.ErrBadAnswer)
	fails(t, c, t.Context(), Request{Path: "headers"}, wallets.ErrUnavailable)
	fails(t, c, t.Context(), Request{Path: "cut"}, wallets.ErrUnavailable)
	if _, err := c.Do(t.Context(), Request{Path: "cut"}); errors.Is(err, ErrNotSent) {
		t.Error("a call that was cut is said not to have been sent")
	}
	fails(t, c, t.Context(), Request{Path: "echo"}, wallets.ErrUnavailable)
	fails(t, c, t.Context(), Request{Path: "hang", Timeout: 20 * time.Millisecond}, wallets.ErrUnavailable)
	c.SetTimeout(20 * time.Millisecond)
	fails(t, c, t.Context(), Request{Path: "hang"}, wallets.ErrUnavailable)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	fails(t, c, ctx, Request{Path: "hang", Timeout: -1}, context.DeadlineExceeded)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	fails(t, c, ended, Request{Path: "a"}, context.Canceled)
}

func TestUnreachable(t *testing.T) {
	c := newClient(t, http.NotFoundHandler(), func(cfg *Config) {
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no way with " + testSecret)
		}
	})
	fails(t, c, t.Context(), Request{Path: "a"}, wallets.ErrUnavailable)
	fails(t, c, t.Context(), Request{Path: "a"}, ErrNotSent)
}

func TestAuthorizeFails(t *testing.T) {
	c := newClient(t, http.NotFoundHandler(), func(cfg *Config) {
		cfg.Authorize = func(http.Header) error { return fmt.Errorf("%w: no file", wallets.ErrUnavailable) }
	})
	fails(t, c, t.Context(), Request{Path: "a"}, wallets.ErrUnavailable)
}

func TestClose(t *testing.T) {
	inside := make(chan struct{})
	c := newClient(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
	}), nil)
	done := make(chan error, 1)
	// Ends by Close.
	go func() {
		_, err := c.Do(context.Background(), Request{Path: "a", Timeout: -1})
		done <- err
	}()
	<-inside
	_ = c.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) || !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("the call under way ended with %v", err)
	}
	fails(t, c, t.Context(), Request{Path: "a"}, net.ErrClosed)
}

func TestOpenStream(t *testing.T) {
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
	}), func(cfg *Config) { cfg.Timeout = 10 * time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := c.Open(ctx, Request{Path: "events"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	// More than the time-out's worth.
	if _, err := io.ReadFull(resp.Body, make([]byte, 30)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = io.ReadAll(resp.Body)
	if err = c.Classify(ctx, err); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled stream ended with %v", err)
	}
}
