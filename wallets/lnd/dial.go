package lnd

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxAnswer bounds one message of LND.
	maxAnswer = 4 << 20
	// maxHeaders bounds the headers and trailers of an answer.
	maxHeaders = 64 << 10
)

// dialContext opens a network connection.
type dialContext func(ctx context.Context, network, address string) (net.Conn, error)

// conn is a connection to LND that is made at the first call, makes itself again when it is
// lost, and adds the macaroon to each call. It is safe for concurrent use.
type conn struct {
	address string
	tls     *tls.Config
	mac     *macaroonSource
	dial    dialContext

	mu     sync.Mutex
	cc     *grpc.ClientConn
	closed bool
}

// client gives the gRPC connection. It is not made before it is needed because it has goroutines.
func (c *conn) client() (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("%w: %w", wallets.ErrUnavailable, net.ErrClosed)
	}
	if c.cc != nil {
		return c.cc, nil
	}
	// The passthrough scheme leaves names to the dialer, so that a proxy resolves them.
	cc, err := grpc.NewClient("passthrough:///"+c.address,
		grpc.WithTransportCredentials(credentials.NewTLS(c.tls)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return c.dial(ctx, "tcp", address)
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second,
			},
			MinConnectTimeout: 20 * time.Second,
		}),
		// LND allows a ping each five seconds. Without any, a subscription over a path that
		// went away silently would wait for ever.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithUserAgent("caddy-l402"),
	)
	if err != nil {
		return nil, fmt.Errorf("%w: preparing connection: %w", wallets.ErrUnavailable, err)
	}
	c.cc = cc
	return cc, nil
}

// Invoke makes a unary call. When LND refuses the macaroon and the file holds another one by now,
// it tries once more with that.
func (c *conn) Invoke(ctx context.Context, method string, in, out any, opts ...grpc.CallOption) error {
	cc, err := c.client()
	if err != nil {
		return err
	}
	mac, err := c.header(false)
	if err != nil {
		return err
	}
	err = cc.Invoke(withMacaroon(ctx, mac), method, in, out, opts...)
	if !unauthorized(err) {
		return err
	}
	renewed, readErr := c.header(true)
	if readErr != nil || renewed == mac {
		return err
	}
	if m, ok := out.(proto.Message); ok {
		proto.Reset(m)
	}
	return cc.Invoke(withMacaroon(ctx, renewed), method, in, out, opts...)
}

// NewStream starts a streaming call. Streams are rare, so it reads the macaroon's file each time.
func (c *conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	cc, err := c.client()
	if err != nil {
		return nil, err
	}
	mac, err := c.header(true)
	if err != nil {
		return nil, err
	}
	return cc.NewStream(withMacaroon(ctx, mac), desc, method, opts...)
}

// Close ends the connection and all its calls. Calls after it fail with net.ErrClosed.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.cc == nil {
		return nil
	}
	cc := c.cc
	c.cc = nil
	return cc.Close()
}

func (c *conn) header(fresh bool) (string, error) {
	m, err := c.mac.get(fresh)
	if err != nil {
		return "", err
	}
	return header(m)
}

// withMacaroon puts the macaroon where LND looks for it. The connection is always over TLS.
func withMacaroon(ctx context.Context, mac string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "macaroon", mac)
}

// proxyDialer makes a dialer for a SOCKS5 proxy, which gets host names unresolved, or for no
// proxy where text is empty. Errors do not repeat the text: it may hold a password.
func proxyDialer(text string) (dialContext, error) {
	direct := &net.Dialer{Timeout: 20 * time.Second}
	if text == "" {
		return direct.DialContext, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "socks5" && u.Scheme != "socks5h" || u.Hostname() == "" ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("proxy is not of the form socks5://[user:password@]host:port")
	}
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	port := u.Port()
	if port == "" {
		port = "1080"
	}
	d, err := proxy.SOCKS5("tcp", net.JoinHostPort(u.Hostname(), port), auth, direct)
	if err != nil {
		return nil, fmt.Errorf("preparing proxy: %w", err)
	}
	cd, ok := d.(proxy.ContextDialer)
	if !ok {
		return nil, fmt.Errorf("preparing proxy: its dialer takes no context")
	}
	return cd.DialContext, nil
}

// Interface guards.
var _ grpc.ClientConnInterface = (*conn)(nil)
