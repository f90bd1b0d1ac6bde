package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/l402"
)

// settlePause is how long a server gets to see a payment before it is asked a last time, unless it
// names a time itself; longestPause bounds what it can name.
const (
	settlePause  = time.Second
	longestPause = 15 * time.Second
)

// exchange is one call of Do.
type exchange struct {
	client *Client
	req    *Request
	result *Result

	// bought is the token that was paid for in this exchange, or found in the file after
	// waiting for another process that was buying it.
	bought *tokenfile.Token
	// sent is the payment hash of the token that went along with the last request.
	sent string
	// refused are the payment hashes of stored tokens that the server did not take.
	refused []string
}

func (x *exchange) begin(req *Request) error {
	x.req = &Request{Method: req.Method, URL: req.URL, Header: req.Header, Body: req.Body}
	if x.req.Method == "" {
		x.req.Method = http.MethodGet
	}
	if err := x.req.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	x.result.URL = req.URL
	return nil
}

// run follows redirects; at each place it asks and, where needed, pays.
func (x *exchange) run(ctx context.Context) error {
	for redirects := 0; ; redirects++ {
		resp, err := x.ask(ctx)
		if err != nil {
			return err
		}
		x.result.Response, x.result.URL = resp, x.req.URL
		if x.client.MaxRedirects <= 0 {
			return nil
		}
		next, err := x.req.redirected(resp)
		if next == nil && err == nil {
			return nil
		}
		discard(resp)
		x.result.Response = nil
		if err != nil {
			return err
		}
		if redirects == x.client.MaxRedirects {
			return fmt.Errorf("requesting %s: %w: more than %d redirects", x.req.URL.Redacted(), ErrRedirect, redirects)
		}
		x.req = next
	}
}

// ask gets the answer of one URL, in the order of what it costs: with the likeliest token, with the
// token that the challenge names, with a new one.
func (x *exchange) ask(ctx context.Context) (*http.Response, error) {
	token, err := x.likeliest()
	if err != nil {
		return nil, err
	}
	resp, err := x.try(ctx, token)
	if err != nil || !asksPayment(resp) {
		return resp, err
	}
	if x.bought != nil {
		return x.askAgain(ctx, resp, token)
	}
	if named, err := x.named(resp); err != nil || named != nil {
		discard(resp)
		if err != nil {
			return nil, err
		}
		if resp, err = x.try(ctx, named); err != nil || !asksPayment(resp) {
			return resp, err
		}
		if err := x.drop(ctx, resp, named); err != nil {
			discard(resp)
			return nil, err
		}
	}
	if err := x.drop(ctx, resp, token); err != nil {
		discard(resp)
		return nil, err
	}
	header := resp.Header
	discard(resp)
	if x.result.Purchase != nil {
		return nil, fmt.Errorf("%w: %s asks for a second payment, and one exchange pays once; "+
			"request that URL by itself", ErrRefused, x.req.URL.Redacted())
	}
	if resp, done, err := x.cash(ctx, header); done || err != nil {
		return resp, err
	}
	if err := x.buy(ctx, header); err != nil {
		return nil, err
	}
	if resp, err = x.try(ctx, x.bought); err != nil || !asksPayment(resp) {
		return resp, err
	}
	return x.askAgain(ctx, resp, x.bought)
}

// askAgain asks a last time with a token that was paid for a moment ago, for servers that see the
// payment later than the payer.
func (x *exchange) askAgain(ctx context.Context, resp *http.Response, token *tokenfile.Token) (*http.Response, error) {
	if token != x.bought {
		discard(resp)
		return nil, fmt.Errorf("%w: %s asks for a second payment, and one exchange pays once; "+
			"request that URL by itself", ErrRefused, x.req.URL.Redacted())
	}
	wait := retryAfter(resp.Header)
	discard(resp)
	if err := x.client.pause(ctx, wait); err != nil {
		return nil, fmt.Errorf("waiting for the payment to be seen: %w", err)
	}
	resp, err := x.try(ctx, token)
	if err != nil || !asksPayment(resp) {
		return resp, err
	}
	reason := reasonOf(resp)
	discard(resp)
	return nil, fmt.Errorf("%w: %s answers %d to a token that was paid for%s",
		ErrRefused, x.req.URL.Redacted(), resp.StatusCode, reason)
}

func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 1 {
		return settlePause
	}
	return min(time.Duration(seconds)*time.Second, longestPause)
}

