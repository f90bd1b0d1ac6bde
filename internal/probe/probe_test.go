package probe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestSize(t *testing.T) {
	answers := func(f func(w http.ResponseWriter, r *http.Request) error) caddyhttp.Handler {
		return caddyhttp.HandlerFunc(f)
	}
	for _, tc := range []struct {
		name string
		next caddyhttp.Handler
		want int64
		err  string
	}{
		{"told", answers(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(200)
			return nil
		}), 7, ""},
		{"told after an interim answer", answers(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "3")
			w.WriteHeader(103)
			w.Header().Set("Content-Length", "9")
			w.WriteHeader(200)
			return nil
		}), 9, ""},
		{"written all the same", answers(func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, "twelve bytes")
			return err
		}), 12, ""},
		{"written without end", answers(func(w http.ResponseWriter, _ *http.Request) error {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return err
				}
			}
		}), -1, ""},
		{"told and written", answers(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "5")
			_, err := w.Write([]byte("hello"))
			return err
		}), 5, ""},
		{"nothing told", answers(func(w http.ResponseWriter, _ *http.Request) error { return nil }), -1, ""},
		{"negative", answers(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "-5")
			w.WriteHeader(200)
			return nil
		}), -1, ""},
		{"not there", answers(func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(404); return nil }), -1, ErrNothing.Error()},
		{"not there, as an error", answers(func(http.ResponseWriter, *http.Request) error {
			return caddyhttp.Error(410, errors.New("x"))
		}), -1, ErrNothing.Error()},
		{"refused", answers(func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(403); return nil }), -1, "403"},
		{"failing", answers(func(http.ResponseWriter, *http.Request) error { return errors.New("broken") }), -1, "broken"},
		{"panicking", answers(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }), -1, "panicked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			size, err := Size(httptest.NewRequest("GET", "/", nil), tc.next, func(http.Header) {})
			if size != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %d, %v", size, err)
			}
		})
	}
}

func TestSizeAsksForTheWhole(t *testing.T) {
	r := httptest.NewRequest("GET", "/x?y=z", strings.NewReader("body"))
	for _, name := range removed {
		r.Header.Set(name, "x")
	}
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("Accept", "a/b")
	r.Header.Set("Authorization", "secret")
	before := r.Header.Clone()
	_, err := Size(r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, head *http.Request) error {
		if head.Method != "HEAD" || head.ContentLength != 0 || head.URL.String() != "/x?y=z" || len(head.Header) != 2 ||
			head.Header.Get("Accept-Encoding") != "identity" || head.Header.Get("Accept") != "a/b" {
			t.Errorf("asked with %s %s, %d bytes, %v", head.Method, head.URL, head.ContentLength, head.Header)
		}
		if body, _ := io.ReadAll(head.Body); len(body) > 0 {
			t.Errorf("the body %q went along", body)
		}
		if _, ok := head.Context().Deadline(); !ok {
			t.Error("there is no deadline")
		}
		return nil
	}), func(h http.Header) { h.Del("Authorization") })
	if err != nil {
		t.Error(err)
	}
	if len(r.Header) != len(before) || r.Method != "GET" || r.Context() != context.Background() {
		t.Error("the request itself was changed")
	}
}
