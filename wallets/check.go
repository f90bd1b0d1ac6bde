package wallets

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
)

// CheckInvoice decodes an invoice that a wallet gave and checks that it is the one that was asked
// for: the network, the amount to the millisatoshi, the payment hash, the expiry and, where
// payee is not nil, the node that is paid. A wallet may be wrong or broken into, and whatever
// stands in the invoice is what the client pays.
//
// The invoice may be valid for longer than asked, but for no less than half as long from now, so
// that the client has time to pay. Its text and its offer are at most MaxPaymentRequest bytes
// of ASCII letters and digits, so they can stand in a header.
//
// When all is well it brings PaymentRequest and Offer into lower case and sets ExpiresAt, and
// Amount where that was zero, from the invoice. Otherwise inv is left as it was and the error
// wraps ErrBadInvoice and names the check that failed.
func CheckInvoice(net Network, want InvoiceRequest, inv *Invoice, now time.Time, payee *[33]byte) error {
	d, offer, err := checkInvoice(net, want, inv, now, payee)
	if err != nil {
		return badInvoice("checking invoice", err)
	}
	inv.PaymentRequest, inv.Offer = d.PaymentRequest, offer
	inv.Amount, inv.ExpiresAt = d.Amount, d.ExpiresAt
	return nil
}

func checkInvoice(net Network, want InvoiceRequest, inv *Invoice, now time.Time, payee *[33]byte) (*Decoded, string, error) {
	net, err := ParseNetwork(string(net))
	if err != nil {
		return nil, "", err
	}
	if want.Amount == 0 {
		return nil, "", errors.New("amount: none was asked for")
	}
	if inv == nil {
		return nil, "", errors.New("the wallet gave none")
	}
	d, err := decode(inv.PaymentRequest, false)
	if err != nil {
		return nil, "", fmt.Errorf("text: %w", err)
	}
	switch remaining := d.ExpiresAt.Sub(now); {
	case d.Network != net:
		return nil, "", fmt.Errorf("network: it is for %s, not for %s", d.Network, net)
	case d.Amount == 0:
		return nil, "", errors.New("amount: it names none")
	case d.Amount != want.Amount:
		return nil, "", fmt.Errorf("amount: it is %d msat, not %d msat",
			uint64(d.Amount), uint64(want.Amount))
	case inv.Amount != 0 && inv.Amount != d.Amount:
		return nil, "", fmt.Errorf("amount: it is %d msat, but the wallet says %d msat",
			uint64(d.Amount), uint64(inv.Amount))
	case subtle.ConstantTimeCompare(d.PaymentHash[:], inv.PaymentHash[:]) != 1:
		return nil, "", fmt.Errorf("payment hash: it is %s, but the wallet says %s",
			d.PaymentHash, inv.PaymentHash)
	case remaining <= 0:
		return nil, "", fmt.Errorf("expiry: it expired %s ago", -remaining)
	// Invoices count in whole seconds, so one that was asked for seconds may lose one of them.
	case remaining < want.Expiry/2-time.Second:
		return nil, "", fmt.Errorf("expiry: it can be paid for %s, not for about %s",
			remaining.Truncate(time.Second), want.Expiry)
	case payee != nil && d.Payee != *payee:
		return nil, "", fmt.Errorf("payee: it pays %x, not %x", d.Payee, *payee)
	}
	offer, err := checkOffer(inv.Offer)
	if err != nil {
		return nil, "", fmt.Errorf("offer: %w", err)
	}
	return d, offer, nil
}

// checkOffer checks the form of an offer and gives it in lower case. What it offers is no matter
// of the payment, since the invoice is what is paid.
func checkOffer(offer string) (string, error) {
	if offer == "" {
		return "", nil
	}
	offer, err := plain(offer)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(offer, "lno1") {
		return "", errors.New("it does not begin with lno1")
	}
	_, data, err := bolt12.DecodeText(offer)
	if err != nil {
		return "", err
	}
	if _, err := bolt12.Parse(data); err != nil {
		return "", err
	}
	return offer, nil
}
