package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// paymentChallenges reads the Lightning charges among the challenges of the Payment scheme.
func paymentChallenges(h http.Header) (charges []payment.Challenge) {
	all, _ := payment.ParseChallenges(h.Values("WWW-Authenticate"))
	for _, c := range all {
		if c.Method == payment.Method && c.Intent == payment.IntentCharge {
			charges = append(charges, c)
		}
	}
	return charges
}

// choosePayment gives the first acceptable charge. It is for servers that speak nothing else.
func (c *Client) choosePayment(charges []payment.Challenge, path string) (*Offer, error) {
	var refusals []error
	for _, charge := range charges {
		offer, err := c.checkPayment(charge, path)
		if err == nil {
			return offer, nil
		}
		refusals = append(refusals, err)
	}
	return nil, errors.Join(refusals...)
}

// checkPayment decides whether a challenge of the Payment scheme may be paid. The invoice is what is
// paid, so all else that the challenge says of it must be what the invoice says.
func (c *Client) checkPayment(challenge payment.Challenge, path string) (*Offer, error) {
	charge, err := payment.ParseChargeRequest(challenge.Request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	details := charge.MethodDetails
	invoice, err := wallets.DecodeInvoice(details.Invoice)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	refuse := func(format string, args ...any) (*Offer, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{ErrChallenge}, args...)...)
	}
	network, now := details.Network, c.now()
	if network == "" {
		network = string(wallets.Mainnet)
	}
	expires, err := time.Parse(time.RFC3339, challenge.Expires)
	switch {
	case challenge.Expires != "" && err != nil:
		return refuse("the end of its time cannot be read")
	case challenge.Expires != "" && !now.Before(expires):
		return refuse("it expired at %s", expires.UTC().Format(time.RFC3339))
	case charge.Currency != payment.CurrencySat || charge.Amount != strconv.FormatUint(uint64(invoice.Amount/1000), 10) || invoice.Amount%1000 != 0:
		return refuse("it says another amount than its invoice")
	case details.PaymentHash != "" && details.PaymentHash != invoice.PaymentHash.String():
		return refuse("it names payment hash %.64q but its invoice %s, so paying would buy nothing", details.PaymentHash, invoice.PaymentHash)
	case network != string(invoice.Network):
		return refuse("it says that its invoice is for %.20q, and that is for %s", network, invoice.Network)
	case !knownHeader(challenge.Header):
		return refuse("it wants the credential in the header %.40q", challenge.Header)
	}
	if err := c.checkInvoice(invoice); err != nil {
		return nil, err
	}
	offer := &Offer{Payment: &challenge, Decoded: invoice, Opens: paymentOpens(&challenge, charge, path)}
	if mac, ok := l402.PaymentToken(&challenge); ok {
		if token, err := l402.Describe(mac); err == nil {
			offer.ValidUntil = token.ValidUntil
		}
	}
	return offer, nil
}

// knownHeader tells whether a credential can go where the challenge wants it: a server must not make
// its client send any header.
func knownHeader(name string) bool {
	return name == "" || strings.EqualFold(name, "Authorization") || strings.EqualFold(name, payment.HeaderAuthorization)
}

// paymentOpens names the product of a challenge of the Payment scheme: by the token that it holds,
// if it is one of this protocol, else by where and for how much it was sold, since it does not say
// what else it opens.
func paymentOpens(c *payment.Challenge, charge *payment.ChargeRequest, path string) string {
	if mac, ok := l402.PaymentToken(c); ok {
		if token, err := l402.Describe(mac); err == nil {
			return payment.Scheme + " " + opens(token)
		}
	}
	return fmt.Sprintf("%s %q %q %s %s", payment.Scheme, c.Realm, path, charge.Amount, charge.Currency)
}
