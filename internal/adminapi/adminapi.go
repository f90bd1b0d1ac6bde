// Package adminapi calls the l402 endpoints of a running Caddy's admin API.
package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const (
	// DefaultTimeout bounds a call where Client.Timeout is zero.
	DefaultTimeout = 30 * time.Second
	// DefaultMaxAnswer bounds what is read of an answer where Client.MaxAnswer is zero.
	DefaultMaxAnswer = 1 << 20
)

// ErrUnreachable says that nothing answers at the admin API's address.
var ErrUnreachable = errors.New("admin API not reachable")

// StatusError is an error that the admin API answered with.
type StatusError struct {
	// Status is the HTTP status.
	Status int
	// Message is what the answer says, in a form that is safe for a terminal.
	Message string
}

// Error implements error.
func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("status %d", e.Status)
	}
	return fmt.Sprintf("%s (status %d)", e.Message, e.Status)
}

// Client calls an admin API. It is safe for concurrent use.
type Client struct {
	// Address is where the API listens, in the form of Caddy's admin option: host:port, or
	// unix//path. An "http://" before it is ignored.
	Address string
	// Timeout bounds a call; zero means DefaultTimeout.
	Timeout time.Duration
	// MaxAnswer is the greatest length of an answer in bytes; zero means DefaultMaxAnswer.
	MaxAnswer int64
}

// Call sends a request, with in as JSON unless it is nil, and reads the answer into out unless that
// is nil. Errors wrap ErrUnreachable or a *StatusError.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	if err := c.call(ctx, method, path, in, out); err != nil {
		return fmt.Errorf("calling Caddy's admin API at %s: %w", c.Address, err)
	}
	return nil
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	text := strings.TrimSuffix(strings.TrimPrefix(c.Address, "http://"), "/")
	address, err := caddy.ParseNetworkAddress(text)
	if err != nil || strings.Contains(text, "://") || address.IsFdNetwork() || !address.IsUnixNetwork() && address.PortRangeSize() != 1 {
		return errors.New("the address is neither host:port nor unix//path")
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	host := address.JoinHostPort(0)
	network, target := address.Network, host
	if address.IsUnixNetwork() {
		// Caddy accepts this Host on a socket; the permission bits behind "|" are no part of
		// the path.
		path, _, _ := strings.Cut(address.Host, "|")
		host, target = "127.0.0.1", path
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, body)
	if err != nil {
		return errors.New("the address is neither host:port nor unix//path")
	}
	request.Header.Set("Content-Type", "application/json")
	if !address.IsUnixNetwork() {
		request.Header.Set("Origin", "http://"+host)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, target)
		},
	}
	resp, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	limit := c.MaxAnswer
	if limit <= 0 {
		limit = DefaultMaxAnswer
	}
	return read(resp, limit, out)
}

func read(resp *http.Response, maxAnswer int64, out any) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case int64(len(data)) > maxAnswer:
		return fmt.Errorf("reading the answer: it has more than %d bytes", maxAnswer)
	case resp.StatusCode != http.StatusOK:
		var problem struct {
			Error string `json:"error"`
		}
		_ = json.Unmarshal(data, &problem)
		return &StatusError{Status: resp.StatusCode, Message: safe(problem.Error)}
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return errors.New("the answer is not the JSON that was expected: is this Caddy built with the l402 module?")
	}
	return nil
}

// safe takes control characters out of what another program said.
func safe(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return text[:min(len(text), 500)]
}

// Interface guards
var _ error = (*StatusError)(nil)
