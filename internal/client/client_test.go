package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// TestPays shows that a challenge is paid once and the request repeated, in every form of challenge
// that servers send.
func TestPays(t *testing.T) {
	for name, lines := range map[string]func(l402.Challenge) []string{
		"L402": func(c l402.Challenge) []string { return []string{c.L402()} },
		"LSAT": func(c l402.Challenge) []string { return []string{c.LSAT()} },
		"LSAT before L402": func(c l402.Challenge) []string {
			return []string{c.LSAT(), c.L402()}
		},
		"among other schemes": func(c l402.Challenge) []string {
			return []string{`Basic realm="x"`, `Payment id="1", method="lightning", request="e30"`, c.L402()}
		},
		"in one line": func(c l402.Challenge) []string {
			return []string{c.LSAT() + ", " + c.L402()}
		},
		"the specification's order": func(c l402.Challenge) []string {
			token := strings.Split(c.L402(), `"`)[1]
			return []string{`L402 version="0", token="` + token + `", invoice="` + c.Invoice + `"`}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.shop()
			s.lines = lines
			var steps []string
			c := w.client()
			c.Trace = Trace{
				Request:  func(*http.Request) { steps = append(steps, "request") },
				Response: func(r *http.Response) { steps = append(steps, r.Status[:3]) },
				Offer:    func(*Offer) { steps = append(steps, "offer") },
				Paid:     func(*Purchase) { steps = append(steps, "paid") },
			}
			result, body, err := get(t, c, s.URL+"/premium/a")
			if err != nil {
				t.Fatal(err)
			}
			if body != "GET /premium/a " || result.Response.StatusCode != 200 {
				t.Errorf("the answer is %d %q", result.Response.StatusCode, body)
			}
			if got := strings.Join(steps, " "); got != "request 402 offer paid request 200" {
				t.Errorf("steps: %s", got)
			}
			if w.payments() != 1 || result.Purchase == nil || result.Purchase.Decoded.Amount != price || result.Saved || result.Reused {
				t.Errorf("%d payments, result %+v", w.payments(), result)
			}
			if result.Purchase.Opens != "services=premium:0" {
				t.Errorf("it opens %q", result.Purchase.Opens)
			}
		})
	}
}

// TestFree shows that nothing is paid for what is free or asks for something else.
func TestFree(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	s.service = func(*http.Request) string { return "" }
	for _, status := range []int{200, 401, 402, 404, 500} {
		s.serve = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(status)
		}
		result, _, err := get(t, w.client(), s.URL)
		if err != nil || result.Response.StatusCode != status || result.Purchase != nil {
			t.Errorf("status %d: got %v, %v", status, result, err)
		}
	}
	if w.payments() != 0 {
		t.Errorf("%d payments for what is free", w.payments())
	}
}

// TestBodyAndHeadersAreRepeated shows that the second request is the first one with a token.
func TestBodyAndHeadersAreRepeated(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	s.status = http.StatusUnauthorized // as the specification's text has it for bad tokens
	u, _ := url.Parse(s.URL + "/search")
	result, body, err := do(t, w.client(), &Request{
		Method: "POST", URL: u, Body: []byte("a query"), Header: http.Header{"X-Key": {"k"}, "Host": {"shop.test"}},
	})
	if err != nil || body != "POST /search a query" || result.Purchase == nil {
		t.Fatalf("%q, %v", body, err)
	}
	for _, r := range s.requests {
		if r.Header.Get("X-Key") != "k" || r.Host != "shop.test" || r.ContentLength != 7 {
			t.Errorf("request to %s with %v", r.Host, r.Header)
		}
	}
}

