package buyer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/l402"
)

// House is what the buyers of a configuration share: the tokens, where purchases are stored, and
// what was learned of upstreams. It is safe for concurrent use.
type House struct {
	store    *Store
	shelf    *shelf
	patience *patience
	flights  singleflight.Group
	turns    [64]chan struct{} // at buying, by product
}

// NewHouse makes a House over a Store. It reads nothing.
func NewHouse(store *Store) *House {
	h := &House{store: store, shelf: newShelf(), patience: newPatience()}
	for i := range h.turns {
		h.turns[i] = make(chan struct{}, 1)
	}
	return h
}

// Buyer sends requests and pays for them. Its fields are not changed while it is used; it is safe for
// concurrent use.
type Buyer struct {
	// House is shared with other buyers.
	House *House
	// ID tells the buyers of a House apart: limits of one are not those of another.
	ID string
	// Client holds the wallet, the limits and the budget; its Transport is not used.
	Client *client.Client
	// MaxBody is the greatest body of a request that is kept to be sent again, in bytes.
	MaxBody int64
	// Logger is told what the operator should know.
	Logger *zap.Logger
	// Events are told of payments and refusals.
	Events Events
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Pause waits for an upstream to see a payment; nil means just that.
	Pause func(context.Context, time.Duration) error
}

// Events count what a Buyer does. Fields may be nil.
type Events struct {
	// Paid is told what each payment cost, in millisatoshi: the price, and the fee where the
	// wallet tells it.
	Paid func(msat uint64)
	// Payment is told how each payment ended: paid, failed or unknown.
	Payment func(result string)
	// Refused is told the code of each request that was refused.
	Refused func(code string)
}

// RoundTrip sends a request through next and pays for it where that is asked and allowed. The
// request's own credentials of this protocol are taken off first: they were meant for this server.
// Errors are a *Refusal, or those of next.
func (b *Buyer) RoundTrip(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	x := &exchange{Buyer: b, next: next, origin: originOf(req), req: stripped(req)}
	if req.Body != nil {
		defer x.closeBody(req.Body)
	}
	resp, err := x.run(req.Context())
	var refusal *Refusal
	if errors.As(err, &refusal) {
		if b.Events.Refused != nil {
			b.Events.Refused(refusal.Code)
		}
		b.Logger.Warn("an upstream was not paid for a request", zap.String("code", refusal.Code),
			zap.String("upstream", x.origin), zap.Error(refusal.Err))
	}
	return resp, err
}

func (b *Buyer) now() time.Time {
	if b.Now == nil {
		return time.Now()
	}
	return b.Now()
}

func (b *Buyer) pause(ctx context.Context, d time.Duration) error {
	if b.Pause != nil {
		return b.Pause(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// originOf is who gets to see a token: scheme, host and port, and the name that the upstream is asked
// by where that is another.
func originOf(req *http.Request) string {
	host, port := strings.ToLower(req.URL.Hostname()), req.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[req.URL.Scheme]
	}
	origin := req.URL.Scheme + "://" + net.JoinHostPort(host, port)
	if req.Host != "" && !strings.EqualFold(req.Host, req.URL.Host) {
		origin += " as " + strings.ToLower(req.Host)
	}
	return origin
}

// stripped is a copy of a request without credentials that were meant for this server.
func stripped(req *http.Request) *http.Request {
	out, address := *req, *req.URL
	out.URL = &address // a proxy that tries again changes its own, and a purchase may outlive the request
	out.Header = req.Header.Clone()
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	l402.Strip(out.Header, l402.FormAll)
	out.Header.Del("Payment-Authorization")
	others := slices.DeleteFunc(out.Header["Authorization"], func(line string) bool {
		scheme, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		return slices.ContainsFunc([]string{"L402", "LSAT", "Payment"}, func(own string) bool { return strings.EqualFold(scheme, own) })
	})
	if len(others) == 0 {
		out.Header.Del("Authorization")
	} else {
		out.Header["Authorization"] = others
	}
	return &out
}

// exchange is one call of RoundTrip.
type exchange struct {
	*Buyer
	next   http.RoundTripper
	origin string
	req    *http.Request

	body   []byte // what was read of the request's body
	kept   bool   // body is all of it, and it can be sent again
	passed bool   // the body went to next, which closes it
}

// keepBody reads the body as far as it may be kept.
func (x *exchange) keepBody() error {
	if x.req.Body == nil || x.req.Body == http.NoBody {
		x.kept = true
		return nil
	}
	if x.req.ContentLength > x.MaxBody {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(x.req.Body, x.MaxBody+1))
	if err != nil {
		return err
	}
	x.body, x.kept = body, int64(len(body)) <= x.MaxBody
	return nil
}

// closeBody closes the request's body unless next does.
func (x *exchange) closeBody(body io.Closer) {
	if !x.passed {
		_ = body.Close()
	}
}

// send makes one request, with a token if there is one.
func (x *exchange) send(token *tokenfile.Token) (*http.Response, error) {
	out := *x.req
	if token != nil {
		name, value, err := client.Present(token)
		if err != nil {
			return nil, fmt.Errorf("presenting a token: %w", err)
		}
		out.Header = x.req.Header.Clone()
		out.Header.Set(name, value)
	}
	switch {
	case x.kept && len(x.body) == 0:
		out.Body, out.GetBody = http.NoBody, nil
	case x.kept:
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.body)), nil }
		out.Body, _ = out.GetBody()
	default:
		x.passed = true
		out.GetBody = nil
		out.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(x.body), x.req.Body), x.req.Body}
	}
	return x.next.RoundTrip(&out)
}

