package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

const (
	// headerCashu asks for ecash, carries it, and carries the change (NUT-24).
	headerCashu = "X-Cashu"
	// headerToken is the L402 token that ecash bought, as it stands in Authorization.
	headerToken = "X-L402-Token"
)

// ErrNoEcash says that a purse cannot pay what a server asks for: another mint or unit, a lock, or
// too little in it.
var ErrNoEcash = errors.New("not payable with this ecash")

// Cash is a request for ecash that can be paid.
type Cash struct {
	// Price is what the server asks for, in millisatoshi, and Fee what is sent on top for the
	// mint's fee.
	Price, Fee lnwire.MilliSatoshi
	// Network is the chain of the ecash's money.
	Network wallets.Network
	// Units is what is sent, in the unit of the ecash.
	Units uint64
}

// Ecash is a purse that pays servers directly (NUT-24). What it gives away it remembers until it is
// known that the server took it.
type Ecash interface {
	// Quote says what a request costs. Its error wraps ErrNoEcash where it cannot be paid.
	Quote(ctx context.Context, r *token.Request) (*Cash, error)
	// Send takes a token out of the purse, which the id names.
	Send(ctx context.Context, c *Cash) (id, text string, err error)
	// Taken says that the server has the token.
	Taken(ctx context.Context, id string) error
	// TakeBack takes a token back, or tells that the server has taken it. After another error
	// the purse tries again when it is next used.
	TakeBack(ctx context.Context, id string) (taken bool, err error)
	// Receive takes change in and tells what it is worth, in millisatoshi.
	Receive(ctx context.Context, text string) (lnwire.MilliSatoshi, error)
}

// asksForEcash tells whether an answer asks for ecash.
func asksForEcash(resp *http.Response) bool {
	return resp.StatusCode == http.StatusPaymentRequired &&
		slices.ContainsFunc(resp.Header.Values(headerCashu), func(v string) bool {
			return strings.HasPrefix(strings.ToLower(v), "creq")
		})
}

// payable finds what an answer asks for that the purse can pay, nil for nothing.
func (x *exchange) payable(ctx context.Context, h http.Header) (*Cash, error) {
	if x.client.Ecash == nil {
		return nil, nil
	}
	for _, text := range h.Values(headerCashu) {
		request, err := token.ParseRequest(text)
		if err != nil {
			continue // such as change, or of a later version
		}
		quoting, cancel := context.WithTimeoutCause(ctx, x.client.timeout(), ErrTimeout)
		cash, err := x.client.Ecash.Quote(quoting, request)
		cancel()
		switch {
		case err == nil:
			return cash, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		x.client.Trace.warn("paying with ecash is not possible: %v", err)
	}
	return nil, nil
}

// cash pays with ecash where the answer asks for some that the purse has. It says whether that was
// done: if not, nothing is spent, and there may be other ways to pay.
func (x *exchange) cash(ctx context.Context, h http.Header) (resp *http.Response, done bool, err error) {
	cash, err := x.payable(ctx, h)
	if cash == nil || err != nil {
		return nil, false, err
	}
	offer := &Offer{Decoded: &wallets.Decoded{Amount: cash.Price, Network: cash.Network}, Opens: strings.Join(opensOf(h, x.req.URL.EscapedPath()), ", ")}
	x.result.Offer = offer
	switch {
	case cash.Price > x.client.MaxPrice:
		return nil, false, &PriceError{Price: cash.Price, Max: x.client.MaxPrice, Network: cash.Network}
	case cash.Fee > x.client.MaxFee:
		x.client.Trace.warn("paying with ecash is not possible: the mint's fee is %d msat", uint64(cash.Fee))
		return nil, false, nil
	}
	id, text, err := x.client.Ecash.Send(ctx, cash)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w: %w", ErrPayment, wallets.ErrPaymentFailed, err)
	}
	// Budgets know payments by hash, and ecash has none.
	name := lntypes.Hash(sha256.Sum256([]byte(id)))
	if x.client.Budget != nil {
		err := x.client.Budget.Reserve(ctx, budget.Spending{
			PaymentHash: name, Network: cash.Network, Host: x.req.host(), Price: cash.Price, MaxFee: cash.Fee,
		})
		if err != nil {
			_, backErr := x.client.Ecash.TakeBack(ctx, id)
			return nil, false, errors.Join(err, backErr)
		}
	}
	if trace := x.client.Trace.Offer; trace != nil {
		trace(offer)
	}
	resp, err = x.hand(ctx, text)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w; the ecash is taken back when the purse is next used, unless the server has it", ErrPayment, err)
	}
	if refused(resp) {
		return x.takenBack(ctx, resp, id, name)
	}
	x.client.settleCash(ctx, id, name, cash)
	x.takeChange(ctx, resp)
	x.keepBought(ctx, resp, cash)
	return resp, true, nil
}

// refused tells whether an answer says that ecash was not taken. One that carries a token has taken
// it, whatever the upstream says.
func refused(resp *http.Response) bool {
	return resp.StatusCode >= http.StatusBadRequest && resp.Header.Get(headerToken) == ""
}