// reasonOf reads what a problem document (RFC 9457) says is wrong.
func reasonOf(resp *http.Response) string {
	var problem struct {
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if !strings.Contains(resp.Header.Get("Content-Type"), "json") || json.Unmarshal(body, &problem) != nil {
		return ""
	}
	switch text := problem.Detail; {
	case text != "":
		return fmt.Sprintf(": %.300q", text)
	case problem.Code != "":
		return fmt.Sprintf(": %.100q", problem.Code)
	}
	return ""
}

// try sends the request once, with the token if there is one.
func (x *exchange) try(ctx context.Context, token *tokenfile.Token) (*http.Response, error) {
	name, credential := "", ""
	x.sent = ""
	if token != nil {
		var err error
		if name, credential, err = present(token); err != nil {
			return nil, fmt.Errorf("presenting a token: %w", err)
		}
		x.result.Credential, x.sent = "", token.PaymentHash
		if token.Payment == nil { // the other one is too long for what reads passwords
			_, x.result.Credential, _ = strings.Cut(credential, " ")
		}
		x.result.CredentialHost = x.req.URL.Hostname()
	}
	request, err := x.req.build(name, credential)
	if err != nil {
		return nil, err
	}
	x.result.Reused = token != nil && (token != x.bought || x.result.Purchase == nil)
	if trace := x.client.Trace.Request; trace != nil {
		trace(request)
	}
	resp, err := x.client.send(ctx, request)
	if err != nil {
		return nil, err
	}
	if trace := x.client.Trace.Response; trace != nil {
		trace(resp)
	}
	return resp, nil
}

// present gives the header that presents a token, and its value.
func present(token *tokenfile.Token) (name, value string, err error) {
	preimage, err := lntypes.MakePreimageFromStr(token.Preimage)
	if err != nil {
		return "", "", errors.New("it has no preimage")
	}
	if token.Payment == nil {
		return "Authorization", l402.FormatAuthorization(token.Macaroon, preimage), nil
	}
	value, err = l402.FormatPaymentAuthorization(*token.Payment, preimage)
	return cmp.Or(token.Payment.Header, "Authorization"), value, err
}

// likeliest gives the token to begin with: the one that was bought in this exchange or a stored one,
// of this origin only.
func (x *exchange) likeliest() (*tokenfile.Token, error) {
	origin := x.req.origin()
	if x.bought != nil && x.bought.Origin == origin {
		return x.bought, nil
	}
	stored, err := x.stored()
	if err != nil {
		return nil, err
	}
	return tokenfile.Likeliest(stored, x.req.URL.EscapedPath()), nil
}

// named gives a stored token for what the challenge sells, if it was not tried yet.
func (x *exchange) named(resp *http.Response) (*tokenfile.Token, error) {
	stored, err := x.stored()
	if err != nil {
		return nil, err
	}
	products := opensOf(resp.Header, x.req.URL.EscapedPath())
	for _, token := range stored {
		if slices.Contains(products, token.Opens) && token.PaymentHash != x.sent {
			return &token, nil
		}
	}
	return nil, nil
}

// stored gives the tokens of this origin that are paid, alive and not refused.
func (x *exchange) stored() ([]tokenfile.Token, error) {
	if x.client.Tokens == nil {
		return nil, nil
	}
	all, err := x.client.Tokens.Load()
	if err != nil {
		return nil, err
	}
	return x.usable(all), nil
}

func (x *exchange) usable(all []tokenfile.Token) []tokenfile.Token {
	origin, now := x.req.origin(), x.client.now()
	return slices.DeleteFunc(slices.Clone(all), func(t tokenfile.Token) bool {
		return t.Origin != origin || t.Preimage == "" || t.Expired(now) || slices.Contains(x.refused, t.PaymentHash)
	})
}

// drop forgets a stored token that was refused. A token for something else than what the challenge
// sells was not refused but out of place.
func (x *exchange) drop(ctx context.Context, resp *http.Response, token *tokenfile.Token) error {
	if token == nil || !slices.Contains(opensOf(resp.Header, x.req.URL.EscapedPath()), token.Opens) || slices.Contains(x.refused, token.PaymentHash) {
		return nil
	}
	x.refused = append(x.refused, token.PaymentHash)
	x.client.Trace.warn("the stored token for %s is no longer accepted and is dropped", token.Origin)
	return x.client.Tokens.Update(ctx, func(all []tokenfile.Token) []tokenfile.Token {
		return slices.DeleteFunc(all, func(t tokenfile.Token) bool { return t.PaymentHash == token.PaymentHash && t.Preimage != "" })
	})
}
