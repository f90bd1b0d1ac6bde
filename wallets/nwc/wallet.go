// Package nwc makes invoices at a wallet that is reached with Nostr Wallet Connect (NIP-47): the
// requests and answers are encrypted events that relays carry, so the wallet needs no open port.
//
// The relays are not trusted. They can drop messages, and that is all: what they send is taken only
// if the wallet's key signed it, it is meant for this client and answers a request that waits. The
// wallet itself is checked as every other: invoices by wallets.CheckInvoice, preimages by their
// hash.
//
// A connection that may make and look up invoices is enough for the gate; list_transactions and the
// notification payment_received make it notice payments sooner and after a pause.
package nwc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// DefaultTimeout is how long one call may take where the configuration says nothing else.
const DefaultTimeout = 10 * time.Second

// requestSlack is for how long after a call's end the wallet may still begin with it. NIP-47 lets
// requests expire by the wallet's clock, which may be ahead.
const requestSlack = time.Minute

// options are the settings that a reload may change.
type options struct {
	network wallets.Network
	timeout time.Duration
}

// Wallet is a wallet service behind Nostr relays. It is safe for concurrent use. It connects at its
// first call and holds one socket for each relay until it is closed.
type Wallet struct {
	s      *transport
	peer   string
	logger func() *zap.Logger
	opts   atomic.Pointer[options]
	open   openInvoices
	now    func() time.Time
	poll   pollTiming
}

// newWallet makes a Wallet that is not connected.
func newWallet(c *Connection, logger func() *zap.Logger, o options) (*Wallet, error) {
	k, err := newKeys(c.secret, c.Wallet)
	if err != nil {
		return nil, err
	}
	hosts := make([]string, len(c.Relays))
	for i, relay := range c.Relays {
		hosts[i] = hostOf(relay)
	}
	w := &Wallet{
		s:      newTransport(k, c.Relays, logger),
		peer:   strings.Join(hosts, ", "),
		logger: logger,
		now:    time.Now,
		poll:   defaultPolling,
	}
	w.configure(o)
	return w, nil
}

func (w *Wallet) configure(o options) {
	if o.timeout <= 0 {
		o.timeout = DefaultTimeout
	}
	w.opts.Store(&o)
}

// Reconfigure takes network and time-out from a Guest; the other settings are part of the identity.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	if n, ok := g.(*Guest); ok {
		w.configure(n.options())
	}
}

// Close ends connections, calls and subscriptions. Later calls fail with net.ErrClosed.
func (w *Wallet) Close() error {
	w.s.close()
	return nil
}

// call makes a request under the deadline of the settings and reads its result, which may be nil
// where only success counts. It gives the wallet's clock.
func (w *Wallet) call(ctx context.Context, method string, params, result any) (time.Time, error) {
	timeout := w.opts.Load().timeout
	callCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a, _, err := w.s.request(callCtx, method, params, timeout+requestSlack)
	if err != nil && ctx.Err() == nil && callCtx.Err() != nil {
		w.s.suspect()
		return time.Time{}, fmt.Errorf("%w: no answer within %s", wallets.ErrUnavailable, timeout)
	}
	if err != nil {
		return time.Time{}, err
	}
	return a.at, a.read(method, result)
}

// read reads the result, or gives the wallet's error.
func (a *answer) read(method string, result any) error {
	if a.err != nil {
		return a.err
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(a.result, result); err != nil {
		return fmt.Errorf("%w: result of %s: %s", wallets.ErrBadAnswer, method, clean(err.Error()))
	}
	return nil
}

// fail says at which step and over which relays an error came up.
func (w *Wallet) fail(step string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s over Nostr (%s): %w", step, w.peer, err)
}

// Ping has the wallet look up an invoice that cannot be there: that there is none is the answer of a
// wallet that works. One that may not look up is asked for get_info, and if it refuses that too, it
// is there all the same. Errors wrap ErrUnauthorized when the wallet does not know this client.
func (w *Wallet) Ping(ctx context.Context) error {
	const step = "pinging"
	if err := ctx.Err(); err != nil {
		return w.fail(step, err)
	}
	_, err := w.call(ctx, methodLookup, lookupParams{PaymentHash: lntypes.Hash{}.String()}, nil)
	switch {
	case err == nil, errors.Is(err, wallets.ErrNotFound):
		return nil
	case hasCode(err, codeNotImplemented, codeRestricted):
		// It is there and answers, and that it makes invoices cannot be asked.
		_, err = w.call(ctx, methodGetInfo, struct{}{}, nil)
		if hasCode(err, codeNotImplemented, codeRestricted) {
			return nil
		}
	}
	return w.fail(step, err)
}

// Interface guards.
var (
	_ wallets.Wallet       = (*Wallet)(nil)
	_ wallets.Pinger       = (*Wallet)(nil)
	_ wallets.Reconfigurer = (*Wallet)(nil)
	_ io.Closer            = (*Wallet)(nil)
)
