package explain

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// charge is a challenge of the Payment scheme for the invoice of a sandbox.
func charge(t *testing.T) payment.Challenge {
	t.Helper()
	decoded, err := wallets.DecodeInvoice(regtest)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l402.Challenge{Macaroon: token(t, decoded.PaymentHash), Invoice: regtest}.Payment(new(l402.MasterKey),
		l402.PaymentTerms{Realm: "a.test", Amount: decoded.Amount, Expires: decoded.ExpiresAt})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPayment(t *testing.T) {
	c := charge(t)
	line, err := c.Format()
	if err != nil {
		t.Fatal(err)
	}
	e := &Explainer{}
	for _, text := range []string{line, "HTTP/1.1 402 Payment Required\r\nWWW-Authenticate: " + line + "\r\n\r\n"} {
		got, err := e.Text(text)
		if err != nil || got.Kind != "challenge" || len(got.Items) != 1 || got.Items[0].Invoice.AmountMsat != 10_000 ||
			got.Items[0].Token.PaymentHash != got.Items[0].Invoice.PaymentHash || len(got.Items[0].Problems) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	credential, err := l402.FormatPaymentAuthorization(c, preimage)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{credential, "Payment-Authorization: " + credential, strings.ToLower(credential[:7]) + credential[7:]} {
		got, err := e.Text(text)
		if err != nil || got.Kind != "credential" || got.Items[0].Form != "payment" || got.Items[0].Preimage.Fits ||
			got.Items[0].Preimage.Value == preimage.String() || len(got.Items[0].Problems) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	}

	// What the challenge says beside the invoice must be what the invoice says.
	r, err := payment.ParseChargeRequest(c.Request)
	if err != nil {
		t.Fatal(err)
	}
	r.MethodDetails.PaymentHash, r.ExternalID = strings.Repeat("0", 64), "order 17"
	if c.Request, err = r.Encode(); err != nil {
		t.Fatal(err)
	}
	if line, err = c.Format(); err != nil {
		t.Fatal(err)
	}
	got, err := e.Text(line)
	if err != nil || got.Items[0].Token != nil || !slices.ContainsFunc(got.Items[0].Problems, func(p string) bool {
		return strings.Contains(p, "different payment hashes")
	}) {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]error{
		`Payment id="a", realm="r", method="tempo", intent="charge", request="e30"`: l402.ErrNoChallenge,
		"Payment e30": payment.ErrMalformedCredential,
	} {
		if got, err := e.Text(text); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}
