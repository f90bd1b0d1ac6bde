package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// buy pays for what the challenge offers and leaves the token in x.bought. While it does, no other
// process that uses the same token file buys; what such a process bought meanwhile is taken instead.
func (x *exchange) buy(ctx context.Context, h http.Header) error {
	offer, err := x.client.choose(h, x.req.URL.EscapedPath())
	if err != nil {
		return err
	}
	x.result.Offer = offer
	if x.client.Wallet == nil {
		return fmt.Errorf("%w: there is no wallet to pay %s with", ErrPayment, pricing.Format(offer.Decoded.Amount))
	}
	if x.client.Tokens == nil {
		if err := x.client.reserve(ctx, x.req.host(), offer); err != nil {
			return err
		}
		_, err := x.pay(ctx, offer)
		return err
	}
	// Who holds the lock is paying, for as long as that may take.
	waiting, cancel := context.WithTimeout(ctx, 2*x.client.timeout())
	defer cancel()
	locked, err := x.client.Tokens.Lock(waiting)
	if err != nil {
		return err
	}
	defer locked.Unlock()
	for _, token := range x.usable(locked.Tokens()) {
		if token.Opens == offer.Opens {
			x.bought = &token
			return nil
		}
	}
	if done, err := x.resume(ctx, locked, offer); done || err != nil {
		return err
	}
	return x.payAndKeep(ctx, locked, offer)
}

// payAndKeep writes down what is about to be paid, pays, and writes down the proof. Whatever happens
// in between, the file knows of the payment.
func (x *exchange) payAndKeep(ctx context.Context, locked *tokenfile.Locked, offer *Offer) error {
	if err := x.client.reserve(ctx, x.req.host(), offer); err != nil {
		return err
	}
	token := x.token(offer)
	if err := locked.Put(token); err != nil {
		return errors.Join(fmt.Errorf("noting the payment before it is made: %w", err), x.client.release(ctx, offer))
	}
	preimage, err := x.pay(ctx, offer)
	if err != nil {
		if isFinal(err) {
			err = errors.Join(err, locked.Drop(token.PaymentHash))
		}
		return err
	}
	token.Preimage = preimage.String()
	if err := locked.Put(token); err != nil {
		// The money is spent: going on is the only way to get something for it.
		x.client.Trace.warn("the token that was just paid for could not be kept: %v", err)
		return nil
	}
	x.result.Saved = true
	return nil
}

// isFinal tells whether an error of pay says that no money left.
func isFinal(err error) bool {
	return errors.Is(err, wallets.ErrPaymentFailed) || errors.Is(err, wallets.ErrBadInvoice)
}

// resume takes up an earlier payment for the same product whose end is not known.
func (x *exchange) resume(ctx context.Context, locked *tokenfile.Locked, offer *Offer) (done bool, err error) {
	index := slices.IndexFunc(locked.Tokens(), func(t tokenfile.Token) bool {
		return t.Preimage == "" && t.Origin == x.req.origin() && t.Opens == offer.Opens
	})
	if index < 0 {
		return false, nil
	}
	open := locked.Tokens()[index]
	earlier, err := x.client.recheck(&open)
	if err == nil {
		x.client.Trace.warn("taking up an earlier payment whose end is not known")
		if err = x.payAndKeep(ctx, locked, earlier); err == nil {
			return true, nil
		}
		if !isFinal(err) {
			return false, err
		}
		return false, nil
	}
	x.client.Trace.warn("an earlier payment of %s may have been made and cannot be taken up again (%v); "+
		"your wallet knows it by payment hash %s", pricing.Format(open.Amount()), err, open.PaymentHash)
	if invoice, err := wallets.DecodeInvoice(open.Invoice); err == nil && x.client.now().Before(invoice.ExpiresAt) {
		return false, nil // another wallet or limit may take it up
	}
	return false, locked.Drop(open.PaymentHash)
}

// recheck decides whether a challenge that was kept may still be paid.
func (c *Client) recheck(open *tokenfile.Token) (*Offer, error) {
	if open.Payment != nil {
		return c.checkPayment(*open.Payment, open.Path)
	}
	return c.check(l402.Challenge{Macaroon: open.Macaroon, Invoice: open.Invoice})
}

// pay has the invoice paid and checks the proof.
func (x *exchange) pay(ctx context.Context, offer *Offer) (lntypes.Preimage, error) {
	if trace := x.client.Trace.Offer; trace != nil {
		trace(offer)
	}
	purchase, err := x.client.pay(ctx, offer)
	if err != nil {
		return lntypes.Preimage{}, err
	}
	token := x.token(offer)
	token.Preimage = purchase.Preimage.String()
	x.bought, x.result.Purchase = &token, purchase
	if trace := x.client.Trace.Paid; trace != nil {
		trace(x.result.Purchase)
	}
	return purchase.Preimage, nil
}

func (x *exchange) token(offer *Offer) tokenfile.Token {
	return tokenfile.Token{
		Origin: x.req.origin(), Opens: offer.Opens, Path: x.req.URL.EscapedPath(),
		Macaroon: offer.Macaroon, Payment: offer.Payment, Invoice: offer.Decoded.PaymentRequest,
		PaymentHash: offer.Decoded.PaymentHash.String(), AmountMsat: uint64(offer.Decoded.Amount),
		Obtained: x.client.now().UTC(), ValidUntil: offer.ValidUntil,
	}
}
