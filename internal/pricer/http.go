package pricer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-l402/caddy-l402/internal/fetch"
)

// overHTTP asks a program over HTTP.
type overHTTP struct {
	address   string
	transport *http.Transport
	client    *fetch.Client
}

func newOverHTTP(c Config, config *tls.Config) *overHTTP {
	transport := fetch.NewTransport(config)
	transport.Proxy = nil // it is the operator's own program, and a proxy would learn the secret
	transport.MaxIdleConnsPerHost = maxAsking
	var carrier http.RoundTripper = transport
	if c.Secret != "" {
		carrier = &bearer{transport, c.Secret}
	}
	return &overHTTP{c.Address, transport, &fetch.Client{Transport: carrier, Timeout: c.Timeout, MaxAnswer: maxAnswer}}
}

// bearer adds the credential to each call. Redirects of a POST are not followed, so that it stays
// with the host that it is for.
type bearer struct {
	next   http.RoundTripper
	secret string
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.secret)
	return b.next.RoundTrip(r)
}

func (o *overHTTP) ask(ctx context.Context, q Question) (Price, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return Price{}, err
	}
	content, err := o.client.Do(ctx, http.MethodPost, o.address, body)
	if err != nil {
		return Price{}, err
	}
	price, err := readAnswer(content)
	if err != nil && !errors.Is(err, ErrFree) {
		err = fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return price, err
}

func (o *overHTTP) close() error {
	o.transport.CloseIdleConnections()
	return nil
}

// Guards.
var _ asker = (*overHTTP)(nil)
