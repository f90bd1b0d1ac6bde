// Package restpeer is what the adapters share whose peer is a daemon or a service with an HTTP API,
// one secret and a websocket of events: the settings of such a peer, calls with its credential, and
// a subscription that loses no settlement.
//
// The peers' events are hints here and no proof: each one is looked up, and what they leave out is
// found in the peer's list of settled invoices.
package restpeer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// Config says how a Client speaks to its peer.
type Config struct {
	// Name is what errors call the peer, such as phoenixd.
	Name string
	// Authorize puts the credential into the headers of a request.
	Authorize func(h http.Header, secret string)
	// Refused tells the answers that refuse the credential; nil is status 401 and 403.
	Refused func(*httpjson.Answer) bool
	// Logger gives the current logger.
	Logger func() *zap.Logger
}

// Client makes calls to one peer. It is safe for concurrent use and connects when it is first used.
type Client struct {
	cfg    Config
	set    Settings
	http   *httpjson.Client
	logger func() *zap.Logger

	// life ends with Close; subscriptions, whose connections the HTTP client has handed over,
	// end with it.
	life context.Context
	end  context.CancelFunc

	mu      sync.Mutex
	network wallets.Network
	timeout time.Duration

	// Now is the clock, and Jitter gives numbers from 0 to 1.
	Now    func() time.Time
	Jitter func() float64
	// FirstRetry and LastRetry bound the pause before what was lost is tried again.
	FirstRetry, LastRetry time.Duration
	// Sweep is how often a subscription looks for settlements that no event told of, and
	// PingEvery how often it sees whether the connection stands.
	Sweep, PingEvery time.Duration
}

// New makes a Client. It dials nothing. The fields that it sets may be changed before the first
// call.
func New(cfg Config, set Settings) (*Client, error) {
	if !set.Ready() {
		return nil, errors.New("it was not provisioned")
	}
	if cfg.Refused == nil {
		cfg.Refused = func(a *httpjson.Answer) bool {
			return a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden
		}
	}
	c := &Client{
		cfg: cfg, set: set, logger: cfg.Logger, network: set.Network, timeout: set.Timeout,
		Now: time.Now, Jitter: rand.Float64,
		FirstRetry: 250 * time.Millisecond, LastRetry: 3 * time.Second,
		Sweep: 30 * time.Second, PingEvery: 20 * time.Second,
	}
	h := httpjson.Config{
		Base: set.base, Timeout: set.Timeout, Secrets: set.secret.All, Authorize: c.authorize,
	}
	h.TLS = c.tls()
	if set.base.Scheme == "http" && !set.insecure {
		dialer := &net.Dialer{
			Timeout: 20 * time.Second,
			// After the name was resolved and before anything is sent.
			Control: func(_, address string, _ syscall.RawConn) error { return checkAddress(address) },
		}
		h.Dial = dialer.DialContext
	}
	var err error
	if c.http, err = httpjson.New(h); err != nil {
		return nil, err
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

func (c *Client) tls() *tls.Config {
	if c.set.pin == nil {
		return nil
	}
	return c.set.pin.Config(c.set.base.Hostname())
}

func (c *Client) authorize(h http.Header) error {
	secret, err := c.set.secret.Get()
	if err != nil {
		return err
	}
	c.cfg.Authorize(h, secret)
	return nil
}

// Secret gives the credential, for the peers that want it in an address too.
func (c *Client) Secret() (string, error) { return c.set.secret.Get() }

// Clean makes a text from the peer fit for an error.
func (c *Client) Clean(text string) string { return httpjson.Clean(text, c.set.secret.All()...) }

// Network is the chain that invoices must be for.
func (c *Client) Network() wallets.Network {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.network
}

// Reconfigure takes over network and time-out for calls that begin from now on.
func (c *Client) Reconfigure(set Settings) {
	c.http.SetTimeout(set.Timeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.network, c.timeout = set.Network, set.Timeout
}

// Close ends all calls and subscriptions. Later calls fail with net.ErrClosed.
func (c *Client) Close() error {
	c.end()
	return c.http.Close()
}

// Do makes one call, whatever its answer's status. When the peer refuses the credential and the
// file that holds it has another one by now, it tries once more with that. Errors are those of
// httpjson.Client.Do.
func (c *Client) Do(ctx context.Context, r httpjson.Request) (*httpjson.Answer, error) {
	answer, err := c.http.Do(ctx, r)
	if err == nil && c.cfg.Refused(answer) && c.set.secret.Reload() {
		answer, err = c.http.Do(ctx, r)
	}
	return answer, err
}

// Anonymous makes a GET without the credential, to see what the peer tells to anybody.
func (c *Client) Anonymous(ctx context.Context, path string) (*httpjson.Answer, error) {
	bare, err := httpjson.New(httpjson.Config{
		Secrets: c.set.secret.All, TLS: c.tls(), Redirect: func(to *url.URL) error {
			if to.Scheme != c.set.base.Scheme || to.Host != c.set.base.Host {
				return errors.New("it leaves the peer")
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	defer bare.Close()
	// Ends with the call.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	answer, err := bare.Do(ctx, httpjson.Request{URL: c.set.base.JoinPath(path).String()})
	if err != nil && c.life.Err() != nil {
		err = fmt.Errorf("%w: %w", wallets.ErrUnavailable, net.ErrClosed)
	}
	return answer, err
}

// Fail says at which step and with which peer an error came up.
func (c *Client) Fail(step string, err error) error {
	return fmt.Errorf("%s at %s %s: %w", step, c.cfg.Name, c.set.base.Host, err)
}
