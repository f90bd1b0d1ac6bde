package lnd

import (
	"context"
	"fmt"
	"io"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Wallet is an LND node that is reached directly, over TLS and perhaps a proxy. Besides what
// Client can do it describes its macaroon, takes new settings and closes its connection.
type Wallet struct {
	*Client
	conn *conn
}

// Permissions lists the operations and caveats of the macaroon, in LND's terms. It reads them off
// the macaroon and asks nobody. Errors wrap ErrUnavailable while the file cannot be read.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	const step = "reading permissions"
	if err := ctx.Err(); err != nil {
		return nil, w.fail(step, err)
	}
	m, err := w.conn.mac.get(true)
	if err != nil {
		return nil, w.fail(step, err)
	}
	ops, err := DescribeMacaroon(m)
	if err != nil {
		return nil, w.fail(step, fmt.Errorf("%w: %w", wallets.ErrUnauthorized, err))
	}
	return ops, nil
}

// Reconfigure takes network, time-out and private from a Node; anything else it ignores. The
// other settings are part of the identity.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	if n, ok := g.(*Node); ok {
		w.Configure(n.options())
	}
}

// Close ends the connection, with it all calls and subscriptions. Later calls fail with
// net.ErrClosed.
func (w *Wallet) Close() error { return w.conn.Close() }

// Interface guards.
var (
	_ wallets.Wallet       = (*Wallet)(nil)
	_ wallets.Describer    = (*Wallet)(nil)
	_ wallets.Reconfigurer = (*Wallet)(nil)
	_ io.Closer            = (*Wallet)(nil)
)
