// Package lnbits makes invoices at an LNbits server over its HTTP API.
//
// The invoice key of an LNbits wallet is enough for everything that the gate does. Paying takes the
// admin key and is there for client commands only.
//
// The facts about the API are from LNbits' own API documentation, for versions 1.0 to 1.5. Three of
// them shape this package:
//
//   - A look-up by payment hash needs no key. It tells more with one, and with a wrong one as much
//     as with none; an answer without details is therefore taken for a refused key.
//   - The same look-up shows the preimage of an invoice before it was paid, where the funding source
//     has told it to LNbits. See Account.
//   - Payments between wallets of one server never leave it. They may have no preimage, or one of
//     zeros; the invoice is settled all the same, and its status has no preimage then.
package lnbits

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// Wallet is a wallet at an LNbits server. It implements wallets.Wallet, Subscriber, Payer, Pinger,
// Describer and Reconfigurer and is safe for concurrent use. It connects when it is first used.
type Wallet struct {
	peer *restpeer.Client
	// private is Account.PrivateAPI.
	private atomic.Bool

	mu sync.Mutex
	// closed holds until when LNbits is known to show no preimages, for each of the two kinds
	// of invoices: those whose preimage it knows, and the others.
	closed map[bool]time.Time
}

func newWallet(set restpeer.Settings, env wallets.Env) (*Wallet, error) {
	peer, err := restpeer.New(restpeer.Config{
		Name:      "LNbits",
		Authorize: func(h http.Header, key string) { h.Set("X-Api-Key", key) },
		Refused:   refused,
		Logger:    env.Logger,
	}, set)
	if err != nil {
		return nil, err
	}
	return &Wallet{peer: peer, closed: make(map[bool]time.Time)}, nil
}

// Reconfigure takes network, time-out and private_api from an Account; anything else it ignores.
// The other settings are part of the identity.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	if a, ok := g.(*Account); ok && a.set.Ready() {
		w.peer.Reconfigure(a.set)
		w.private.Store(a.PrivateAPI)
	}
}

// Close ends all calls and subscriptions. Later calls fail with net.ErrClosed.
func (w *Wallet) Close() error { return w.peer.Close() }

// call makes a call that must succeed and reads its answer into out.
func (w *Wallet) call(ctx context.Context, r httpjson.Request, out any) error {
	answer, err := w.peer.Do(ctx, r)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK && answer.Status != http.StatusCreated {
		return refusal(answer)
	}
	return answer.Decode(out)
}

// walletInfo is the answer about the wallet of the key.
type walletInfo struct {
	Name *string `json:"name"`
	// ID is told to the admin key only.
	ID string `json:"id"`
}

func (w *Wallet) info(ctx context.Context) (*walletInfo, error) {
	var info walletInfo
	if err := w.call(ctx, httpjson.Request{Path: "api/v1/wallet"}, &info); err != nil {
		return nil, err
	}
	if info.Name == nil {
		return nil, fmt.Errorf("%w: the wallet has no name: is this LNbits?", wallets.ErrBadAnswer)
	}
	return &info, nil
}

// Ping asks for the name of the key's wallet, which the invoice key may see.
func (w *Wallet) Ping(ctx context.Context) error {
	if _, err := w.info(ctx); err != nil {
		return w.peer.Fail("pinging", err)
	}
	return nil
}

// Permissions tells which of the wallet's two keys it is.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	info, err := w.info(ctx)
	if err != nil {
		return nil, w.peer.Fail("asking for permissions", err)
	}
	if info.ID != "" {
		return []string{"admin key: spend everything (the invoice key is enough)"}, nil
	}
	return []string{"invoice key: make and look up invoices"}, nil
}

// Interface guards.
var (
	_ wallets.Wallet       = (*Wallet)(nil)
	_ wallets.Subscriber   = (*Wallet)(nil)
	_ wallets.Payer        = (*Wallet)(nil)
	_ wallets.Pinger       = (*Wallet)(nil)
	_ wallets.Describer    = (*Wallet)(nil)
	_ wallets.Reconfigurer = (*Wallet)(nil)
)
