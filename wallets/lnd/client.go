// Package lnd makes invoices at an LND node over gRPC. Client speaks to LND over any connection
// that it is given, so that a direct connection (Wallet, the Caddy module l402.wallets.lnd) and
// Lightning Node Connect share it.
//
// A macaroon with the rights of LND's own invoice.macaroon is enough for everything that the gate
// does. Paying takes more and is there for client commands only.
package lnd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
)

// DefaultTimeout is how long one call may take where Options say nothing else.
const DefaultTimeout = 10 * time.Second

// Options are the settings of a Client. They can change while it is in use.
type Options struct {
	// Network is the chain that invoices must be for; empty is mainnet.
	Network wallets.Network
	// Timeout bounds each call besides the caller's context; zero is DefaultTimeout. It does
	// not bound subscriptions and payments.
	Timeout time.Duration
	// Private puts hints to private channels into invoices, which a node without public
	// channels needs to be found.
	Private bool
}

// Client is an LND node at the other end of a gRPC connection. It implements wallets.Wallet,
// Subscriber, HoldInvoicer, Payer and Pinger and is safe for concurrent use.
//
// It adds no credential: the connection does. It does not own the connection.
type Client struct {
	conn   grpc.ClientConnInterface
	peer   string
	logger func() *zap.Logger
	opts   atomic.Pointer[Options]

	now    func() time.Time
	jitter func() float64
	// gapWait is how long a subscription waits for a settlement that others overtook.
	gapWait time.Duration
	// firstRetry and lastRetry bound the pause before a lost subscription is tried again.
	firstRetry, lastRetry time.Duration
}

// NewClient makes a Client. peer names the node in errors and must hold no secret; logger gives
// the current logger each time it is asked. It does not use conn yet.
func NewClient(conn grpc.ClientConnInterface, peer string, logger func() *zap.Logger, opts Options) *Client {
	c := &Client{
		conn:       conn,
		peer:       peer,
		logger:     logger,
		now:        time.Now,
		jitter:     rand.Float64,
		gapWait:    time.Second,
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

// call makes a unary call under the deadline of the settings. step says for errors what is done.
func (c *Client) call(ctx context.Context, step, method string, in, out proto.Message) error {
	timeout := c.opts.Load().Timeout
	callCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := rpc.Call(callCtx, c.conn, method, in, out)
	if err == nil {
		return nil
	}
	if ended(ctx, err) == nil && ended(callCtx, err) != nil {
		return c.fail(step, fmt.Errorf("%w: no answer within %s", wallets.ErrUnavailable, timeout))
	}
	return c.fail(step, c.classify(ctx, err))
}

// fail says at which step and with which node an error came up.
func (c *Client) fail(step string, err error) error {
	return fmt.Errorf("%s at LND %s: %w", step, c.peer, err)
}

// Ping asks LND whether it takes calls, which needs no right, and then for an invoice that cannot
// be there, which needs the right to make invoices and no other. Errors wrap ErrUnavailable when
// LND is locked or starting and ErrUnauthorized when it refuses the macaroon.
func (c *Client) Ping(ctx context.Context) error {
	var state rpc.GetStateResponse
	if err := c.call(ctx, "asking for the state", rpc.MethodGetState, &rpc.GetStateRequest{}, &state); err != nil {
		return err
	}
	if err := ready(state.State); err != nil {
		return c.fail("asking for the state", err)
	}
	in := &rpc.LookupInvoiceMsg{PaymentHash: make([]byte, lntypes.HashSize)}
	err := c.call(ctx, "pinging", rpc.MethodLookupInvoiceV2, in, &rpc.Invoice{})
	if err != nil && !errors.Is(err, wallets.ErrNotFound) {
		return err
	}
	return nil
}

// ready says why LND takes no calls in this state, or nil.
func ready(state rpc.WalletState) error {
	switch state {
	case rpc.WalletState_RPC_ACTIVE, rpc.WalletState_SERVER_ACTIVE:
		return nil
	case rpc.WalletState_LOCKED:
		return fmt.Errorf("%w: its wallet is locked: unlock it with lncli unlock", wallets.ErrUnavailable)
	case rpc.WalletState_NON_EXISTING:
		return fmt.Errorf("%w: it has no wallet yet: create one with lncli create", wallets.ErrUnavailable)
	case rpc.WalletState_UNLOCKED, rpc.WalletState_WAITING_TO_START:
		return fmt.Errorf("%w: it is starting", wallets.ErrUnavailable)
	}
	return fmt.Errorf("%w: unknown state %d", wallets.ErrBadAnswer, state)
}

// Interface guards.
var (
	_ wallets.Wallet       = (*Client)(nil)
	_ wallets.Subscriber   = (*Client)(nil)
	_ wallets.HoldInvoicer = (*Client)(nil)
	_ wallets.Payer        = (*Client)(nil)
	_ wallets.Pinger       = (*Client)(nil)
)
