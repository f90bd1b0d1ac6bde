// Package cln makes invoices at a Core Lightning node, over its unix socket (JSON-RPC 2.0) or over
// its REST plugin clnrest with a rune. Client speaks to the node; Node is the Caddy module
// l402.wallets.cln.
//
// Over clnrest, a rune for three commands is enough for everything that the gate does:
//
//	lightning-cli createrune restrictions='[["method=invoice","method=listinvoices","method=waitanyinvoice"]]'
//
// It must not be limited in rate (the restrictions rate and per), since each call counts. Paying
// takes the commands xpay (or pay, before v24.11) and listpays and is there for client commands
// only. The facts about commands and error codes are from Core Lightning's command reference.
package cln

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// DefaultTimeout is how long one call may take where Options say nothing else.
const DefaultTimeout = 10 * time.Second

// maxAnswer bounds one answer of the node, in bytes.
const maxAnswer = 1 << 20

// Options are the settings of a Client. They can change while it is in use.
type Options struct {
	// Network is the chain that invoices must be for; empty is mainnet.
	Network wallets.Network
	// Timeout bounds each call besides the caller's context; zero is DefaultTimeout. It does
	// not bound payments, and adds to the time for which a call is meant to wait.
	Timeout time.Duration
	// Private has unpublished channels always considered for route hints, which a node
	// that also has published ones does not do by itself.
	Private bool
}

// transport carries one call to the node and gives its result. Errors wrap a sentinel of package
// wallets, an *RPCError or the context's error.
type transport interface {
	call(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error)
	// permissions lists what the credential allows.
	permissions() ([]string, error)
	Close() error
}

// Client is a Core Lightning node. It implements wallets.Wallet, Subscriber, Payer, Pinger and
// Describer and is safe for concurrent use. It connects when it is first used.
type Client struct {
	transport transport
	peer      string
	logger    func() *zap.Logger
	opts      atomic.Pointer[Options]
	// warned is when the node's warning about an invoice was last logged, in Unix seconds.
	warned atomic.Int64

	now    func() time.Time
	jitter func() float64
	label  func() string
	// waitFor is for how long one call of a subscription waits at the node.
	waitFor time.Duration
	// firstRetry and lastRetry bound the pause before a lost subscription is tried again.
	firstRetry, lastRetry time.Duration
}

// newClient makes a Client. peer names the node in errors and must hold no secret.
func newClient(t transport, peer string, logger func() *zap.Logger, opts Options) *Client {
	c := &Client{
		transport: t,
		peer:      peer,
		logger:    logger,
		now:       time.Now,
		jitter:    rand.Float64,
		label:     randomLabel,
		// Many proxies cut a connection that is silent for a minute.
		waitFor:    45 * time.Second,
		firstRetry: 250 * time.Millisecond,
		lastRetry:  3 * time.Second,
	}
	c.Configure(opts)
	return c
}

// Configure changes the settings for calls that start from now on.
func (c *Client) Configure(opts Options) {
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.Network == "" {
		opts.Network = wallets.Mainnet
	}
	c.opts.Store(&opts)
}

// Network is the chain that invoices must be for.
func (c *Client) Network() wallets.Network { return c.opts.Load().Network }

// Reconfigure takes network, time-out and private from a Node; anything else it ignores. The
// other settings are part of the identity.
func (c *Client) Reconfigure(g wallets.Guest) {
	if n, ok := g.(*Node); ok {
		c.Configure(n.Options())
	}
}

// Close ends all calls and subscriptions. Later calls fail with net.ErrClosed.
func (c *Client) Close() error { return c.transport.Close() }

// call makes a call and reads its result into out. step says for errors what is done; wait is for
// how long the node is asked to wait, which the deadline takes into account.
func (c *Client) call(ctx context.Context, step, method string, params, out any, wait time.Duration) error {
	timeout := c.opts.Load().Timeout + wait
	callCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := c.do(callCtx, method, params, out)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case callCtx.Err() != nil && !errors.Is(err, net.ErrClosed):
		err = fmt.Errorf("%w: no answer within %s", wallets.ErrUnavailable, timeout)
	}
	return c.fail(step, err)
}

// do makes a call without a deadline of its own.
func (c *Client) do(ctx context.Context, method string, params, out any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	encoded, err := encode(params)
	if err != nil {
		return err
	}
	result, err := c.transport.call(ctx, method, encoded)
	if err != nil {
		return classify(err)
	}
	if err := json.Unmarshal(result, out); err != nil {
		return fmt.Errorf("%w: reading the result of %s: %s",
			wallets.ErrBadAnswer, method, httpjson.Clean(err.Error()))
	}
	return nil
}

// fail says at which step and with which node an error came up.
func (c *Client) fail(step string, err error) error {
	return fmt.Errorf("%s at CLN %s: %w", step, c.peer, err)
}

// Ping asks for an invoice that cannot be there, with listinvoices, which is one of the commands
// that the gate needs anyway.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.list(ctx, "pinging", lntypes.Hash{})
	return err
}

// Permissions lists what the rune allows, in Core Lightning's terms: one entry a restriction, its
// alternatives joined with " or ". All restrictions must hold. It reads them off the rune and asks
// nobody, so that it takes no right; whether the node accepts the rune, a call tells. The unix
// socket knows no restrictions. Errors wrap ErrUnavailable while the rune's file cannot be read.
func (c *Client) Permissions(ctx context.Context) ([]string, error) {
	const step = "reading permissions"
	if err := ctx.Err(); err != nil {
		return nil, c.fail(step, err)
	}
	words, err := c.transport.permissions()
	if err != nil {
		return nil, c.fail(step, err)
	}
	return words, nil
}

// encode writes parameters as JSON without any \u escape where it can, since Core Lightning
// refuses those in descriptions and labels.
func encode(params any) (json.RawMessage, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(params); err != nil {
		return nil, fmt.Errorf("encoding parameters: %w", err)
	}
	// The encoder escapes these two whatever it is told; a backslash before them would be
	// one of a pair.
	text := strings.TrimSuffix(b.String(), "\n")
	if !strings.Contains(text, `\u202`) {
		return json.RawMessage(text), nil
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], `\u2028`):
			out.WriteString("\u2028")
			i += 5
		case strings.HasPrefix(text[i:], `\u2029`):
			out.WriteString("\u2029")
			i += 5
		case text[i] == '\\':
			out.WriteString(text[i : i+2])
			i++
		default:
			out.WriteByte(text[i])
		}
	}
	return json.RawMessage(out.String()), nil
}

// Interface guards.
var (
	_ wallets.Wallet       = (*Client)(nil)
	_ wallets.Subscriber   = (*Client)(nil)
	_ wallets.Payer        = (*Client)(nil)
	_ wallets.Pinger       = (*Client)(nil)
	_ wallets.Describer    = (*Client)(nil)
	_ wallets.Reconfigurer = (*Client)(nil)
)
