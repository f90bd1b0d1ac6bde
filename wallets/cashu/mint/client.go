package mint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// Defaults of a Config.
const (
	// DefaultTimeout bounds a call.
	DefaultTimeout = 10 * time.Second
	// DefaultMeltTimeout bounds a melt, which waits for a Lightning payment.
	DefaultMeltTimeout = 90 * time.Second
	// DefaultKeysetAge is how long the list of keysets is taken for current.
	DefaultKeysetAge = 5 * time.Minute
)

// minRefresh keeps strangers' tokens with made-up keysets from causing a call each.
const minRefresh = 10 * time.Second

// maxAnswer bounds an answer: 200 keysets, or 300 signatures with DLEQ, take a fraction of it.
const maxAnswer = 1 << 20

// Config is what a Client is made of.
type Config struct {
	// URL is the mint's address, such as https://mint.example.com/Bitcoin.
	URL string
	// AllowHTTP allows an address that begins with http:// and is neither of this machine nor
	// an onion service. Who listens on the way can then take the money.
	AllowHTTP bool
	// TLS verifies the mint; nil is by the authorities that the system trusts.
	TLS *tls.Config
	// Dial opens connections; nil is a plain dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout bounds each call besides its context; zero is DefaultTimeout.
	Timeout time.Duration
	// MeltTimeout bounds melts; zero is DefaultMeltTimeout.
	MeltTimeout time.Duration
	// KeysetAge is how long the list of keysets is taken for current; zero is
	// DefaultKeysetAge.
	KeysetAge time.Duration
	// RequireDLEQ refuses signatures without a DLEQ proof (NUT-12).
	RequireDLEQ bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Client talks to one mint. It is safe for concurrent use and connects when it is first used.
type Client struct {
	cfg  Config
	url  string
	http *httpjson.Client

	asking singleflight.Group

	mu      sync.Mutex
	listed  time.Time // when the list of keysets was read
	failed  time.Time // when it could not be read
	keysets map[ecash.KeysetID]*Keyset
	info    *Info
	infoAt  time.Time
}

// New makes a Client. It dials nothing. Errors wrap token.ErrMintURL.
func New(cfg Config) (*Client, error) {
	address, err := token.NormalizeMint(strings.TrimSpace(cfg.URL))
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, token.ErrMintURL
	}
	if base.Scheme == "http" && !cfg.AllowHTTP && !isLocal(base.Hostname()) {
		return nil, fmt.Errorf("%w: %s is not encrypted, and what goes to a mint is money: use https",
			token.ErrMintURL, address)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MeltTimeout <= 0 {
		cfg.MeltTimeout = DefaultMeltTimeout
	}
	if cfg.KeysetAge <= 0 {
		cfg.KeysetAge = DefaultKeysetAge
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h, err := httpjson.New(httpjson.Config{
		Base: base, TLS: cfg.TLS, Dial: cfg.Dial, Timeout: cfg.Timeout, MaxAnswer: maxAnswer,
		Redirect: func(*url.URL) error { return errors.New("mints do not redirect") },
	})
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, url: address, http: h, keysets: make(map[ecash.KeysetID]*Keyset)}, nil
}

func isLocal(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".onion") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// URL is the mint's address in its normal form.
func (c *Client) URL() string { return c.url }

// Close ends all calls and connections.
func (c *Client) Close() error { return c.http.Close() }

// SetTimeout changes the bound of calls other than melts that begin from now on; zero is
// DefaultTimeout.
func (c *Client) SetTimeout(d time.Duration) {
	if d <= 0 {
		d = DefaultTimeout
	}
	c.http.SetTimeout(d)
}

func (c *Client) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, httpjson.Request{Method: http.MethodGet, Path: path}, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, httpjson.Request{Method: http.MethodPost, Path: path, JSON: in}, out)
}

func (c *Client) call(ctx context.Context, r httpjson.Request, out any) error {
	answer, err := c.http.Do(ctx, r)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return refusal(answer)
	}
	return answer.Decode(out)
}

// NotSent says that the mint has seen nothing of a call that gave this error.
func NotSent(err error) bool { return errors.Is(err, httpjson.ErrNotSent) }
