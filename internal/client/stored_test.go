package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// keeping makes a client with a token file, and gives the file's path.
func (w *world) keeping() (*Client, string) {
	path := filepath.Join(w.t.(*testing.T).TempDir(), "tokens.json")
	c := w.client()
	c.Tokens = w.tokens(path)
	return c, path
}

// TestStoredTokenIsUsed shows that a stored token is presented at once and that nothing is paid.
func TestStoredTokenIsUsed(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	c, path := w.keeping()
	first, _, err := get(t, c, s.URL+"/a")
	if err != nil || !first.Saved || first.Reused {
		t.Fatalf("%+v, %v", first, err)
	}
	second, body, err := get(t, c, s.URL+"/b")
	if err != nil || body != "GET /b " || second.Purchase != nil || !second.Reused {
		t.Fatalf("%+v, %v", second, err)
	}
	requests, challenges, _ := s.seen()
	if w.payments() != 1 || requests != 3 || challenges != 1 {
		t.Errorf("%d payments, %d requests, %d challenges", w.payments(), requests, challenges)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

// TestStoredTokenStaysAtHome shows that tokens are not tried at other origins.
func TestStoredTokenStaysAtHome(t *testing.T) {
	w := newWorld(t)
	a, b := w.shop(), w.shop()
	c, _ := w.keeping()
	for _, s := range []*shop{a, b} {
		if _, _, err := get(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, credentials := b.seen(); credentials != 1 || w.payments() != 2 {
		t.Errorf("%d credentials at the second shop, %d payments", credentials, w.payments())
	}
}

// TestSeveralServices shows that each of an origin's products has its token, none of which is paid
// for twice or dropped for another.
func TestSeveralServices(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	s.service = func(r *http.Request) string { return strings.Split(r.URL.Path, "/")[1] }
	c, path := w.keeping()
	for range 3 {
		for _, target := range []string{"/news/1", "/maps/1", "/news/2", "/maps/2"} {
			if _, body, err := get(t, c, s.URL+target); err != nil || body != "GET "+target+" " {
				t.Fatalf("%s: %q, %v", target, body, err)
			}
		}
	}
	stored, err := w.tokens(path).Load()
	if w.payments() != 2 || err != nil || len(stored) != 2 {
		t.Errorf("%d payments, %d tokens, %v", w.payments(), len(stored), err)
	}
}

// TestNamedTokenIsUsed shows that the challenge tells which stored token is meant.
func TestNamedTokenIsUsed(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	services := map[string]string{"/x/1": "news", "/y/1": "maps", "/x/2": "maps"}
	s.service = func(r *http.Request) string { return services[r.URL.Path] }
	c, _ := w.keeping()
	for target := range services {
		if _, _, err := get(t, c, s.URL+target); err != nil {
			t.Fatal(err)
		}
	}
	result, _, err := get(t, c, s.URL+"/x/2")
	if err != nil || !result.Reused || w.payments() != 2 {
		t.Errorf("%+v, %v, %d payments", result, err, w.payments())
	}
}

// TestRefusedTokenIsDropped shows that a token that is no longer good makes room for a new one.
func TestRefusedTokenIsDropped(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	c, path := w.keeping()
	if _, _, err := get(t, c, s.URL); err != nil {
		t.Fatal(err)
	}
	before, _ := w.tokens(path).Load()
	s.keyID, s.key = l402.KeyID{9}, l402.MasterKey{9}
	var warned []string
	c.Trace.Warn = func(m string) { warned = append(warned, m) }
	result, _, err := get(t, c, s.URL)
	if err != nil || result.Purchase == nil || w.payments() != 2 {
		t.Fatalf("%+v, %v", result, err)
	}
	after, _ := w.tokens(path).Load()
	if len(after) != 1 || after[0].PaymentHash == before[0].PaymentHash || len(warned) != 1 {
		t.Errorf("tokens %v, warnings %v", after, warned)
	}
	// It is dropped as well when the new one is too dear.
	s.keyID, s.invoiceTerms.Amount = l402.KeyID{8}, 200_000
	if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrTooDear) {
		t.Fatal(err)
	}
	if left, err := w.tokens(path).Load(); err != nil || len(left) != 0 {
		t.Errorf("the refused token is still there: %v, %v", left, err)
	}
}

// TestExpiredTokenIsNotSent shows that a token's own time is respected.
func TestExpiredTokenIsNotSent(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	c, _ := w.keeping()
	if _, _, err := get(t, c, s.URL); err != nil {
		t.Fatal(err)
	}
	_, _, before := s.seen()
	c.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	_, _, err := get(t, c, s.URL)
	if !errors.Is(err, ErrChallenge) { // the new token looks expired too, with this clock
		t.Fatal(err)
	}
	if _, _, after := s.seen(); after != before {
		t.Error("an expired token was sent")
	}
}

// TestTokenIsSavedBeforeItIsUsed shows that a crash or a lost line after the payment loses nothing.
func TestTokenIsSavedBeforeItIsUsed(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	c, path := w.keeping()
	ctx, cancel := context.WithCancel(t.Context())
	c.Trace.Request = func(r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			stored, err := w.tokens(path).Load()
			if err != nil || len(stored) != 1 || stored[0].Preimage == "" {
				t.Errorf("when the token is used the file holds %v, %v", stored, err)
			}
			cancel()
		}
	}
	u, _ := url.Parse(s.URL)
	if result, err := c.Do(ctx, &Request{URL: u}); !errors.Is(err, context.Canceled) || !result.Saved {
		t.Fatalf("%+v, %v", result, err)
	}
	c.Trace.Request = nil
	if result, _, err := get(t, c, s.URL); err != nil || !result.Reused || w.payments() != 1 {
		t.Errorf("%+v, %v, %d payments", result, err, w.payments())
	}
}

// TestUncertainPaymentIsTakenUp shows that a payment whose end was not told is asked for again by
// its own invoice, and not made anew.
func TestUncertainPaymentIsTakenUp(t *testing.T) {
	w := newWorld(t)
	w.payErr = func(n int) error {
		if n == 1 {
			return wallets.ErrUnavailable // after the money left
		}
		return nil
	}
	s := w.shop()
	c, path := w.keeping()
	if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrPayment) {
		t.Fatal(err)
	}
	stored, err := w.tokens(path).Load()
	if err != nil || len(stored) != 1 || stored[0].Preimage != "" {
		t.Fatalf("the file holds %v, %v", stored, err)
	}
	result, _, err := get(t, c, s.URL)
	if err != nil || result.Purchase == nil || !result.Saved {
		t.Fatalf("%+v, %v", result, err)
	}
	if len(w.paid) != 2 || w.paid[0] != w.paid[1] {
		t.Errorf("another invoice was paid: %v", w.paid)
	}
}

// TestFailedPaymentIsForgotten shows that a payment that failed for good stands in nobody's way.
func TestFailedPaymentIsForgotten(t *testing.T) {
	w := newWorld(t)
	w.payErr = func(n int) error {
		return map[int]error{1: wallets.ErrUnavailable, 2: wallets.ErrPaymentFailed}[n]
	}
	s := w.shop()
	c, path := w.keeping()
	if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrPayment) {
		t.Fatal(err)
	}
	if result, _, err := get(t, c, s.URL); err != nil || result.Purchase == nil {
		t.Fatalf("%+v, %v", result, err)
	}
	if len(w.paid) != 3 || w.paid[0] != w.paid[1] || w.paid[1] == w.paid[2] {
		t.Errorf("payments: %v", w.paid)
	}
	if stored, err := w.tokens(path).Load(); err != nil || len(stored) != 1 {
		t.Errorf("the file holds %v, %v", stored, err)
	}
}

