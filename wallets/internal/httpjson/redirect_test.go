package httpjson

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func TestRedirects(t *testing.T) {
	foreign := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a foreign host got %s %s with credential %q", r.Method, r.URL, r.Header.Get("X-Key"))
	}))
	defer foreign.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/ok", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	for path, to := range map[string]string{
		"same": "/api/ok", "foreign": foreign.URL, "loop": "/api/loop", "scheme": "ftp://x/", "other": "//127.0.0.2/",
	} {
		mux.Handle("/api/"+path, http.RedirectHandler(to, http.StatusTemporaryRedirect))
	}
	c := newClient(t, mux, nil)
	if answer, err := c.Do(t.Context(), Request{Path: "same"}); err != nil || answer.Status != http.StatusCreated {
		t.Errorf("redirect on the same host: %v", err)
	}
	for _, path := range []string{"foreign", "loop", "scheme", "other"} {
		fails(t, c, t.Context(), Request{Path: path}, wallets.ErrBadAnswer)
	}
	fails(t, c, t.Context(), Request{Method: "POST", Path: "same", JSON: 1}, wallets.ErrBadAnswer)
}

func TestRedirectByRule(t *testing.T) {
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
	}))
	defer there.Close()
	here := httptest.NewServer(http.RedirectHandler(there.URL+"/x", http.StatusFound))
	defer here.Close()
	allow := true
	c, err := New(Config{Redirect: func(to *url.URL) error {
		if allow && to.Path == "/x" {
			return nil
		}
		return errors.New("not there")
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if answer, err := c.Do(t.Context(), Request{URL: here.URL}); err != nil || answer.Status != http.StatusCreated {
		t.Errorf("allowed redirect: %v", err)
	}
	allow = false
	fails(t, c, t.Context(), Request{URL: here.URL}, wallets.ErrBadAnswer)
}
