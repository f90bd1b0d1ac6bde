package lnurl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"golang.org/x/net/proxy"
)

const dialTimeout = 10 * time.Second

// dialContext opens a network connection.
type dialContext func(ctx context.Context, network, address string) (net.Conn, error)

// dialer opens connections, and none to where it must not.
type dialer struct {
	// permit tells whether an IP address may be connected to.
	permit func(netip.Addr) error
	// onion reaches onion names; it may be nil.
	onion dialContext
	// resolver finds the addresses of names; nil is the system's.
	resolver *net.Resolver
}

func newDialer(r rules, onion dialContext) *dialer {
	d := &dialer{permit: checkPublic, onion: onion}
	if r.allowPrivate {
		d.permit = func(netip.Addr) error { return nil }
	}
	return d
}

// dial connects to a host. The permission is asked for each address that a socket is about to be
// connected to: whatever a name resolved to before, or is going to, makes no difference.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if isOnion(host) {
		if d.onion == nil {
			return nil, errors.New("onion names need the setting proxy")
		}
		return d.onion(ctx, network, address)
	}
	direct := net.Dialer{
		Timeout: dialTimeout, Resolver: d.resolver,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("connecting: %w", errPrivate)
			}
			return d.permit(to.Addr())
		},
	}
	return direct.DialContext(ctx, network, address)
}

// onionDialer reads the setting proxy and gives the way to onion names, or nil where it is empty.
func onionDialer(text string) (dialContext, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "socks5" && u.Scheme != "socks5h" || u.Hostname() == "" ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("proxy is not of the form socks5://[user:password@]host:port")
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
	// The proxy is the operator's own and may be anywhere.
	d, err := proxy.SOCKS5("tcp", net.JoinHostPort(u.Hostname(), port), auth, &net.Dialer{Timeout: dialTimeout})
	if err != nil {
		return nil, fmt.Errorf("preparing proxy: %w", err)
	}
	cd, ok := d.(proxy.ContextDialer)
	if !ok {
		return nil, errors.New("preparing proxy: its dialer takes no context")
	}
	return cd.DialContext, nil
}