// TestRefusesToPay lists what must not be paid, and that nothing is.
func TestRefusesToPay(t *testing.T) {
	tests := map[string]struct {
		shop   func(*shop)
		client func(*Client)
		want   error
		text   string
	}{
		"too dear":       {shop: func(s *shop) { s.invoiceTerms.Amount = 100_001 }, want: ErrTooDear, text: "100001 msat"},
		"limit of zero":  {client: func(c *Client) { c.MaxPrice = 0 }, want: ErrTooDear},
		"no amount":      {shop: func(s *shop) { s.invoiceTerms.Amount = 0 }, want: ErrChallenge, text: "no amount"},
		"expired":        {shop: func(s *shop) { s.invoiceTerms.Timestamp = time.Now().Add(-2 * time.Hour) }, want: ErrChallenge, text: "expired"},
		"other network":  {client: func(c *Client) { c.Wallet.Network = wallets.Mainnet }, want: ErrChallenge, text: "for regtest and the wallet for mainnet"},
		"default wallet": {client: func(c *Client) { c.Wallet.Network = "" }, want: ErrChallenge, text: "mainnet"},
		"no wallet":      {client: func(c *Client) { c.Wallet = nil }, want: ErrPayment, text: "no wallet"},
		"BOLT 12":        {shop: func(s *shop) { s.invoiceTerms.Bolt12 = true }, want: ErrChallenge, text: "BOLT 12"},
		"token expired": {
			client: func(c *Client) { c.Now = func() time.Time { return time.Now().Add(90 * time.Minute) } },
			shop:   func(s *shop) { s.invoiceTerms.Expiry = 24 * time.Hour },
			want:   ErrChallenge, text: "token expired",
		},
		"another payment hash": {
			shop: func(s *shop) {
				s.alter = func(c *l402.Challenge) { c.Invoice = s.invoice(s.invoiceTerms).Invoice }
			},
			want: ErrChallenge, text: "buy nothing",
		},
		"a damaged invoice": {
			shop: func(s *shop) {
				s.alter = func(c *l402.Challenge) { c.Invoice = c.Invoice[:len(c.Invoice)-6] + "qqqqqq" }
			},
			want: ErrChallenge,
		},
		"a token that is none": {
			shop: func(s *shop) {
				s.alter = func(c *l402.Challenge) { c.Macaroon = []byte("not a macaroon at all") }
			},
			want: ErrChallenge,
		},
		"no token": {
			shop: func(s *shop) {
				s.lines = func(c l402.Challenge) []string { return []string{`L402 invoice="` + c.Invoice + `"`} }
			},
			want: ErrChallenge,
		},
		"two tokens that differ": {
			shop: func(s *shop) {
				s.lines = func(c l402.Challenge) []string {
					return []string{`L402 macaroon="AAAA", token="BBBB", invoice="` + c.Invoice + `"`}
				}
			},
			want: ErrChallenge,
		},
	}
	for name, test := range tests {
		for _, kept := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				s := w.shop()
				if test.shop != nil {
					test.shop(s)
				}
				c := w.client()
				if test.client != nil {
					test.client(c)
				}
				file := filepath.Join(t.TempDir(), "tokens.json")
				if kept {
					c.Tokens = w.tokens(file)
				}
				result, _, err := get(t, c, s.URL)
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
					t.Fatalf("got %v, want %v with %q", err, test.want, test.text)
				}
				if w.payments() != 0 || result.Purchase != nil {
					t.Errorf("%d payments", w.payments())
				}
				if requests, _, _ := s.seen(); requests != 1 {
					t.Errorf("%d requests, want 1", requests)
				}
				if stored, err := w.tokens(file).Load(); err != nil || len(stored) != 0 {
					t.Errorf("the token file holds %v, %v", stored, err)
				}
			})
		}
	}
}

// TestPaysTheAcceptableOne shows that of several challenges one that may be paid is taken.
func TestPaysTheAcceptableOne(t *testing.T) {
	w := newWorld(t)
	s, dear := w.shop(), w.shop()
	dear.invoiceTerms.Amount = 500_000
	s.lines = func(c l402.Challenge) []string {
		resp, err := http.Get(dear.URL)
		if err != nil {
			t.Error(err)
			return nil
		}
		resp.Body.Close()
		return []string{resp.Header.Get("WWW-Authenticate"), c.L402()}
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	result, _, err := get(t, w.client(), s.URL)
	if err != nil || result.Purchase.Decoded.Amount != price {
		t.Fatalf("%+v, %v", result, err)
	}
}

// TestPaymentFails shows that failures are told, are not repeated and spend nothing more.
func TestPaymentFails(t *testing.T) {
	for name, test := range map[string]struct {
		err       error
		uncertain bool
	}{
		"no route":     {err: wallets.ErrPaymentFailed},
		"bad invoice":  {err: wallets.ErrBadInvoice},
		"unavailable":  {err: wallets.ErrUnavailable, uncertain: true},
		"unauthorized": {err: wallets.ErrUnauthorized, uncertain: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.payErr = func(int) error { return test.err }
			s := w.shop()
			result, _, err := get(t, w.client(), s.URL)
			if !errors.Is(err, ErrPayment) || !errors.Is(err, test.err) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "may still succeed") != test.uncertain {
				t.Errorf("it is not told right whether money may have left: %v", err)
			}
			requests, _, credentials := s.seen()
			if w.payments() != 1 || requests != 1 || credentials != 0 || result.Purchase != nil {
				t.Errorf("%d payments, %d requests", w.payments(), requests)
			}
		})
	}
	t.Run("wrong preimage", func(t *testing.T) {
		w := newWorld(t)
		w.wrongPreimage = true
		s := w.shop()
		_, _, err := get(t, w.client(), s.URL)
		if !errors.Is(err, ErrPayment) || !strings.Contains(err.Error(), "does not belong") {
			t.Fatalf("got %v", err)
		}
		if _, _, credentials := s.seen(); credentials != 0 {
			t.Error("a wrong preimage was presented")
		}
	})
}

