package lnc

import (
	"context"
	"fmt"
	"io"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd"
)

// Wallet is an LND node that is reached through a mailbox. What it can do is up to the session's
// macaroon; the rights of LND's invoice.macaroon are enough for everything that the gate does.
//
// The connection is made in the background from the first call on. Calls wait a few seconds for
// it and then fail with an error that wraps wallets.ErrUnavailable; a subscription waits on.
type Wallet struct {
	*lnd.Client
	session *session
	peer    string
}

// Permissions lists the operations and caveats of the macaroon that the session handed over, in
// LND's terms. Errors wrap ErrUnavailable while there is no connection.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	l, err := w.session.connected(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("reading permissions at LND %s: %w", w.peer, err)
	}
	ops, err := lnd.DescribeMacaroon(l.macaroon)
	if err != nil {
		return nil, fmt.Errorf("reading permissions at LND %s: %w: %w", w.peer, wallets.ErrUnauthorized, err)
	}
	return ops, nil
}

// Reconfigure takes network, time-out, private and mailbox_ca from a Session; anything else it
// ignores. The other settings are part of the identity.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	if s, ok := g.(*Session); ok {
		w.Configure(s.options())
		w.session.trust(s.set.ca)
	}
}

// Close ends the connection, with it all calls and subscriptions, so that another one can be made
// for the session. Later calls fail with net.ErrClosed.
func (w *Wallet) Close() error { return w.session.Close() }

// Interface guards.
var (
	_ wallets.Wallet       = (*Wallet)(nil)
	_ wallets.Subscriber   = (*Wallet)(nil)
	_ wallets.HoldInvoicer = (*Wallet)(nil)
	_ wallets.Payer        = (*Wallet)(nil)
	_ wallets.Pinger       = (*Wallet)(nil)
	_ wallets.Describer    = (*Wallet)(nil)
	_ wallets.Reconfigurer = (*Wallet)(nil)
	_ io.Closer            = (*Wallet)(nil)
)
