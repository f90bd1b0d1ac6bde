package client

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// paymentShop is a shop that speaks the Payment scheme alone. change, which may be nil, changes the
// challenge and its request before it is sealed.
func (w *world) paymentShop(change func(*payment.Challenge, *payment.ChargeRequest)) *shop {
	s := w.shop()
	s.lines = func(c l402.Challenge) []string {
		decoded, err := wallets.DecodeInvoice(c.Invoice)
		if err != nil {
			w.t.Error(err)
			return nil
		}
		challenge, err := c.Payment(&s.key, l402.PaymentTerms{Realm: "shop.test", Amount: decoded.Amount, Expires: decoded.ExpiresAt})
		if err != nil {
			w.t.Error(err)
			return nil
		}
		charge, err := payment.ParseChargeRequest(challenge.Request)
		if err != nil {
			w.t.Error(err)
			return nil
		}
		if change != nil {
			change(&challenge, charge)
			if challenge.Request, err = charge.Encode(); err != nil {
				w.t.Error(err)
			}
		}
		return []string{`Payment id="x", realm="shop.test", method="tempo", intent="charge", request="e30"`, formatted(w.t, challenge)}
	}
	return s
}

func formatted(t testing.TB, c payment.Challenge) string {
	line, err := c.Format()
	if err != nil {
		t.Error(err)
	}
	return line
}

// TestPaymentSchemeAlone shows that a server which speaks nothing else is paid, once, and that what
// was bought is kept.
func TestPaymentSchemeAlone(t *testing.T) {
	w := newWorld(t)
	s := w.paymentShop(nil)
	c, _ := w.keeping()
	first, body, err := get(t, c, s.URL+"/a")
	if err != nil || body != "GET /a " || first.Purchase == nil || first.Purchase.Payment == nil || !first.Saved || first.Credential != "" {
		t.Fatalf("%+v, %q, %v", first, body, err)
	}
	if sent := s.requests[1].Header.Get("Authorization"); sent != first.Purchase.Authorization() || !strings.HasPrefix(sent, "Payment ") {
		t.Errorf("sent %q", sent)
	}
	second, body, err := get(t, c, s.URL+"/b")
	if err != nil || body != "GET /b " || second.Purchase != nil || !second.Reused {
		t.Fatalf("%+v, %q, %v", second, body, err)
	}
	if w.payments() != 1 {
		t.Errorf("%d payments", w.payments())
	}
}

