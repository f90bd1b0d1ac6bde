// Package eclair makes invoices at an Eclair node over its HTTP API.
//
// Every call is a POST with a form, and the answers are JSON; errors are an object with the field
// error. What is wrong inside the node, Eclair writes to its log and does not tell.
//
// The facts about the API are from Eclair's API reference, as of version 0.14.
package eclair

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// Wallet is an Eclair node. It implements wallets.Wallet, Subscriber, Payer, Pinger, Describer and
// Reconfigurer and is safe for concurrent use. It connects when it is first used.
type Wallet struct {
	peer *restpeer.Client
	// channels are the ids of unannounced channels, joined with commas.
	channels atomic.Pointer[string]
	// longest is the longest life of an invoice that was asked for, in nanoseconds.
	longest atomic.Int64
}

func newWallet(set restpeer.Settings, env wallets.Env) (*Wallet, error) {
	peer, err := restpeer.New(restpeer.Config{
		Name: "Eclair",
		Authorize: func(h http.Header, password string) {
			r := http.Request{Header: h}
			r.SetBasicAuth("", password)
		},
		Logger: env.Logger,
	}, set)
	if err != nil {
		return nil, err
	}
	w := &Wallet{peer: peer}
	w.setChannels(nil)
	return w, nil
}

func (w *Wallet) setChannels(ids []string) {
	joined := strings.Join(ids, ",")
	w.channels.Store(&joined)
}

// lives remembers how long the invoice lives.
func (w *Wallet) lives(expiry time.Duration) {
	for {
		longest := w.longest.Load()
		if int64(expiry) <= longest || w.longest.CompareAndSwap(longest, int64(expiry)) {
			return
		}
	}
}

// Reconfigure takes network, time-out and private channels from a Node; anything else it ignores.
// The other settings are part of the identity.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	if n, ok := g.(*Node); ok && n.set.Ready() {
		w.peer.Reconfigure(n.set)
		w.setChannels(n.PrivateChannels)
	}
}

// Close ends all calls and subscriptions. Later calls fail with net.ErrClosed.
func (w *Wallet) Close() error { return w.peer.Close() }

// call makes a call that must succeed and reads its answer into out.
func (w *Wallet) call(ctx context.Context, method string, form url.Values, out any) error {
	return w.long(ctx, method, form, out, 0)
}

// long is call with another time-out than usual; less than zero leaves it to the context.
func (w *Wallet) long(ctx context.Context, method string, form url.Values, out any, timeout time.Duration) error {
	answer, err := w.peer.Do(ctx, httpjson.Request{
		Method: http.MethodPost, Path: method, Form: form, Timeout: timeout,
	})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return refusal(answer)
	}
	return answer.Decode(out)
}

// refusal reads the error off an answer.
func refusal(answer *httpjson.Answer) error {
	var body struct {
		Error string `json:"error"`
	}
	// Without an error of Eclair's own, the body is quoted.
	_ = json.Unmarshal(answer.Body, &body)
	err := answer.Refusal(body.Error)
	switch answer.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: set password to eclair.api.password of eclair.conf", err)
	case http.StatusNotFound:
		// For a call that it does not know, and for a fault of its database, Eclair has
		// another text.
		if body.Error == "Not found" {
			return fmt.Errorf("%w: status 404", wallets.ErrNotFound)
		}
		return fmt.Errorf("%w: is this the address of Eclair's API?", err)
	}
	return err
}

// nodeInfo is the answer to getinfo.
type nodeInfo struct {
	NodeID  string `json:"nodeId"`
	Network string `json:"network"`
}

// Ping asks for the node's information about itself and checks that it is on the chain that the
// configuration names.
func (w *Wallet) Ping(ctx context.Context) error {
	const step = "pinging"
	var info nodeInfo
	if err := w.call(ctx, "getinfo", url.Values{}, &info); err != nil {
		return w.peer.Fail(step, err)
	}
	if info.NodeID == "" {
		return w.peer.Fail(step, fmt.Errorf("%w: it does not tell its node id: is this Eclair?", wallets.ErrBadAnswer))
	}
	if want := w.peer.Network(); !onChain(info.Network, want) {
		return w.peer.Fail(step, fmt.Errorf("%w: it is on %s and not on %s: set network",
			wallets.ErrBadAnswer, w.peer.Clean(info.Network), want))
	}
	return nil
}

// onChain compares Eclair's word for its chain.
func onChain(chain string, want wallets.Network) bool {
	return chain == "" || chain == string(want) || want == wallets.Testnet && strings.HasPrefix(chain, "testnet")
}

// Permissions tells what the password allows, which is everything where Eclair accepts it.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	if err := w.Ping(ctx); err != nil {
		return nil, err
	}
	return []string{"everything: Eclair has one password only; a reverse proxy can narrow the calls down"}, nil
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
