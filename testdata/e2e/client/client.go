package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Payer pays BOLT 11 invoices and returns the preimage in hex.
type Payer interface {
	Pay(ctx context.Context, invoice string) (string, error)
}

// Client makes requests to one gateway. It never pays by itself and follows no redirect. It is
// safe for concurrent use.
type Client struct {
	// Base is the gateway's URL without a path, such as http://127.0.0.1:8080.
	Base string

	http *http.Client
}

// New makes a client that keeps connections open between requests.
func New(base string) *Client {
	return &Client{Base: base, http: &http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 64,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}}
}

// Response is a response that was read to its end.
type Response struct {
	*http.Response
	// Text is the body.
	Text string
}

// Option changes a request before it is sent.
type Option func(*http.Request)

// With sets a header field.
func With(name, value string) Option {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// Auth adds a token's Authorization.
func Auth(t Token) Option { return With("Authorization", t.Header()) }

// Host sets the Host field.
func Host(name string) Option { return func(r *http.Request) { r.Host = name } }

// Body sends text as the content.
func Body(text string) Option {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

// Try makes a request and returns an error when there is no complete answer.
func (c *Client) Try(ctx context.Context, method, path string, opts ...Option) (*Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, nil)
	if err != nil {
		return nil, err
	}
	for _, o := range opts {
		o(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	return &Response{Response: resp, Text: string(text)}, nil
}

// Do makes a request; without a complete answer the test ends.
func (c *Client) Do(t testing.TB, method, path string, opts ...Option) *Response {
	t.Helper()
	resp, err := c.Try(t.Context(), method, path, opts...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp
}

// Get is Do with GET.
func (c *Client) Get(t testing.TB, path string, opts ...Option) *Response {
	t.Helper()
	return c.Do(t, http.MethodGet, path, opts...)
}

// Want makes a request and ends the test unless the answer has this status.
func (c *Client) Want(t testing.TB, status int, path string, opts ...Option) *Response {
	t.Helper()
	resp := c.Get(t, path, opts...)
	if resp.StatusCode != status {
		t.Fatalf("GET %s: status %d, want %d; body: %s", path, resp.StatusCode, status, resp.Text)
	}
	return resp
}

// Challenge gets a 402 for path and reads it.
func (c *Client) Challenge(t testing.TB, path string, opts ...Option) *Challenge {
	t.Helper()
	ch, err := ReadChallenge(c.Want(t, http.StatusPaymentRequired, path, opts...).Response)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return ch
}

// Buy gets a challenge for path, pays it and returns the token.
func (c *Client) Buy(t testing.TB, p Payer, path string, opts ...Option) Token {
	t.Helper()
	return PayFor(t, p, c.Challenge(t, path, opts...))
}

// PayFor pays a challenge and checks the preimage against its payment hash.
func PayFor(t testing.TB, p Payer, ch *Challenge) Token {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	preimage, err := p.Pay(ctx, ch.Invoice)
	if err != nil {
		t.Fatalf("paying: %v", err)
	}
	if !Proves(preimage, ch.PaymentHash) {
		t.Fatal("the preimage that the payment gave does not belong to the macaroon's payment hash")
	}
	return Token{Macaroon: ch.Macaroon, Preimage: preimage}
}

// Raw sends text to the gateway as it stands and returns what comes back until the gateway
// closes, or an answer's head is complete and then 300 ms pass in silence.
func (c *Client) Raw(t testing.TB, text string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(c.Base, "http://"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A gateway that refuses early may close before all is written, so this error says nothing.
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, text)
	var got strings.Builder
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String()
		}
		if strings.Contains(got.String(), "\r\n\r\n") {
			_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		}
	}
}
