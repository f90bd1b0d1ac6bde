package fetch

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestDo(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect to another host was followed")
	}))
	defer other.Close()
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ok", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "application/json" || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("headers: %v", r.Header)
		}
		_, _ = w.Write([]byte(`{"a":1}`))
	})
	mux.HandleFunc("POST /ok", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("headers: %v", r.Header)
		}
		_, _ = w.Write([]byte(`"posted"`))
	})
	mux.Handle("/here", http.RedirectHandler("/ok", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/away", http.RedirectHandler(other.URL, http.StatusFound))
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("x", 101)))
	})
	mux.HandleFunc("/broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/hangs", func(http.ResponseWriter, *http.Request) { <-release })
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(release)
	transport := NewTransport(nil)
	defer transport.CloseIdleConnections()
	for _, tt := range []struct {
		name, method, path string
		body               []byte
		want, wrong        string
		is                 error
	}{
		{name: "get", method: "GET", path: "/ok", want: `{"a":1}`},
		{name: "post", method: "POST", path: "/ok", body: []byte("{}"), want: `"posted"`},
		{name: "redirect on the host", method: "GET", path: "/here", want: `{"a":1}`},
		{name: "redirect of a post", method: "POST", path: "/here", body: []byte("{}"), wrong: "repeat a POST", is: ErrAnswer},
		{name: "redirect to another host", method: "GET", path: "/away", wrong: "leaves the host", is: ErrAnswer},
		{name: "redirects without end", method: "GET", path: "/loop", wrong: "more than 3", is: ErrAnswer},
		{name: "status", method: "GET", path: "/nothing", wrong: "status 404", is: ErrAnswer},
		{name: "too large", method: "GET", path: "/large", wrong: "more than 100 bytes", is: ErrAnswer},
		{name: "cut", method: "GET", path: "/broken", wrong: "asking"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Client{Transport: transport, MaxAnswer: 100, Timeout: time.Minute}
			got, err := c.Do(t.Context(), tt.method, server.URL+tt.path+"?key=s3cret", tt.body)
			if tt.wrong == "" {
				if err != nil || string(got) != tt.want {
					t.Fatalf("got %q, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wrong) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the address shows: %v", err)
			}
		})
	}
	t.Run("deadline", func(t *testing.T) {
		c := &Client{Transport: transport, Timeout: time.Millisecond}
		if _, err := c.Get(t.Context(), server.URL+"/hangs"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("caller gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := new(Client).Get(ctx, server.URL+"/hangs"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no address", func(t *testing.T) {
		if _, err := new(Client).Get(t.Context(), "http://s3cret\x00"); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("got %v", err)
		}
	})
}

func TestTLSIsVerified(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	transport := NewTransport(nil)
	defer transport.CloseIdleConnections()
	if _, err := (&Client{Transport: transport}).Get(t.Context(), server.URL); err == nil || errors.Is(err, ErrAnswer) {
		t.Errorf("a server with an unknown certificate was believed: %v", err)
	}
}

func TestParseAddress(t *testing.T) {
	if u, err := ParseAddress("url", "https://x.example/a?b=c"); err != nil || u.Host != "x.example" {
		t.Error(u, err)
	}
	for text, want := range map[string]string{
		"":                    "begin with http",
		"ftp://x/s3cret":      "begin with http",
		"https:///s3cret":     "names no host",
		"https://u:s3cret@x/": "user name",
		"https://x/#s3cret":   "'#'",
		"https://x/%zzs3cret": "not a URL",
	} {
		_, err := ParseAddress("url", text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("https://x.example/a?b=c")
	f.Add("http://[::1]:80/{CUR}")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseAddress("url", text)
		if err == nil && (u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https") {
			t.Errorf("%q gave %v", text, u)
		}
	})
}
