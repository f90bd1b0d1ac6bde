// Package fetch asks web servers that the operator named for small facts, such as exchange rates
// and prices. What it adds to net/http is a bound on each answer, a deadline on each call, no
// redirect to another host, and errors that show nothing of an address but its host: paths and
// queries may hold keys.
package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// DefaultTimeout bounds a call where a Client names no other time.
	DefaultTimeout = 5 * time.Second
	// DefaultMaxAnswer bounds the body of an answer, in bytes.
	DefaultMaxAnswer = 256 << 10

	maxHeaders   = 64 << 10
	maxRedirects = 3
	dialTimeout  = 10 * time.Second
	idleTimeout  = 90 * time.Second
)

// ErrAnswer is wrapped by the errors of Do for answers that came but cannot be used: another
// status than 200, too large, or a redirect to another host.
var ErrAnswer = errors.New("unusable answer")

// Client makes calls. The zero Client can be used; it may be shared and must not be copied or
// changed after its first use.
type Client struct {
	// Transport carries the calls; nil is http.DefaultTransport. See NewTransport.
	Transport http.RoundTripper
	// Timeout bounds each call besides the caller's context; zero is DefaultTimeout.
	Timeout time.Duration
	// MaxAnswer bounds the body of each answer in bytes; zero is DefaultMaxAnswer.
	MaxAnswer int64
}

// NewTransport makes a transport that verifies servers by config, or by the authorities that the
// system trusts where config is nil. The proxies of the environment are used, as in Caddy itself.
// Whoever makes it closes its idle connections in the end.
func NewTransport(config *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dialTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    4,
		MaxIdleConns:           32,
		MaxResponseHeaderBytes: maxHeaders,
		ForceAttemptHTTP2:      true,
		// The bound of an answer is then the bound of what is read from the wire, too.
		DisableCompression: true,
	}
}

// Get reads the JSON document at an address.
func (c *Client) Get(ctx context.Context, address string) ([]byte, error) {
	return c.Do(ctx, http.MethodGet, address, nil)
}

// Do makes one call and gives the body of an answer with status 200. A body that is not nil is sent
// as JSON.
func (c *Client) Do(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address is not a URL") // the error would repeat it
	}
	host := request.URL.Host
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "caddy-l402")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := (&http.Client{Transport: c.Transport, CheckRedirect: checkRedirect}).Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("asking %s: %w", host, ctx.Err())
		}
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // its own text has the whole address in it
		}
		return nil, fmt.Errorf("asking %s: %w", host, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking %s: %w: status %d", host, ErrAnswer, answer.StatusCode)
	}
	limit := c.MaxAnswer
	if limit <= 0 {
		limit = DefaultMaxAnswer
	}
	content, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer of %s: %w", host, err)
	case int64(len(content)) > limit:
		return nil, fmt.Errorf("reading the answer of %s: %w: more than %d bytes", host, ErrAnswer, limit)
	}
	return content, nil
}

// checkRedirect follows a GET within one host only: another host was not named by the operator.
func checkRedirect(request *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d redirects", ErrAnswer, maxRedirects)
	case first.Method != http.MethodGet:
		return fmt.Errorf("%w: a redirect would repeat a %s", ErrAnswer, first.Method)
	case request.URL.Scheme != first.URL.Scheme || request.URL.Host != first.URL.Host:
		return fmt.Errorf("%w: a redirect leaves the host", ErrAnswer)
	}
	return nil
}

// ParseAddress reads an address as it stands in the configuration: http or https, a host, perhaps a
// port, a path and a query. setting names it in errors, which do not repeat it: its query may hold
// a key.
func ParseAddress(setting, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is not a URL such as https://host/path", setting)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s must begin with http:// or https://", setting)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s names no host", setting)
	case u.User != nil:
		return nil, fmt.Errorf("%s holds a user name or password: take it out", setting)
	case u.Fragment != "":
		return nil, fmt.Errorf("%s must not have a '#'", setting)
	}
	return u, nil
}