// TestPaysOnce shows what happens when a paid token is not taken: one more try, then the end.
func TestPaysOnce(t *testing.T) {
	t.Run("for ever", func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		s.refuse = func(int) bool { return true }
		result, _, err := get(t, w.client(), s.URL)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `"pay first"`) {
			t.Fatalf("got %v", err)
		}
		if w.payments() != 1 || result.Purchase == nil || result.Purchase.Authorization() == "" {
			t.Errorf("%d payments, result %+v", w.payments(), result)
		}
		if requests, challenges, _ := s.seen(); requests != 3 || challenges != 3 {
			t.Errorf("%d requests, %d challenges; want 3", requests, challenges)
		}
	})
	t.Run("settlement seen late", func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		s.refuse = func(n int) bool { return n == 1 }
		paused := time.Duration(0)
		c := w.client()
		c.Pause = func(_ context.Context, d time.Duration) error { paused += d; return nil }
		if _, body, err := get(t, c, s.URL+"/a"); err != nil || body != "GET /a " {
			t.Fatalf("%q, %v", body, err)
		}
		if w.payments() != 1 || paused != settlePause {
			t.Errorf("%d payments, %v pause", w.payments(), paused)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": settlePause, "3": 3 * time.Second, "0": settlePause, "-1": settlePause,
		"99999999": longestPause, "Fri, 31 Dec 1999 23:59:59 GMT": settlePause,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestRefusesRequests(t *testing.T) {
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, r := range map[string]*Request{
		"no URL":        {},
		"no host":       {URL: parse("http:///a")},
		"ftp":           {URL: parse("ftp://example.com/")},
		"user":          {URL: parse("http://user:pass@example.com/")},
		"authorization": {URL: parse("http://example.com/"), Header: http.Header{"Authorization": {"Bearer x"}}},
		"macaroon":      {URL: parse("http://example.com/"), Header: http.Header{"Macaroon": {"00"}}},
		"method":        {URL: parse("http://example.com/"), Method: "GET /"},
		"header name":   {URL: parse("http://example.com/"), Header: http.Header{"a b": {"x"}}},
		"header value":  {URL: parse("http://example.com/"), Header: http.Header{"A": {"x\r\nB: y"}}},
	} {
		if _, err := new(Client).Do(t.Context(), r); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v", name, err)
		} else if strings.Contains(err.Error(), "pass@") || strings.Contains(err.Error(), "Bearer x") {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
}

// TestTimeout shows that each step has its own time, the body's reads among them.
func TestTimeout(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	t.Run("headers", func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		s.service, s.serve = func(*http.Request) string { return "" }, hang
		c := w.client()
		c.Timeout = 50 * time.Millisecond
		if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("body", func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		s.service = func(*http.Request) string { return "" }
		s.serve = func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "some")
			w.(http.Flusher).Flush()
			hang(w, r)
		}
		c := w.client()
		c.Timeout = 50 * time.Millisecond
		u, _ := url.Parse(s.URL)
		result, err := c.Do(t.Context(), &Request{URL: u})
		if err != nil {
			t.Fatal(err)
		}
		defer result.Response.Body.Close()
		if data, err := io.ReadAll(result.Response.Body); !errors.Is(err, ErrTimeout) || string(data) != "some" {
			t.Errorf("got %q, %v", data, err)
		}
	})
	t.Run("payment", func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		c := w.client()
		c.Timeout = 50 * time.Millisecond
		c.Wallet.Payer = hangingPayer{}
		if _, _, err := get(t, c, s.URL); !errors.Is(err, ErrPayment) || !strings.Contains(err.Error(), "may still succeed") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("canceled", func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		u, _ := url.Parse(s.URL)
		if _, err := w.client().Do(ctx, &Request{URL: u}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// TestForeignToken shows that a token of another make is taken as long as it names its payment.
func TestForeignToken(t *testing.T) {
	w := newWorld(t)
	s := w.shop()
	s.alter = func(c *l402.Challenge) {
		narrowed, err := l402.Attenuate(c.Macaroon, l402.Caveat{Condition: "made_by", Value: "another server"})
		if err != nil {
			t.Error(err)
		}
		c.Macaroon = narrowed
	}
	result, _, err := get(t, w.client(), s.URL)
	if !errors.Is(err, ErrRefused) { // this shop does not know the caveat
		t.Fatalf("got %v", err)
	}
	if result.Purchase == nil || result.Purchase.Opens != "services=premium:0 made_by=another server" {
		t.Errorf("purchase %+v", result.Purchase)
	}
}