// TestDeadPaymentIsTold shows that a payment that can no longer be taken up is not lost in silence.
func TestDeadPaymentIsTold(t *testing.T) {
	w := newWorld(t)
	w.payErr = func(n int) error {
		return map[int]error{1: wallets.ErrUnavailable}[n]
	}
	s := w.shop()
	s.invoiceTerms.Expiry = time.Minute
	c, path := w.keeping()
	if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrPayment) {
		t.Fatal(err)
	}
	s.invoiceTerms.Expiry = time.Hour
	c.Now = func() time.Time { return time.Now().Add(10 * time.Minute) }
	var warned string
	c.Trace.Warn = func(m string) { warned += m }
	if _, _, err := get(t, c, s.URL); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(warned, w.paid[0].String()) {
		t.Errorf("the warning does not name the payment: %q", warned)
	}
	if stored, err := w.tokens(path).Load(); err != nil || len(stored) != 1 || stored[0].PaymentHash != w.paid[1].String() {
		t.Errorf("the file holds %v, %v", stored, err)
	}
}

// TestUnusableFileStopsBeforePaying shows that money is not spent on a token that cannot be kept.
func TestUnusableFileStopsBeforePaying(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) string{
		"garbage": func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte("precious notes"), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		},
		"a folder":  func(t *testing.T) string { return t.TempDir() },
		"no folder": func(t *testing.T) string { return filepath.Join(t.TempDir(), "none", "f") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.shop()
			c := w.client()
			path := prepare(t)
			c.Tokens = w.tokens(path)
			if _, _, err := get(t, c, s.URL); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
			if w.payments() != 0 {
				t.Errorf("%d payments", w.payments())
			}
			if data, err := os.ReadFile(path); name == "garbage" && (err != nil || string(data) != "precious notes") {
				t.Errorf("the file was changed: %q, %v", data, err)
			}
		})
	}
}

// TestManyAtOnce shows that processes that share a file buy a token once.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	_, path := w.keeping()
	var wg sync.WaitGroup
	for range 8 {
		c := w.client()
		c.Tokens = w.tokens(path)
		wg.Go(func() {
			u, _ := url.Parse(s.URL)
			result, err := c.Do(t.Context(), &Request{URL: u})
			if err != nil {
				t.Error(err)
				return
			}
			result.Response.Body.Close()
			if result.Response.StatusCode != 200 || (result.Purchase == nil) != result.Reused {
				t.Errorf("result %+v", result)
			}
		})
	}
	wg.Wait()
	if w.payments() != 1 {
		t.Errorf("%d payments, want 1", w.payments())
	}
}

// TestUnkeepableTokenIsUsed shows that a file that breaks after the payment does not take the answer
// away.
func TestUnkeepableTokenIsUsed(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("the folder is removed instead of locked, since root may write everywhere")
	}
	w := newWorld(t)
	s := w.shop()
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := w.client()
	c.Tokens = w.tokens(filepath.Join(dir, "tokens"))
	c.Wallet.Payer = payFunc(func(ctx context.Context, invoice string, fee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		return w.Pay(ctx, invoice, fee)
	})
	warned := 0
	c.Trace.Warn = func(string) { warned++ }
	result, body, err := get(t, c, s.URL+"/a")
	if err != nil || body != "GET /a " || result.Saved || warned != 1 {
		t.Errorf("%q, %v, saved %v, %d warnings", body, err, result.Saved, warned)
	}
}

type payFunc func(context.Context, string, lnwire.MilliSatoshi) (lntypes.Preimage, error)

func (f payFunc) Pay(ctx context.Context, invoice string, fee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	return f(ctx, invoice, fee)
}
