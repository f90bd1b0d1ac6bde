package l402

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/l402/payment"
)

func testPaymentTerms() PaymentTerms {
	return PaymentTerms{Realm: "api.example.com", Amount: 1_000_000, Expires: time.Unix(testNow+600, 0)}
}

// testPayment is the challenge in the Payment scheme for a token.
func testPayment(t testing.TB, mac []byte) payment.Challenge {
	t.Helper()
	c, err := Challenge{Macaroon: mac, Invoice: testInvoice}.Payment(&testMaster, testPaymentTerms())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// formatPaid presents a challenge with the preimage of the tests.
func formatPaid(t testing.TB, c payment.Challenge) string {
	t.Helper()
	header, err := FormatPaymentAuthorization(c, testPreimage)
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// paidCredential is a good credential of the Payment scheme.
func paidCredential(t testing.TB) string {
	t.Helper()
	return formatPaid(t, testPayment(t, mint(t, testTerms())))
}

func TestPaymentChallenge(t *testing.T) {
	mac := mint(t, testTerms())
	c := testPayment(t, mac)
	charge, err := payment.ParseChargeRequest(c.Request)
	if err != nil {
		t.Fatal(err)
	}
	want := payment.ChargeRequest{Amount: "1000", Currency: "sat", ExternalID: payment.Encode(mac), MethodDetails: payment.LightningDetails{
		Invoice: testInvoice, Network: "mainnet", PaymentHash: testID().PaymentHash.String(),
	}}
	if *charge != want || c.Expires != "2027-01-15T08:10:00Z" {
		t.Errorf("%+v in %+v", charge, c)
	}
	if got, ok := PaymentToken(&c); !ok || string(got) != string(mac) {
		t.Error("its token is not found")
	}
	foreign := c
	foreign.Request, err = (&payment.ChargeRequest{ExternalID: "order 17", MethodDetails: payment.LightningDetails{Invoice: testInvoice}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := PaymentToken(&foreign); ok {
		t.Error("a token is found in another server's challenge")
	}
	secret := paymentSecret(&testMaster)
	if err := c.Verify(secret[:]); err != nil {
		t.Error(err)
	}
	if secret == [32]byte(testMaster) {
		t.Error("the master key itself binds challenges")
	}
}

func TestPaymentHasNoWords(t *testing.T) {
	mac := mint(t, testTerms())
	type parts struct {
		Challenge
		PaymentTerms
	}
	for name, change := range map[string]func(*parts){
		"free":           func(p *parts) { p.Amount = 0 },
		"a part of one":  func(p *parts) { p.Amount = 1_500 },
		"BOLT 12":        func(p *parts) { p.Invoice = "lni1qqg" },
		"testnet":        func(p *parts) { p.Invoice = "lntb" + testInvoice[len("lnbc"):] },
		"no invoice":     func(p *parts) { p.Invoice = "" },
		"bad invoice":    func(p *parts) { p.Invoice += `"` },
		"no token":       func(p *parts) { p.Macaroon = nil },
		"no realm":       func(p *parts) { p.Realm = "" },
		"realm of two":   func(p *parts) { p.Realm = "a|b" },
		"realm of lines": func(p *parts) { p.Realm = "a\nb" },
	} {
		p := parts{Challenge{Macaroon: mac, Invoice: testInvoice}, testPaymentTerms()}
		change(&p)
		if c, err := p.Challenge.Payment(&testMaster, p.PaymentTerms); !errors.Is(err, payment.ErrMalformedChallenge) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	for invoice, want := range map[string]string{
		"lnbcrt10u1qq": "regtest", "lntbs10u1qq": "signet", "LNBC10U1QQ": "mainnet", "lnsb10u1qq": "", "lno1qq": "",
	} {
		if got := paymentNetwork(invoice); got != want {
			t.Errorf("%s: %q", invoice, got)
		}
	}
}

func TestPaymentCredential(t *testing.T) {
	good := paidCredential(t)
	for name, h := range map[string]http.Header{
		"Authorization":         {"Authorization": {good}},
		"Payment-Authorization": {"Payment-Authorization": {good}},
		"lower case":            {"Authorization": {strings.Replace(good, "Payment", "payment", 1)}},
		"behind another scheme": {"Authorization": {`Digest a="b", ` + good}},
	} {
		if paid, err := passes(h, testWant()); !paid || err != nil {
			t.Errorf("%s: %v, %v", name, paid, err)
		}
		stripped := h.Clone()
		Strip(stripped, FormAll)
		if strings.Contains(strings.Join(stripped["Authorization"], "")+strings.Join(stripped["Payment-Authorization"], ""), "Payment") {
			t.Errorf("%s: left over: %v", name, stripped)
		}
		r := NewReader(h, FormAll&^FormPayment)
		var c Credential
		if ok, err := r.Next(&c); ok || err != nil {
			t.Errorf("%s: read although its form is not allowed: %v", name, err)
		}
		kept := h.Clone()
		Strip(kept, FormAll&^FormPayment)
		sameHeader(t, kept, h)
	}
	// That header is for this scheme alone.
	elsewhere := http.Header{"Payment-Authorization": {FormatAuthorization(mint(t, testTerms()), testPreimage)}}
	r := NewReader(elsewhere, FormAll)
	var c Credential
	if ok, err := r.Next(&c); ok || err != nil {
		t.Errorf("an L402 credential in Payment-Authorization is read: %v", err)
	}
}

// verifyPayment reads and verifies the credential of a header.
func verifyPayment(header string, w *Want) (g Grant, err error) {
	r := NewReader(http.Header{"Authorization": {header}}, FormPayment)
	var c Credential
	if ok, err := r.Next(&c); !ok || err != nil {
		return g, err
	}
	return g, Verify(testKeys, &c, w, &g)
}

func TestVerifyPayment(t *testing.T) {
	mac := mint(t, testTerms())
	challenge := testPayment(t, mac)
	g, err := verifyPayment(formatPaid(t, challenge), testWant())
	if err != nil || !g.Paid || g.ChallengeID != challenge.ID || g.PaymentHash != testID().PaymentHash || g.TokenID != testID().TokenID {
		t.Fatalf("%+v, %v", g, err)
	}
	tests := map[string]struct {
		change func(*payment.Challenge)
		want   error
	}{
		"realm":   {func(c *payment.Challenge) { c.Realm = "x" }, payment.ErrInvalidChallenge},
		"expires": {func(c *payment.Challenge) { c.Expires = "" }, payment.ErrInvalidChallenge},
		"id":      {func(c *payment.Challenge) { c.ID = "x" }, payment.ErrInvalidChallenge},
		"intent":  {func(c *payment.Challenge) { c.Intent = "session" }, payment.ErrMethodUnsupported},
		"method":  {func(c *payment.Challenge) { c.Method = "tempo" }, payment.ErrMethodUnsupported},
		"request": {func(c *payment.Challenge) { c.Request = "e30" }, payment.ErrMalformedCredential},
		"narrowed by the holder": {func(c *payment.Challenge) {
			narrow, err := Attenuate(mac, Caveat{testService + SuffixUses, "5"})
			if err != nil {
				t.Fatal(err)
			}
			request := testPayment(t, narrow).Request
			c.Request = request
		}, payment.ErrInvalidChallenge},
		"no token": {func(c *payment.Challenge) {
			var err error
			if c.Request, err = (&payment.ChargeRequest{MethodDetails: payment.LightningDetails{Invoice: testInvoice}}).Encode(); err != nil {
				t.Fatal(err)
			}
		}, payment.ErrInvalidChallenge},
		"token of another key": {func(c *payment.Challenge) {
			id := testID()
			id.TokenID[0]++
			other, err := Mint(&testMaster, id, testTerms().Caveats())
			if err != nil {
				t.Fatal(err)
			}
			*c = testPayment(t, other)
		}, ErrUnknownKey},
		"sealed, but a token with a bad signature": {func(c *payment.Challenge) {
			bad := append([]byte(nil), mac...)
			bad[len(bad)-1]++
			*c = testPayment(t, bad)
		}, ErrBadSignature},
	}
	for name, test := range tests {
		c := challenge
		test.change(&c)
		if g, err := verifyPayment(formatPaid(t, c), testWant()); err != test.want || g != (Grant{}) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	wrongTier := testWant()
	wrongTier.Tier = 1
	if _, err := verifyPayment(formatPaid(t, challenge), wrongTier); err != ErrWrongTier {
		t.Errorf("another tier: %v", err)
	}
	late := testWant()
	late.Now = testNow + 3600
	if _, err := verifyPayment(formatPaid(t, challenge), late); err != ErrExpired {
		t.Errorf("too late: %v", err)
	}
	// The same bounds the question for a receipt.
	altered := challenge
	altered.Realm = "x"
	r := NewReader(http.Header{"Authorization": {formatPaid(t, altered)}}, FormAll)
	var c Credential
	if ok, err := r.Next(&c); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if id, err := Authenticate(testKeys, &c); err != payment.ErrInvalidChallenge || id != (Identifier{}) {
		t.Errorf("%v, %v", id, err)
	}
	// What a credential of the Payment scheme echoed is forgotten with it.
	if err := c.set(FormL402, hexOf(mac), testPreimage.String(), false); err != nil || c.echo != nil {
		t.Error(err, c.echo)
	}
}

// FuzzPaymentCredential checks that no change of a credential opens anything, but of what is for
// people.
func FuzzPaymentCredential(f *testing.F) {
	header := paidCredential(f)
	document, err := payment.Decode(strings.TrimPrefix(header, "Payment "))
	if err != nil {
		f.Fatal(err)
	}
	challenge := testPayment(f, mint(f, testTerms()))
	f.Add(string(document))
	f.Add(strings.Replace(string(document), "charge", "session", 1))
	f.Fuzz(func(t *testing.T, document string) {
		g, err := verifyPayment("Payment "+payment.Encode([]byte(document)), testWant())
		if err != nil {
			if g != (Grant{}) || Code(err) == "internal" {
				t.Fatalf("%+v, %v", g, err)
			}
			return
		}
		if g == (Grant{}) {
			return // nothing to read
		}
		read, err := payment.ParseToken(payment.Encode([]byte(document)))
		if err != nil {
			t.Fatal(err)
		}
		read.Challenge.Description = ""
		if read.Challenge != challenge {
			t.Fatalf("a changed challenge opens: %s", document)
		}
	})
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
