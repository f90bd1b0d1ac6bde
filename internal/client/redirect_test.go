package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

// hangingPayer never ends by itself.
type hangingPayer struct{}

func (hangingPayer) Pay(ctx context.Context, _ string, _ lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	<-ctx.Done()
	return lntypes.Preimage{}, ctx.Err()
}

// TestRedirectKeepsSecrets shows that neither token nor the user's headers reach another origin.
func TestRedirectKeepsSecrets(t *testing.T) {
	w := newWorld(t)
	shop, thief := w.shop(), w.shop()
	thief.service = func(*http.Request) string { return "" }
	shop.serve = func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, thief.URL+"/stolen", http.StatusTemporaryRedirect)
	}
	u, _ := url.Parse(shop.URL + "/a")
	c := w.client()
	c.Tokens = w.tokens(t.TempDir() + "/tokens")
	request := &Request{URL: u, Header: http.Header{
		"Cookie": {"session=1"}, "X-Api-Key": {"secret"}, "Accept": {"text/plain"},
	}}
	for range 2 { // the second time with a stored token
		result, body, err := do(t, c, request)
		if err != nil || body != "GET /stolen " || result.URL.Path != "/stolen" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	for _, r := range thief.requests {
		for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Macaroon"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s reached another origin", name)
			}
		}
		if r.Header.Get("Accept") != "text/plain" {
			t.Error("the harmless Accept was left out")
		}
	}
	if w.payments() != 1 {
		t.Errorf("%d payments, want 1", w.payments())
	}
}

// TestRedirectWithinOrigin shows that a token goes along where it belongs.
func TestRedirectWithinOrigin(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	plain := s.serve
	s.serve = func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(rw, r, "/new", http.StatusSeeOther)
			return
		}
		plain(rw, r)
	}
	u, _ := url.Parse(s.URL + "/old")
	_, body, err := do(t, w.client(), &Request{Method: "POST", URL: u, Body: []byte("x")})
	if err != nil || body != "GET /new " {
		t.Fatalf("%q, %v", body, err)
	}
	if w.payments() != 1 {
		t.Errorf("%d payments, want 1", w.payments())
	}
}

// TestStoredTokenBehindRedirect shows that after a purchase a stored token of another origin is
// still used there.
func TestStoredTokenBehindRedirect(t *testing.T) {
	w := newWorld(t)
	first, second := w.shop(), w.shop()
	first.serve = func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, second.URL+"/b", http.StatusFound)
	}
	c := w.client()
	c.Tokens = w.tokens(t.TempDir() + "/tokens")
	if _, _, err := get(t, c, second.URL+"/b"); err != nil {
		t.Fatal(err)
	}
	result, body, err := get(t, c, first.URL+"/a")
	if err != nil || body != "GET /b " || result.Purchase == nil || !result.Reused {
		t.Errorf("%q, %+v, %v", body, result, err)
	}
	if w.payments() != 2 {
		t.Errorf("%d payments, want one at each", w.payments())
	}
}

// TestOnePaymentAcrossRedirects shows that a second shop on the way is not paid as well.
func TestOnePaymentAcrossRedirects(t *testing.T) {
	w := newWorld(t)
	first, second := w.shop(), w.shop()
	first.serve = func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, second.URL+"/b", http.StatusFound)
	}
	result, _, err := get(t, w.client(), first.URL+"/a")
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "second payment") {
		t.Fatalf("got %v", err)
	}
	if w.payments() != 1 || result.Purchase == nil {
		t.Errorf("%d payments, want 1", w.payments())
	}
	if _, _, credentials := second.seen(); credentials != 0 {
		t.Error("the first shop's token reached the second")
	}
}

func TestRedirectLimits(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	s.service = func(*http.Request) string { return "" }
	location := "/again"
	s.serve = func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Location", location)
		rw.WriteHeader(http.StatusFound)
	}
	c := w.client()
	if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrRedirect) || !strings.Contains(err.Error(), "more than 5 redirects") {
		t.Errorf("a loop: got %v", err)
	}
	if requests, _, _ := s.seen(); requests != 6 {
		t.Errorf("%d requests, want 6", requests)
	}
	c.MaxRedirects = 0
	if result, _, err := get(t, c, s.URL); err != nil || result.Response.StatusCode != http.StatusFound {
		t.Errorf("without redirects: got %v, %v", result, err)
	}
	c.MaxRedirects = 5
	for _, bad := range []string{"file:///etc/passwd", "ftp://example.com/", "http://a:b@example.com/", "http://%zz/"} {
		location = bad
		if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrRedirect) {
			t.Errorf("Location %s: got %v", bad, err)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, test := range []struct {
		a, b, host string
		same       bool
	}{
		{"http://a.test/x", "http://A.test:80/y", "", true},
		{"https://a.test/x", "https://a.test:443/y", "", true},
		{"http://a.test", "https://a.test", "", false},
		{"http://a.test", "http://a.test:8080", "", false},
		{"http://a.test", "http://b.test", "", false},
		{"http://a.test", "http://a.test.evil", "", false},
		{"http://a.test", "http://a.test", "other.test", false},
		{"http://[::1]:80", "http://[::1]", "", true},
	} {
		a, _ := url.Parse(test.a)
		b, _ := url.Parse(test.b)
		other := &Request{URL: b, Header: http.Header{}}
		if test.host != "" {
			other.Header.Set("Host", test.host)
		}
		if same := (&Request{URL: a}).origin() == other.origin(); same != test.same {
			t.Errorf("%s and %s as %q: same is %v", test.a, test.b, test.host, same)
		}
	}
}
