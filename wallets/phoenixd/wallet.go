// Package phoenixd makes invoices at a phoenixd over its HTTP API.
//
// phoenixd has two passwords in its phoenix.conf. The one with limited access
// (http-password-limited-access) makes and shows invoices and cannot spend, and is enough for
// everything that the gate does. Paying takes the other one and is there for client commands only.
//
// The facts about the API are from phoenixd's API reference, as of version 0.8. What it takes off
// a payment for liquidity is not the payer's matter, so the amount paid is what the invoice asked
// for, or more where more came.
package phoenixd

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

// Wallet is a phoenixd. It implements wallets.Wallet, Subscriber, Payer, Pinger, Describer and
// Reconfigurer and is safe for concurrent use. It connects when it is first used.
type Wallet struct {
	peer *restpeer.Client
}

func newWallet(set restpeer.Settings, env wallets.Env) (*Wallet, error) {
	peer, err := restpeer.New(restpeer.Config{
		Name: "phoenixd",
		Authorize: func(h http.Header, password string) {
			r := http.Request{Header: h}
			r.SetBasicAuth("", password)
		},
		Logger: env.Logger,
	}, set)
	if err != nil {
		return nil, err
	}
	return &Wallet{peer: peer}, nil
}

// Reconfigure takes network and time-out from a Daemon; anything else it ignores. The other
// settings are part of the identity.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	if p, ok := g.(*Daemon); ok && p.set.Ready() {
		w.peer.Reconfigure(p.set)
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
	if answer.Status != http.StatusOK {
		return refusal(answer)
	}
	return answer.Decode(out)
}

// refusal reads the error off an answer. phoenixd tells the reason in plain text.
func refusal(answer *httpjson.Answer) error {
	err := answer.Refusal("")
	switch answer.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: set password to http-password-limited-access of phoenix.conf", err)
	case http.StatusNotFound:
		if notFound(answer) {
			return fmt.Errorf("%w: status 404", wallets.ErrNotFound)
		}
		return fmt.Errorf("%w: is this the address of phoenixd?", err)
	}
	return err
}

// notFound tells the answer that there is no such payment from all others with status 404, which
// say that there is no such call.
func notFound(answer *httpjson.Answer) bool {
	return strings.EqualFold(strings.TrimSpace(string(answer.Body)), "not found")
}

// nodeInfo is the answer to getinfo.
type nodeInfo struct {
	NodeID string `json:"nodeId"`
	Chain  string `json:"chain"`
}

// Ping asks for phoenixd's information about itself, which the limited password may see, and
// checks that it is on the chain that the configuration names.
func (w *Wallet) Ping(ctx context.Context) error {
	const step = "pinging"
	var info nodeInfo
	if err := w.call(ctx, httpjson.Request{Path: "getinfo"}, &info); err != nil {
		return w.peer.Fail(step, err)
	}
	if info.NodeID == "" {
		return w.peer.Fail(step, fmt.Errorf("%w: it does not tell its node id: is this phoenixd?", wallets.ErrBadAnswer))
	}
	if want := w.peer.Network(); !onChain(info.Chain, want) {
		return w.peer.Fail(step, fmt.Errorf("%w: it is on %s and not on %s: set network",
			wallets.ErrBadAnswer, w.peer.Clean(info.Chain), want))
	}
	return nil
}

// onChain compares phoenixd's word for its chain; versions before 0.2 did not tell it.
func onChain(chain string, want wallets.Network) bool {
	chain = strings.ToLower(chain)
	return chain == "" || chain == string(want) || want == wallets.Testnet && strings.HasPrefix(chain, "testnet")
}

// Permissions tells which of the two passwords it is. It finds out by a call that only the one with
// full access may make, without the parameters that would make it do something.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	const step = "asking for permissions"
	// A refusal here proves nothing unless the password is good for something.
	if err := w.Ping(ctx); err != nil {
		return nil, err
	}
	answer, err := w.peer.Do(ctx, httpjson.Request{Method: http.MethodPost, Path: "payinvoice", Form: url.Values{}})
	if err != nil {
		return nil, w.peer.Fail(step, err)
	}
	switch answer.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return []string{"limited access: make and look up invoices"}, nil
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		return []string{"full access: spend everything (http-password-limited-access is enough)"}, nil
	}
	return nil, w.peer.Fail(step, refusal(answer))
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
