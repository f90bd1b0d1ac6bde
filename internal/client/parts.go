package client

import (
	"context"
	"net/http"

	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
)

// The steps of an exchange, for those that make one of their own, such as a proxy that must stream.

// AsksPayment tells whether an answer is a challenge.
func AsksPayment(resp *http.Response) bool { return asksPayment(resp) }

// Products names what the challenges of an answer sell, whether they may be paid or not; see
// Offer.Opens. The path is the request's.
func Products(h http.Header, path string) []string { return opensOf(h, path) }

// Choose gives the first challenge of an answer to a request of a path that may be paid: no dearer than MaxPrice, for the
// wallet's network, alive, and over the payment hash that its token names. Errors wrap ErrChallenge
// or ErrTooDear.
func (c *Client) Choose(h http.Header, path string) (*Offer, error) { return c.choose(h, path) }

// Present gives the header that presents a paid token, and its value.
func Present(token *tokenfile.Token) (name, value string, err error) { return present(token) }

// Reserve asks the budget whether an offer of a host may be paid; without it Pay must not be called.
func (c *Client) Reserve(ctx context.Context, host string, offer *Offer) error {
	return c.reserve(ctx, host, offer)
}

// Release gives back what Reserve took for an offer that was not given to Pay.
func (c *Client) Release(ctx context.Context, offer *Offer) error { return c.release(ctx, offer) }

// Pay has a reserved offer paid and settles it with the budget. Errors wrap ErrPayment; IsFinal tells
// of them whether no money left, in which case the reservation is gone. Paying the same offer again
// is how the end of a payment is learned that is not known: it has one payment hash, which a
// Lightning wallet pays once.
func (c *Client) Pay(ctx context.Context, offer *Offer) (*Purchase, error) { return c.pay(ctx, offer) }

// IsFinal tells whether an error of Pay says that no money left.
func IsFinal(err error) bool { return isFinal(err) }
