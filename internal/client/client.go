package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// DefaultTimeout bounds each step where Client.Timeout is zero.
const DefaultTimeout = 60 * time.Second

// Wallet is what pays.
type Wallet struct {
	wallets.Payer
	// Network is the only chain whose invoices are given to the payer; empty means mainnet.
	Network wallets.Network
}

// Client makes requests and pays for them. The zero value can reach what is free. It is not changed
// by Do and safe for concurrent use as far as its fields are.
type Client struct {
	// Wallet pays. Without one a challenge ends the exchange with ErrPayment.
	Wallet *Wallet
	// Ecash pays servers that ask for it, in place of the Wallet. It may be nil.
	Ecash Ecash
	// MaxPrice is the most that an invoice may ask for, in millisatoshi.
	MaxPrice lnwire.MilliSatoshi
	// MaxFee is the most that the wallet may add for routing, in millisatoshi.
	MaxFee lnwire.MilliSatoshi
	// Tokens keeps tokens for later exchanges. Without it they are forgotten.
	Tokens *tokenfile.File
	// Budget is asked before each payment; nil allows all of them.
	Budget Budget
	// Transport sends requests; nil means NewTransport(nil).
	Transport http.RoundTripper
	// Timeout bounds each step: an answer's headers, a payment, the next bytes of a body. Zero
	// means DefaultTimeout.
	Timeout time.Duration
	// MaxRedirects is how many redirects are followed; with zero a redirect is the answer.
	MaxRedirects int
	// Trace is told of the steps.
	Trace Trace
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Pause waits, and returns early with an error when the context ends; nil means just that.
	Pause func(context.Context, time.Duration) error
}

// Budget keeps account of payments and limits them. It is safe for concurrent use.
type Budget interface {
	// Reserve notes a payment before it is made, for good unless Release follows. An error
	// forbids the payment; it wraps budget.ErrOverBudget where the limit is the reason. A
	// payment that is noted already, by its hash, is allowed.
	Reserve(ctx context.Context, s budget.Spending) error
	// Settle says that a payment was made and what it cost with its fee, in millisatoshi.
	Settle(ctx context.Context, hash lntypes.Hash, cost lnwire.MilliSatoshi) error
	// Release says that a payment failed for good: no money left.
	Release(ctx context.Context, hash lntypes.Hash) error
}

// Request is what is asked for.
type Request struct {
	// Method is GET where it is empty.
	Method string
	// URL is absolute, http or https, without user and password.
	URL *url.URL
	// Header is sent along, but to another origin after a redirect only as far as it is
	// harmless. It must not hold Authorization, which is the token's place.
	Header http.Header
	// Body is sent as it is.
	Body []byte
}

// Result is how an exchange ended.
type Result struct {
	// Response is the last answer, nil if there was none. Its body must be closed.
	Response *http.Response
	// URL is what answered, after redirects.
	URL *url.URL
	// Purchase is what was paid for in this exchange, nil if nothing was.
	Purchase *Purchase
	// Offer is what a challenge last asked for and what may be paid, nil where none did; it is
	// there even if it was not paid.
	Offer *Offer
	// Reused says that a stored token was presented with the last request.
	Reused bool
	// Saved says that the purchase lies in the token file.
	Saved bool
	// Credential is "<token>:<preimage>" as it was presented last, to CredentialHost. Both are empty
	// where no token was needed.
	Credential, CredentialHost string
}

// Offer is a challenge whose invoice was checked.
type Offer struct {
	// Challenge is what the server sent; zero where that was in the Payment scheme.
	l402.Challenge
	// Payment is what the server sent in the Payment scheme, nil if it was L402.
	Payment *payment.Challenge
	// Invoice is what the challenge's invoice says.
	Decoded *wallets.Decoded
	// Opens tells products apart: the token's caveats without those that only limit it.
	Opens string
	// ValidUntil is the end of the token's life, zero where it names none.
	ValidUntil time.Time
}

// Purchase is an offer that was paid.
type Purchase struct {
	Offer
	// Preimage is the proof of payment: whoever has it and the token can use them.
	Preimage lntypes.Preimage
	// Fee is what routing cost, in millisatoshi; nil where the wallet does not tell.
	Fee *lnwire.MilliSatoshi
}

// Authorization is the value of the header that presents the token.
func (p *Purchase) Authorization() string {
	if p.Payment == nil {
		return l402.FormatAuthorization(p.Macaroon, p.Preimage)
	}
	header, err := l402.FormatPaymentAuthorization(*p.Payment, p.Preimage)
	if err != nil {
		return "" // what was read as JSON can be written as such
	}
	return header
}

// Trace is told of an exchange's steps as they happen, in one goroutine. Fields may be nil.
type Trace struct {
	// Request is called before a request is sent. It may hold a credential.
	Request func(*http.Request)
	// Response is called when an answer's headers have come.
	Response func(*http.Response)
	// Offer is called before an invoice is paid.
	Offer func(*Offer)
	// Paid is called after it was.
	Paid func(*Purchase)
	// Warn is called with what the user should know although the exchange goes on.
	Warn func(message string)
}

func (t *Trace) warn(format string, args ...any) {
	if t.Warn != nil {
		t.Warn(fmt.Sprintf(format, args...))
	}
}

// Do makes the request and pays for it if that is asked and allowed. The Result is never nil: after
// an error it still holds a purchase that was made.
func (c *Client) Do(ctx context.Context, req *Request) (*Result, error) {
	x := &exchange{client: c, result: &Result{}}
	if err := x.begin(req); err != nil {
		return x.result, err
	}
	err := x.run(ctx)
	return x.result, err
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Client) timeout() time.Duration {
	if c.Timeout <= 0 {
		return DefaultTimeout
	}
	return c.Timeout
}

func (c *Client) pause(ctx context.Context, d time.Duration) error {
	if c.Pause != nil {
		return c.Pause(ctx, d)
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