// run gets an answer, in the order of what it costs: with the likeliest token, with one for what the
// upstream names, with a new one.
func (x *exchange) run(ctx context.Context) (*http.Response, error) {
	token := x.House.shelf.likeliest(x.origin, x.req.URL.EscapedPath(), x.now())
	// With a token at hand a body of unknown length is passed on as it comes.
	if token == nil || x.req.ContentLength >= 0 {
		if err := x.keepBody(); err != nil {
			return nil, err
		}
	}
	resp, err := x.send(token)
	if err != nil {
		return nil, err
	}
	bought := false
	for range maxRounds {
		if asksOtherwise(resp) {
			discard(resp)
			return nil, refuse(CodeUnpayable, nil, 0)
		}
		if !client.AsksPayment(resp) {
			if bought {
				x.House.patience.worked(x.origin)
			}
			return resp, nil
		}
		header := resp.Header
		if bought {
			return x.askAgain(ctx, resp, token)
		}
		discard(resp)
		products := client.Products(header, x.req.URL.EscapedPath())
		if token != nil && slices.Contains(products, token.Opens) {
			x.House.shelf.refuse(token)
		}
		if !x.kept {
			return nil, refuse(CodeBodyTooLarge, nil, 0)
		}
		found, err := x.obtain(ctx, header, products)
		if err != nil {
			return nil, err
		}
		// A token that others bought before may turn out to be spent; what was bought for this
		// request is the last try.
		token, bought = found.token, found.fresh
		if resp, err = x.send(token); err != nil {
			return nil, err
		}
	}
	discard(resp)
	return nil, refuse(CodeRefused, errors.New("no token for what it asks is good"), failedFirst)
}

// maxRounds is how often one request is sent at most, but for the last time after a payment.
const maxRounds = 8

// asksOtherwise tells whether an answer is a challenge of the Payment scheme that cannot be read or is
// not about Lightning.
func asksOtherwise(resp *http.Response) bool {
	if resp.StatusCode != http.StatusPaymentRequired || client.AsksPayment(resp) {
		return false
	}
	return slices.ContainsFunc(resp.Header.Values("WWW-Authenticate"), func(line string) bool {
		scheme, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		return strings.EqualFold(scheme, "Payment")
	})
}

// How long an upstream gets to see a payment before it is asked a last time.
const (
	settlePause  = time.Second
	longestPause = 15 * time.Second
)

// askAgain asks a last time with a token that was bought for this request, for upstreams that see the
// payment later than the payer.
func (x *exchange) askAgain(ctx context.Context, resp *http.Response, token *tokenfile.Token) (*http.Response, error) {
	wait := settlePause
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		wait = min(time.Duration(seconds)*time.Second, longestPause)
	}
	discard(resp)
	if err := x.pause(ctx, wait); err != nil {
		return nil, err
	}
	resp, err := x.send(token)
	if err != nil {
		return nil, err
	}
	if !client.AsksPayment(resp) {
		x.House.patience.worked(x.origin)
		return resp, nil
	}
	discard(resp)
	left := x.House.patience.failed(x.origin, CodeRefused, x.now())
	x.Logger.Error("an upstream was paid and asks for another payment; it is left alone for a while",
		zap.String("upstream", x.origin), zap.String("payment_hash", token.PaymentHash), zap.Duration("time", left))
	return nil, refuse(CodeRefused, errors.New("paid by payment hash "+token.PaymentHash), left)
}

// discard reads a little of a body that nobody wants, so that the connection can be used again, and
// closes it.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}
