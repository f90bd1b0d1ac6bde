package restpeer

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// maxEvent bounds one event, in bytes.
const maxEvent = 1 << 20

// dial opens the websocket at the path. Errors are classified as those of calls are.
func (c *Client) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	conn, status, err := c.handshake(ctx, path)
	refused := err != nil && c.cfg.Refused(&httpjson.Answer{Status: status})
	if refused && c.set.secret.Reload() {
		conn, _, err = c.handshake(ctx, path)
	}
	return conn, err
}

func (c *Client) handshake(ctx context.Context, path string) (*websocket.Conn, int, error) {
	header := http.Header{"User-Agent": {"caddy-l402"}}
	if err := c.authorize(header); err != nil {
		return nil, 0, err
	}
	c.mu.Lock()
	timeout := c.timeout
	c.mu.Unlock()
	if timeout <= 0 {
		timeout = httpjson.DefaultTimeout
	}
	dialCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, resp, err := websocket.Dial(dialCtx, c.set.base.JoinPath(path).String(), &websocket.DialOptions{
		HTTPClient: c.http.HTTP(), HTTPHeader: header,
	})
	if err == nil {
		conn.SetReadLimit(maxEvent)
		return conn, http.StatusSwitchingProtocols, nil
	}
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	if dialCtx.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: no websocket within %s", wallets.ErrUnavailable, timeout)
	}
	return nil, status, c.http.Classify(ctx, fmt.Errorf("opening websocket: %w", err))
}

// events reads a websocket for one session. What it hands over is bounded, so that a peer that
// talks fast is not made to wait; missed says that something was left out.
type events struct {
	hashes chan lntypes.Hash
	missed chan struct{}
	failed chan error
}

// read hands over the hashes that the events name, until the connection ends.
func (c *Client) read(ctx context.Context, conn *websocket.Conn, e events, parse func([]byte) (lntypes.Hash, bool)) {
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			e.failed <- c.http.Classify(ctx, fmt.Errorf("reading events: %w", err))
			return
		}
		hash, ok := parse(message)
		if !ok {
			continue
		}
		select {
		case e.hashes <- hash:
		default:
			select {
			case e.missed <- struct{}{}:
			default:
			}
		}
	}
}

// ping sees now and then whether the other side is still there, and closes the connection if not,
// by which the reader ends.
func (c *Client) ping(ctx context.Context, conn *websocket.Conn) {
	tick := time.NewTicker(c.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pong, cancel := context.WithTimeout(ctx, c.PingEvery)
		err := conn.Ping(pong)
		cancel()
		if err != nil {
			_ = conn.CloseNow() // it is lost already
			return
		}
	}
}