// hand sends the request with ecash. Where no answer comes, or the server is not ready, it sends the
// same again: whoever has taken it gives the same answer.
func (x *exchange) hand(ctx context.Context, text string) (*http.Response, error) {
	for again := false; ; again = true {
		request, err := x.req.build("", "")
		if err != nil {
			return nil, err
		}
		request.Header.Set(headerCashu, text)
		if trace := x.client.Trace.Request; trace != nil {
			trace(request)
		}
		resp, err := x.client.send(ctx, request)
		unready := err == nil && resp.StatusCode == http.StatusServiceUnavailable && refused(resp)
		if again || ctx.Err() != nil || err == nil && !unready {
			if trace := x.client.Trace.Response; trace != nil && err == nil {
				trace(resp)
			}
			return resp, err
		}
		wait := settlePause
		if unready {
			wait = retryAfter(resp.Header)
			discard(resp)
		}
		if err := x.client.pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// takenBack takes ecash back that a server refused.
func (x *exchange) takenBack(ctx context.Context, resp *http.Response, id string, name lntypes.Hash) (*http.Response, bool, error) {
	reason := reasonOf(resp)
	status := resp.StatusCode
	discard(resp)
	taken, err := x.client.Ecash.TakeBack(ctx, id)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("%w: %s answers %d to ecash%s, and it cannot be taken back yet: %w",
			ErrPayment, x.req.URL.Redacted(), status, reason, err)
	case taken:
		return nil, false, fmt.Errorf("%w: %s answers %d to ecash%s", ErrRefused, x.req.URL.Redacted(), status, reason)
	}
	if x.client.Budget != nil {
		if err := x.client.Budget.Release(context.WithoutCancel(ctx), name); err != nil {
			return nil, false, err
		}
	}
	x.client.Trace.warn("%s answers %d to ecash%s; it is back in the purse", x.req.URL.Redacted(), status, reason)
	return nil, false, nil
}

// settleCash writes down that a server has ecash. It is spent, whatever becomes of that.
func (c *Client) settleCash(ctx context.Context, id string, name lntypes.Hash, cash *Cash) {
	if err := c.Ecash.Taken(context.WithoutCancel(ctx), id); err != nil {
		c.Trace.warn("the purse does not know yet that its ecash was taken: %v", err)
	}
	if c.Budget == nil {
		return
	}
	if err := c.Budget.Settle(context.WithoutCancel(ctx), name, cash.Price+cash.Fee); err != nil {
		c.Trace.warn("the payment stays in the budget with its greatest fee: %v", err)
	}
}

// takeChange takes in what was paid too much.
func (x *exchange) takeChange(ctx context.Context, resp *http.Response) {
	for _, text := range resp.Header.Values(headerCashu) {
		if !strings.HasPrefix(strings.ToLower(text), "cashu") {
			continue
		}
		if _, err := x.client.Ecash.Receive(ctx, text); err != nil {
			x.client.Trace.warn("change could not be taken in; keep it to yourself and try `purse receive` later: %v: %s", err, text)
		}
		resp.Header.Del(headerCashu) // it is spent now, and answers may be printed
	}
}

// readBought reads the token that an answer to ecash carries.
func readBought(line string) (*l402.Credential, *l402.Description, lntypes.Hash, error) {
	reader := l402.NewReader(http.Header{"Authorization": {line}}, l402.FormL402)
	credential := new(l402.Credential)
	if ok, err := reader.Next(credential); !ok || err != nil || !credential.HasPreimage {
		return nil, nil, lntypes.Hash{}, errors.Join(errors.New("it is no token with its preimage"), err)
	}
	description, err := l402.Describe(credential.Macaroon())
	if err != nil {
		return nil, nil, lntypes.Hash{}, err
	}
	hash, err := lntypes.MakeHashFromStr(description.PaymentHash)
	if err != nil || !credential.Preimage.Matches(hash) {
		return nil, nil, hash, errors.New("its preimage is not that of its payment hash")
	}
	return credential, description, hash, nil
}

// keepBought keeps the token that the answer to ecash carries.
func (x *exchange) keepBought(ctx context.Context, resp *http.Response, cash *Cash) {
	purchase := &Purchase{Offer: *x.result.Offer, Fee: &cash.Fee}
	defer func() {
		x.result.Purchase = purchase
		if trace := x.client.Trace.Paid; trace != nil {
			trace(purchase)
		}
	}()
	line := resp.Header.Get(headerToken)
	if line == "" {
		return
	}
	credential, description, hash, err := readBought(line)
	if err != nil {
		x.client.Trace.warn("the token that ecash bought cannot be kept: %v", err)
		return
	}
	purchase.Macaroon, purchase.Preimage = slices.Clone(credential.Macaroon()), credential.Preimage
	purchase.Decoded = &wallets.Decoded{Amount: cash.Price, Network: cash.Network, PaymentHash: hash}
	purchase.Opens, purchase.ValidUntil = opens(description), description.ValidUntil
	bought := x.token(&purchase.Offer)
	bought.Preimage = credential.Preimage.String()
	x.bought = &bought
	_, x.result.Credential, _ = strings.Cut(l402.FormatAuthorization(bought.Macaroon, credential.Preimage), " ")
	x.result.CredentialHost = x.req.URL.Hostname()
	if x.client.Tokens == nil {
		return
	}
	err = x.client.Tokens.Update(context.WithoutCancel(ctx), func(all []tokenfile.Token) []tokenfile.Token {
		return append(all, bought)
	})
	if err != nil {
		x.client.Trace.warn("the token that was just paid for could not be kept: %v", err)
		return
	}
	x.result.Saved = true
}