// TestL402ComesFirst shows that the Payment scheme is for servers that speak nothing else.
func TestL402ComesFirst(t *testing.T) {
	w := newWorld(t)
	s := w.paymentShop(nil)
	only := s.lines
	s.lines = func(c l402.Challenge) []string { return append(only(c), c.L402()) }
	result, _, err := get(t, w.client(), s.URL)
	if err != nil || result.Purchase.Payment != nil || !strings.HasPrefix(s.credentials[0], "L402 ") {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestPaymentAuthorization shows that a credential goes where the challenge wants it.
func TestPaymentAuthorization(t *testing.T) {
	w := newWorld(t)
	s := w.paymentShop(nil)
	s.lines = func(c l402.Challenge) []string {
		challenge, err := c.Payment(&s.key, l402.PaymentTerms{
			Realm: "shop.test", Amount: price, Expires: time.Now().Add(time.Hour), Header: payment.HeaderAuthorization,
		})
		if err != nil {
			t.Error(err)
		}
		return []string{formatted(t, challenge)}
	}
	if _, body, err := get(t, w.client(), s.URL+"/a"); err != nil || body != "GET /a " {
		t.Fatal(body, err)
	}
	last := s.requests[1].Header
	if last.Get("Payment-Authorization") == "" || last.Get("Authorization") != "" {
		t.Errorf("%v", last)
	}
}

// TestUsedUpPaymentCredential shows that a stored credential which the server takes no more is given
// up for a new one.
func TestUsedUpPaymentCredential(t *testing.T) {
	w := newWorld(t)
	s := w.paymentShop(nil)
	s.refuse = func(n int) bool { return n == 2 }
	c, _ := w.keeping()
	for range 2 {
		if _, body, err := get(t, c, s.URL+"/a"); err != nil || body != "GET /a " {
			t.Fatal(body, err)
		}
	}
	all, err := c.Tokens.Load()
	if err != nil || len(all) != 1 || w.payments() != 2 {
		t.Errorf("%d tokens, %d payments, %v", len(all), w.payments(), err)
	}
}

// TestPaymentTakenUpAgain shows that a payment whose end was not known is taken up, not made twice.
func TestPaymentTakenUpAgain(t *testing.T) {
	w := newWorld(t)
	s := w.paymentShop(nil)
	c, _ := w.keeping()
	w.payErr = func(n int) error {
		if n == 1 {
			return errors.New("the connection broke")
		}
		return nil
	}
	if _, _, err := get(t, c, s.URL+"/a"); !errors.Is(err, ErrPayment) {
		t.Fatal(err)
	}
	if _, body, err := get(t, c, s.URL+"/a"); err != nil || body != "GET /a " {
		t.Fatal(body, err)
	}
	if w.payments() != 2 || w.paid[0] != w.paid[1] {
		t.Errorf("paid %v", w.paid)
	}
}

func TestPaymentChallengesThatAreNotPaid(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*payment.Challenge, *payment.ChargeRequest)
		want   error
		text   string
	}{
		"more than the invoice": {func(_ *payment.Challenge, r *payment.ChargeRequest) { r.Amount = "11" }, ErrChallenge, "another amount"},
		"less than the invoice": {func(_ *payment.Challenge, r *payment.ChargeRequest) { r.Amount = "1" }, ErrChallenge, "another amount"},
		"amount with zeros":     {func(_ *payment.Challenge, r *payment.ChargeRequest) { r.Amount = "010" }, ErrChallenge, "another amount"},
		"another currency":      {func(_ *payment.Challenge, r *payment.ChargeRequest) { r.Currency = "usd" }, ErrChallenge, "another amount"},
		"another hash": {func(_ *payment.Challenge, r *payment.ChargeRequest) {
			r.MethodDetails.PaymentHash = strings.Repeat("0", 64)
		}, ErrChallenge, "buy nothing"},
		"another network": {func(_ *payment.Challenge, r *payment.ChargeRequest) { r.MethodDetails.Network = "signet" }, ErrChallenge, "signet"},
		"mainnet unsaid":  {func(_ *payment.Challenge, r *payment.ChargeRequest) { r.MethodDetails.Network = "" }, ErrChallenge, "mainnet"},
		"no invoice":      {func(_ *payment.Challenge, r *payment.ChargeRequest) { r.MethodDetails.Invoice = "lnbc1x" }, ErrChallenge, ""},
		"over":            {func(c *payment.Challenge, _ *payment.ChargeRequest) { c.Expires = "2020-01-01T00:00:00Z" }, ErrChallenge, "expired"},
		"no time":         {func(c *payment.Challenge, _ *payment.ChargeRequest) { c.Expires = "soon" }, ErrChallenge, "cannot be read"},
		"a strange header": {func(c *payment.Challenge, _ *payment.ChargeRequest) { c.Header = "Cookie" }, ErrChallenge,
			"wants the credential"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.paymentShop(test.change)
			result, _, err := get(t, w.client(), s.URL)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || w.payments() != 0 || result.Purchase != nil {
				t.Errorf("%d payments, %v", w.payments(), err)
			}
		})
	}
	w := newWorld(t)
	s := w.paymentShop(nil)
	c := w.client()
	c.MaxPrice = price - 1
	if _, _, err := get(t, c, s.URL); !errors.As(err, new(*PriceError)) || w.payments() != 0 {
		t.Errorf("too dear: %v", err)
	}
	s.status = http.StatusForbidden
	if result, _, err := get(t, c, s.URL); err != nil || result.Response.StatusCode != http.StatusForbidden {
		t.Errorf("a challenge with another status: %v", err)
	}
}

// TestForeignPaymentServer shows that a credential of a server whose challenges tell nothing of what
// they open is kept for the place and the price that it was bought at.
func TestForeignPaymentServer(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	charge := &payment.ChargeRequest{Amount: "10", Currency: "sat"}
	challenge := &payment.Challenge{Realm: "shop.test"}
	here := paymentOpens(challenge, charge, "/a")
	if here != paymentOpens(challenge, charge, "/a") || here == paymentOpens(challenge, charge, "/b") {
		t.Error(here)
	}
	charge.Amount = "11"
	if here == paymentOpens(challenge, charge, "/a") {
		t.Error("the price makes no difference")
	}
	if _, err := c.checkPayment(payment.Challenge{Request: "!"}, "/"); !errors.Is(err, ErrChallenge) {
		t.Error(err)
	}
}
