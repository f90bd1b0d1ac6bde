package l402

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/l402/payment"
)

// PaymentTerms is what a challenge of the Payment scheme says beside token and invoice.
type PaymentTerms struct {
	// Realm is the protection space, such as the host. It must hold no "|".
	Realm string
	// Amount is the invoice's, in millisatoshi; the scheme has whole satoshi only.
	Amount lnwire.MilliSatoshi
	// Expires is when the invoice can no longer be paid.
	Expires time.Time
	// Header is the header that the credential is to travel in; empty means Authorization.
	Header string
}

// Payment returns the challenge in the words of the Payment scheme (draft-lightning-charge). Its
// request carries the token as the merchant's reference, since all clients send that back, so that a
// credential of either scheme says the same and has the same rights. Its id is bound to the master
// key that the token was made with.
//
// It returns an error that wraps payment.ErrMalformedChallenge for what the scheme has no words for:
// an amount that is no whole satoshi, an invoice that is not BOLT 11, another network.
func (c Challenge) Payment(key *MasterKey, t PaymentTerms) (payment.Challenge, error) {
	none := func(format string, args ...any) (payment.Challenge, error) {
		return payment.Challenge{}, fmt.Errorf("%w: "+format, append([]any{payment.ErrMalformedChallenge}, args...)...)
	}
	layout, err := parseLayout(c.Macaroon)
	if err != nil {
		return none("its token: %w", err)
	}
	network := paymentNetwork(c.Invoice)
	id, err := ParseIdentifier(layout.identifier)
	switch {
	case err != nil:
		return none("its token: %w", err)
	case t.Amount == 0 || t.Amount%1000 != 0:
		return none("%d msat are no whole satoshi", t.Amount)
	case network == "":
		return none("its invoice is not BOLT 11 or of a network that the scheme has no name for")
	}
	charge := payment.ChargeRequest{
		Amount: strconv.FormatUint(uint64(t.Amount/1000), 10), Currency: payment.CurrencySat,
		ExternalID: payment.Encode(c.Macaroon),
		MethodDetails: payment.LightningDetails{
			Invoice: c.Invoice, Network: network, PaymentHash: id.PaymentHash.String(),
		},
	}
	request, err := charge.Encode()
	if err != nil {
		return none("%w", err)
	}
	challenge := payment.Challenge{
		Realm: t.Realm, Method: payment.Method, Intent: payment.IntentCharge, Request: request,
		Expires: t.Expires.UTC().Format(time.RFC3339), Header: t.Header,
	}
	secret := paymentSecret(key)
	return challenge, challenge.Seal(secret[:])
}

// paymentNetwork names the network of a BOLT 11 invoice as the Payment scheme does, by its prefix. It
// is empty for what the scheme has no name for.
func paymentNetwork(invoice string) string {
	if !ValidInvoice(invoice) {
		return ""
	}
	invoice = strings.ToLower(invoice)
	for _, network := range []struct{ prefix, name string }{
		{"lnbcrt", "regtest"}, {"lnbc", "mainnet"}, {"lntbs", "signet"},
	} {
		if strings.HasPrefix(invoice, network.prefix) {
			return network.name
		}
	}
	return ""
}

// PaymentToken finds the token in a challenge of the Payment scheme that Challenge.Payment made. It
// tells by the looks: a challenge of another server may have none.
func PaymentToken(c *payment.Challenge) (mac []byte, ok bool) {
	charge, err := payment.ParseChargeRequest(c.Request)
	if err != nil || !looksLikeToken(charge.ExternalID) {
		return nil, false
	}
	mac, err = DecodeMacaroon(charge.ExternalID)
	return mac, err == nil
}

// paymentSecret derives the secret that the ids of Payment challenges are bound to. The label has
// another length than the token ids that root keys are derived from.
func paymentSecret(key *MasterKey) (secret [32]byte) {
	hmacSHA256(&secret, (*[32]byte)(key), []byte("Payment challenge"))
	return secret
}

// setPayment reads a credential of the Payment scheme: the token in the challenge that it echoes,
// and the preimage. On error c is empty.
func (c *Credential) setPayment(value string) error {
	c.clear()
	paid, err := payment.ParseToken(value)
	if err != nil {
		return err
	}
	preimage, err := paid.Preimage()
	if err != nil {
		return err
	}
	charge, err := payment.ParseChargeRequest(paid.Challenge.Request)
	if err != nil {
		return payment.ErrMalformedCredential
	}
	n, err := decodeMacaroon(c.mac[:], charge.ExternalID)
	if err != nil || n == 0 {
		return payment.ErrInvalidChallenge // of another server
	}
	c.Form, c.Preimage, c.HasPreimage, c.size, c.echo = FormPayment, preimage, true, n, &paid.Challenge
	return nil
}

// echoed checks the challenge that a credential of the Payment scheme echoes. Any other credential
// echoes none.
func (c *Credential) echoed(key *MasterKey) error {
	if c.echo == nil {
		return nil
	}
	secret := paymentSecret(key)
	return c.echo.Verify(secret[:])
}

// FormatPaymentAuthorization returns the value of an Authorization or Payment-Authorization header
// that presents a paid challenge of the Payment scheme.
func FormatPaymentAuthorization(c payment.Challenge, preimage lntypes.Preimage) (string, error) {
	return payment.NewChargeCredential(c, preimage).Format()
}
