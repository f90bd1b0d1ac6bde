package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxHeaderBytes bounds the headers of an answer.
const maxHeaderBytes = 256 << 10

// NewTransport makes a transport that leaves bodies as they come and uses the proxy that the
// environment names, as curl does. Besides the system's authorities it trusts those in roots; nil
// means the system's alone.
func NewTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		IdleConnTimeout:        time.Minute,
	}
}

// defaultTransport is shared by clients that name none.
var defaultTransport = sync.OnceValue(func() http.RoundTripper { return NewTransport(nil) })

// send makes one request, without following redirects. The step's time counts until the headers
// are there and anew for each read of the body.
func (c *Client) send(ctx context.Context, r *http.Request) (*http.Response, error) {
	transport := c.Transport
	if transport == nil {
		transport = defaultTransport()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(c.timeout(), func() {
		cancel(fmt.Errorf("%w: nothing for %s", ErrTimeout, c.timeout()))
	})
	resp, err := transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		timer.Stop()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, fmt.Errorf("requesting %s: %w", r.URL.Redacted(), err)
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, timer: timer, limit: c.timeout()}
	return resp, nil
}

// watchedBody ends a read that takes too long.
type watchedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.limit)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
		err = fmt.Errorf("reading the body: %w", err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *watchedBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// discard reads a little of a body that nobody wants, so that the connection can be used again, and
// closes it.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

// Interface guards
var _ io.ReadCloser = (*watchedBody)(nil)
