package client

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// asksPayment tells whether an answer is a challenge. Servers that follow the specification's text
// answer an invalid token with 401.
func asksPayment(resp *http.Response) bool {
	if resp.StatusCode != http.StatusPaymentRequired && resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	_, err := l402.ParseChallenges(resp.Header)
	return !errors.Is(err, l402.ErrNoChallenge) || len(paymentChallenges(resp.Header)) > 0 || asksForEcash(resp)
}

// choose gives the first challenge that is acceptable for a request of a path. One in the Payment
// scheme is taken where no other can be read: it tells less of what it buys.
func (c *Client) choose(h http.Header, path string) (*Offer, error) {
	challenges, err := l402.ParseChallenges(h)
	if err != nil {
		if charges := paymentChallenges(h); len(charges) > 0 {
			return c.choosePayment(charges, path)
		}
		return nil, fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	var refusals []error
	for _, challenge := range challenges {
		offer, err := c.check(challenge)
		if err == nil {
			return offer, nil
		}
		refusals = append(refusals, err)
	}
	return nil, errors.Join(refusals...)
}

// check decides whether a challenge may be paid.
func (c *Client) check(challenge l402.Challenge) (*Offer, error) {
	invoice, err := wallets.DecodeInvoice(challenge.Invoice)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	token, err := l402.Describe(challenge.Macaroon)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	now := c.now()
	refuse := func(format string, args ...any) (*Offer, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{ErrChallenge}, args...)...)
	}
	switch {
	case token.PaymentHash == "":
		return refuse("its token does not name the payment it waits for, so paying might buy nothing")
	case token.PaymentHash != invoice.PaymentHash.String():
		return refuse("its token is for payment hash %s but its invoice for %s, so paying would buy nothing",
			token.PaymentHash, invoice.PaymentHash)
	case !token.ValidUntil.IsZero() && !now.Before(token.ValidUntil):
		return refuse("its token expired at %s", token.ValidUntil.Format(time.RFC3339))
	}
	if err := c.checkInvoice(invoice); err != nil {
		return nil, err
	}
	return &Offer{
		Challenge: challenge, Decoded: invoice,
		Opens: opens(token), ValidUntil: token.ValidUntil,
	}, nil
}

// checkInvoice decides whether an invoice may be paid.
func (c *Client) checkInvoice(invoice *wallets.Decoded) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrChallenge}, args...)...)
	}
	switch {
	case invoice.Bolt12:
		return refuse("its invoice is BOLT 12, which this client cannot pay")
	case invoice.Amount == 0:
		return refuse("its invoice names no amount, so the price is anything")
	case !c.now().Before(invoice.ExpiresAt):
		return refuse("its invoice expired at %s", invoice.ExpiresAt.UTC().Format(time.RFC3339))
	case invoice.Amount > c.MaxPrice:
		return &PriceError{Price: invoice.Amount, Max: c.MaxPrice, Network: invoice.Network}
	}
	if c.Wallet == nil {
		return nil
	}
	network, err := wallets.ParseNetwork(string(c.Wallet.Network))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if network != invoice.Network {
		return refuse("its invoice is for %s and the wallet for %s", invoice.Network, network)
	}
	return nil
}

// limiting are the endings of the caveats that say how much of a product was sold and not which.
var limiting = []string{l402.SuffixValidUntil, l402.SuffixUses, l402.SuffixBytes}

// opens names a product by what all tokens for it have in common.
func opens(token *l402.Description) string {
	var parts []string
next:
	for _, caveat := range token.Caveats {
		c, err := l402.ParseCaveat(caveat.Text)
		if err != nil || c.Condition == l402.ConditionPreimage {
			continue
		}
		for _, suffix := range limiting {
			if strings.HasSuffix(c.Condition, suffix) {
				continue next
			}
		}
		parts = append(parts, c.Encode())
	}
	return strings.Join(parts, " ")
}

// opensOf names the products of an answer's challenges, whether they are acceptable or not.
func opensOf(h http.Header, path string) []string {
	var all []string
	for _, c := range paymentChallenges(h) {
		if charge, err := payment.ParseChargeRequest(c.Request); err == nil {
			all = append(all, paymentOpens(&c, charge, path))
		}
	}
	challenges, _ := l402.ParseChallenges(h)
	for _, challenge := range challenges {
		if token, err := l402.Describe(challenge.Macaroon); err == nil {
			all = append(all, opens(token))
		}
	}
	return all
}
