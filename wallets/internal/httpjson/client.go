// Package httpjson is the HTTP client that wallet adapters share. What it adds to net/http is
// what each of them would have to get right by itself: answers of bounded size, a deadline on each
// call, no redirect that carries a credential to another host, a pinned certificate, and errors
// that wrap the sentinels of package wallets and hold no secret.
//
// An adapter makes one Client, calls Do and looks at the Answer:
//
//	answer, err := client.Do(ctx, httpjson.Request{Method: "POST", Path: "createinvoice", Form: form})
//	if err == nil && answer.Status != http.StatusOK {
//		err = answer.Refusal("")
//	}
//	if err == nil {
//		err = answer.Decode(&out)
//	}
//	if err != nil {
//		return fmt.Errorf("creating invoice at %s: %w", peer, err)
//	}
package httpjson

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Defaults of a Config.
const (
	// DefaultTimeout bounds a call.
	DefaultTimeout = 10 * time.Second
	// DefaultMaxAnswer bounds the body of an answer, in bytes.
	DefaultMaxAnswer = 1 << 20
)

const (
	maxHeaders   = 64 << 10
	maxRedirects = 3
	dialTimeout  = 20 * time.Second
	idleTimeout  = 30 * time.Second
)

// Config is what a Client is made of.
type Config struct {
	// Base is what each Request's path is joined to. Where it is nil each Request gives a
	// whole URL, and Authorize must be nil: a credential is for one host.
	Base *url.URL
	// TLS verifies the peer; nil is by the authorities that the system trusts. See
	// Pin.Config.
	TLS *tls.Config
	// Timeout bounds each call besides the caller's context; zero is DefaultTimeout.
	Timeout time.Duration
	// MaxAnswer bounds the body of each answer in bytes; zero is DefaultMaxAnswer.
	MaxAnswer int64
	// Authorize puts the credential into the headers of each request. Its error ends the
	// call and should wrap a sentinel of package wallets. It may be nil.
	Authorize func(http.Header) error
	// Secrets gives what no error text may hold, at the time of the error; Clean says how.
	Secrets func() []string
	// Redirect says whether a GET may be redirected there. Where it is nil a redirect must
	// keep scheme, host and port. It must be nil where Authorize is not.
	Redirect func(to *url.URL) error
	// Dial opens connections; nil is a plain dialer. A caller that follows foreign URLs
	// refuses private addresses here.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client makes calls to one peer, or with a nil Base to several. It is safe for concurrent use and
// connects when it is first used.
type Client struct {
	cfg       Config
	http      *http.Client
	transport *http.Transport

	// life ends with Close.
	life context.Context
	end  context.CancelFunc

	mu      sync.Mutex
	timeout time.Duration
}

// New makes a Client. It dials nothing.
func New(cfg Config) (*Client, error) {
	if cfg.Authorize != nil && (cfg.Base == nil || cfg.Redirect != nil) {
		return nil, errors.New("httpjson: a credential needs a base and allows no foreign redirects")
	}
	if cfg.MaxAnswer <= 0 {
		cfg.MaxAnswer = DefaultMaxAnswer
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	c := &Client{cfg: cfg}
	c.life, c.end = context.WithCancel(context.Background())
	c.SetTimeout(cfg.Timeout)
	// The proxies of the environment are left out: they would learn the credential of a plain
	// connection and would dial where Dial refuses to.
	c.transport = &http.Transport{
		DialContext:            cfg.Dial,
		TLSClientConfig:        cfg.TLS,
		TLSHandshakeTimeout:    dialTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    16,
		MaxIdleConns:           64,
		MaxResponseHeaderBytes: maxHeaders,
		// An answer's bound is then the bound of what is read from the wire, too.
		DisableCompression: true,
	}
	c.http = &http.Client{Transport: c.transport, CheckRedirect: c.checkRedirect}
	return c, nil
}

// SetTimeout changes the bound of calls that begin from now on; zero is DefaultTimeout.
func (c *Client) SetTimeout(d time.Duration) {
	if d <= 0 {
		d = DefaultTimeout
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeout = d
}

// HTTP is the client for libraries that make their own requests, such as websockets. It verifies
// the peer and bounds redirects, but adds no credential and knows no deadline.
func (c *Client) HTTP() *http.Client { return c.http }

// Close ends all calls and connections. Later calls fail with net.ErrClosed.
func (c *Client) Close() error {
	c.end()
	c.transport.CloseIdleConnections()
	return nil
}

// Do makes one call and reads the whole answer, whatever its status. Errors wrap the context's
// error where ctx ended before the answer was read, ErrUnavailable where there was no whole answer, and ErrBadAnswer where it
// was too large or a redirect that is not allowed. Errors that come before anything was sent wrap
// ErrNotSent besides.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	timeout := r.Timeout
	if timeout == 0 {
		c.mu.Lock()
		timeout = c.timeout
		c.mu.Unlock()
	}
	callCtx := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		callCtx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	resp, err := c.open(callCtx, r)
	var body []byte
	if err == nil {
		body, err = readAll(resp.Body, c.cfg.MaxAnswer)
		_ = resp.Body.Close() // all that was wanted of it has been read
	}
	if err == nil {
		// A server that sees its client go may still send an empty answer, and over TLS that
		// answer can win the race against the end of the call.
		err = callCtx.Err()
	}
	if err != nil {
		if ctx.Err() == nil && callCtx.Err() != nil && !c.isClosed() {
			err = fmt.Errorf("%w: no answer within %s", wallets.ErrUnavailable, timeout)
		}
		return nil, c.classify(ctx, err)
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, secrets: c.secrets()}, nil
}

// Open makes one call and returns the answer with its body unread, for streams of events. The
// caller bounds what it reads and closes the body; ctx bounds the whole, and neither Timeout nor
// MaxAnswer do. Its errors are those of Do; errors of the body are for Classify.
func (c *Client) Open(ctx context.Context, r Request) (*http.Response, error) {
	resp, err := c.open(ctx, r)
	if err != nil {
		return nil, c.classify(ctx, err)
	}
	return resp, nil
}

func (c *Client) open(ctx context.Context, r Request) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.isClosed() {
		return nil, net.ErrClosed
	}
	req, err := c.build(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.life, cancel)
	release := func() { stop(); cancel() }
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	resp, err := c.http.Do(req.WithContext(traced))
	if err != nil {
		release()
		if !sent.Load() {
			err = &notSent{err}
		}
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, release: release}
	return resp, nil
}

func (c *Client) isClosed() bool { return c.life.Err() != nil }

func (c *Client) secrets() []string {
	if c.cfg.Secrets == nil {
		return nil
	}
	return c.cfg.Secrets()
}

// errRedirect says that the peer sends us where we do not go.
var errRedirect = errors.New("redirect refused")

func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[0]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d", errRedirect, maxRedirects)
	case from.Method != http.MethodGet && from.Method != http.MethodHead:
		return fmt.Errorf("%w: it would repeat a %s", errRedirect, from.Method)
	case c.cfg.Redirect != nil:
		if err := c.cfg.Redirect(req.URL); err != nil {
			return fmt.Errorf("%w: %w", errRedirect, err)
		}
	case req.URL.Scheme != from.URL.Scheme || req.URL.Host != from.URL.Host:
		return fmt.Errorf("%w: it leaves %s://%s, which is where the wallet was told to be",
			errRedirect, from.URL.Scheme, from.URL.Host)
	}
	return nil
}
