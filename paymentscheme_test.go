package caddyl402

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// paymentChallenge is the answer's only challenge of the Payment scheme.
func (s *server) paymentChallenge(a answer) payment.Challenge {
	s.t.Helper()
	challenges, err := payment.ParseChallenges(a.Header.Values("WWW-Authenticate"))
	if err != nil || len(challenges) != 1 {
		s.t.Fatalf("challenges %v, %v in %v", challenges, err, a.Header)
	}
	return challenges[0]
}

// charge reads the request of a challenge.
func (s *server) charge(c payment.Challenge) *payment.ChargeRequest {
	s.t.Helper()
	charge, err := payment.ParseChargeRequest(c.Request)
	if err != nil {
		s.t.Fatal(err)
	}
	return charge
}

// paidChallenge is a challenge of the Payment scheme that was paid, with the L402 token of the same
// invoice.
type paidChallenge struct {
	payment.Challenge
	purchase
}

func (p paidChallenge) credential() string { return formatPayment(p.Challenge, p.preimage) }

func formatPayment(c payment.Challenge, preimage lntypes.Preimage) string {
	header, err := l402.FormatPaymentAuthorization(c, preimage)
	if err != nil {
		panic(err)
	}
	return header
}

// buyPayment gets a challenge at a path and pays it.
func (s *server) buyPayment(path string, headers ...string) paidChallenge {
	s.t.Helper()
	a := s.want(http.StatusPaymentRequired, "GET", path, headers...)
	c := s.paymentChallenge(a)
	preimage := s.pay(s.charge(c).MethodDetails.Invoice)
	mac, ok := l402.PaymentToken(&c)
	if !ok {
		s.t.Fatal("the challenge holds no token")
	}
	return paidChallenge{c, purchase{l402.Challenge{Macaroon: mac}, preimage}}
}

func TestPaymentChallenge(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	a := s.wantCode("payment_required", "/premium/x", "Origin", "https://app.test")
	c, token := s.paymentChallenge(a), s.challenge(a)
	charge, invoice := s.charge(c), token.Invoice
	decoded, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		t.Fatal(err)
	}
	want := payment.ChargeRequest{Amount: "10", Currency: "sat", ExternalID: charge.ExternalID, MethodDetails: payment.LightningDetails{
		Invoice: invoice, Network: "regtest", PaymentHash: decoded.PaymentHash.String(),
	}}
	if *charge != want || c.Realm != "127.0.0.1" || c.Method != "lightning" || c.Intent != "charge" || c.Header+c.Opaque+c.Digest != "" {
		t.Errorf("%+v with %+v", c, charge)
	}
	if mac, ok := l402.PaymentToken(&c); !ok || string(mac) != string(token.Macaroon) {
		t.Error("it sells another token than the L402 line")
	}
	if expires, err := time.Parse(time.RFC3339, c.Expires); err != nil || expires.After(decoded.ExpiresAt) {
		t.Errorf("expires %s, the invoice at %s, %v", c.Expires, decoded.ExpiresAt, err)
	}
	var body struct{ Type, ChallengeID string }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Type != payment.ProblemPaymentRequired || body.ChallengeID != c.ID {
		t.Errorf("%s, %v", a.body, err)
	}
	if exposed := strings.Join(a.Header.Values("Access-Control-Expose-Headers"), ","); !strings.Contains(exposed, "Payment-Receipt") {
		t.Error(exposed)
	}

	// It is first for those alone who ask for it, and left out for those who do not want it.
	for accept, order := range map[string]string{
		"":                                "L402 Payment",
		"lightning/charge":                "Payment L402",
		"tempo/charge, lightning/*;q=0.2": "Payment L402",
		"*/*":                             "L402 Payment",
		"tempo/charge":                    "L402 Payment",
		"lightning/charge;q=0":            "L402",
		"lightning/session":               "L402 Payment",
		"garbage;;;=,/":                   "L402 Payment",
	} {
		var schemes []string
		for _, line := range s.want(402, "GET", "/premium/x", "Accept-Payment", accept).Header.Values("WWW-Authenticate") {
			scheme, _, _ := strings.Cut(line, " ")
			schemes = append(schemes, scheme)
		}
		if got := strings.Join(schemes, " "); got != order {
			t.Errorf("Accept-Payment %q: %s, want %s", accept, got, order)
		}
	}
}

func TestPaymentCredentials(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buyPayment("/premium/x")
	credential := p.credential()
	for name, headers := range map[string][]string{
		"as it is":          {"Authorization", credential},
		"lower case":        {"Authorization", "payment" + strings.TrimPrefix(credential, "Payment")},
		"upper case":        {"Authorization", "PAYMENT  " + strings.TrimPrefix(credential, "Payment ")},
		"padded":            {"Authorization", credential + strings.Repeat("=", (4-len(strings.TrimPrefix(credential, "Payment "))%4)%4)},
		"own header":        {"Payment-Authorization", credential},
		"behind a stranger": {"Authorization", "Bearer x", "Authorization", credential},
		"in the same line":  {"Authorization", "Bearer x, " + credential},
		"behind a bad one":  {"Authorization", "Payment e30", "Payment-Authorization", credential},
		"its token as L402": {"Authorization", p.authorization()},
	} {
		a := s.want(200, "GET", "/premium/x", append(headers, "Origin", "https://app.test")...)
		if strings.Contains(strings.ToLower(a.body), "payment ") || strings.Contains(a.body, "L402") {
			t.Errorf("%s: the upstream saw the credential: %s", name, a.body)
		}
		receipt := a.Header.Get("Payment-Receipt")
		if name == "its token as L402" {
			if receipt != "" {
				t.Error("a receipt of the Payment scheme for an L402 credential")
			}
			continue
		}
		got, err := payment.ParseReceipt(receipt)
		if err != nil {
			t.Fatal(name, err)
		}
		at, err := time.Parse(time.RFC3339, got.Timestamp)
		if err != nil || time.Since(at).Abs() > time.Hour {
			t.Errorf("%s: at %s, %v", name, got.Timestamp, err)
		}
		if want := payment.NewReceipt(p.preimage.Hash(), p.ID, at); got != want {
			t.Errorf("%s: receipt %+v, want %+v", name, got, want)
		}
		if !slices.Contains(a.Header.Values("Cache-Control"), "private") || a.Header.Get("X-L402-Valid-Until") == "" {
			t.Errorf("%s: %v", name, a.Header)
		}
		if exposed := strings.Join(a.Header.Values("Access-Control-Expose-Headers"), ","); !strings.Contains(exposed, "Payment-Receipt") {
			t.Errorf("%s: scripts cannot read the receipt: %s", name, exposed)
		}
	}
	// A foreign credential beside it goes on to the upstream.
	a := s.want(200, "GET", "/premium/x", "Authorization", "Bearer mine", "Payment-Authorization", credential)
	if !strings.Contains(a.body, `authorization=["Bearer mine"]`) {
		t.Error(a.body)
	}
	// Who needs Authorization for something else is told the other header, and can use it.
	other := s.buyPayment("/premium/x", "Authorization", "Bearer mine", "Accept-Payment", "lightning/charge")
	if other.Header != "Payment-Authorization" {
		t.Errorf("header %q", other.Header)
	}
	s.want(200, "GET", "/premium/x", "Authorization", "Bearer mine", "Payment-Authorization", other.credential())
	without := other.Challenge
	without.Header = ""
	s.wantCode("invalid_challenge", "/premium/x", "Payment-Authorization", formatPayment(without, other.preimage))
	if plain := s.buyPayment("/premium/x", "Authorization", "Bearer mine"); plain.Header != "" {
		t.Error("a client that says nothing of the newer draft is given its header")
	}
}

func TestPaymentReceiptOnSuccessAlone(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	l402 10 sat {
		uses 100
	}
	route {
		header Payment-Receipt forged
		respond /404 404
		respond /500 500
		respond /204 204
		redir /302 /elsewhere
		test_upstream
	}`)
	p := s.buyPayment("/x")
	for path, status := range map[string]int{"/404": 404, "/500": 500, "/302": 302, "/204": 204, "/x": 200} {
		a := s.want(status, "GET", path, "Authorization", p.credential())
		if got := a.Header.Values("Payment-Receipt"); (status < 300) != (len(got) == 1) || slices.Contains(got, "forged") {
			t.Errorf("%s: receipts %q", path, got)
		}
	}
	if a := s.wantCode("payment_required", "/x"); a.Header.Get("Payment-Receipt") != "" {
		t.Error("a receipt with a challenge")
	}
}

func TestPaymentCredentialsThatAreRefused(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	l402 /cheap 10 sat {
		service cheap
	}
	l402 /dear 5000 sat {
		service dear
	}
	l402 /here/* 10 sat {
		service here
		scope path
	}
	l402 /host 10 sat
	test_upstream`)
	cheap, here, host := s.buyPayment("/cheap"), s.buyPayment("/here/a"), s.buyPayment("/host")
	s.want(200, "GET", "/cheap", "Authorization", cheap.credential())
	s.want(200, "GET", "/here/a", "Authorization", here.credential())
	s.want(200, "GET", "/host", "Authorization", host.credential())
	hits := upstreamHits.Load()

	s.wantCode("wrong_service", "/dear", "Authorization", cheap.credential())
	s.wantCode("wrong_path", "/here/b", "Authorization", here.credential())
	s.wantCode("wrong_host", "/host", "Authorization", host.credential(), "Host", "other.test")
	s.wantCode("preimage_mismatch", "/cheap", "Authorization", formatPayment(cheap.Challenge, here.preimage))

	// Every part of the echo is bound.
	dear := s.paymentChallenge(s.want(402, "GET", "/dear"))
	for name, change := range map[string]func(*payment.Challenge){
		"id": func(c *payment.Challenge) { c.ID = dear.ID },
		"id in part": func(c *payment.Challenge) { // its last letter is one of sixteen
			if c.ID = c.ID[:42] + "A"; c.ID == cheap.ID {
				c.ID = c.ID[:42] + "E"
			}
		},
		"short id":    func(c *payment.Challenge) { c.ID = c.ID[:10] },
		"realm":       func(c *payment.Challenge) { c.Realm = "other.test" },
		"request":     func(c *payment.Challenge) { c.Request = dear.Request },
		"later end":   func(c *payment.Challenge) { c.Expires = "2099-01-01T00:00:00Z" },
		"no end":      func(c *payment.Challenge) { c.Expires = "" },
		"digest":      func(c *payment.Challenge) { c.Digest = "sha-256=:AAAA:" },
		"header":      func(c *payment.Challenge) { c.Header = "Payment-Authorization" },
		"opaque":      func(c *payment.Challenge) { c.Opaque = "e30" },
		"moved slots": func(c *payment.Challenge) { c.Realm, c.Method = c.Realm+"|"+c.Method, "lightning" },
		"padded":      func(c *payment.Challenge) { c.Request += "=" },
	} {
		altered := cheap.Challenge
		change(&altered)
		a := s.want(402, "GET", "/cheap", "Authorization", formatPayment(altered, cheap.preimage))
		if code := a.code(); code != "invalid_challenge" && (name != "request" && name != "padded") {
			t.Errorf("%s: %s", name, code)
		}
		s.paymentChallenge(a) // a fresh one comes along
	}
	// A token of ours in a challenge that somebody else made, with his own secret or ours guessed.
	for _, secret := range []string{"", "guess", strings.Repeat("\x00", 32)} {
		forged := cheap.Challenge
		if err := forged.Seal([]byte(secret)); err != nil {
			t.Fatal(err)
		}
		s.wantCode("invalid_challenge", "/cheap", "Authorization", formatPayment(forged, cheap.preimage))
	}
	// The description is for people, and no part of the id.
	described := cheap.Challenge
	described.Description = "something"
	s.want(200, "GET", "/cheap", "Authorization", formatPayment(described, cheap.preimage))
	hits++

	unsupported := cheap.Challenge
	unsupported.Intent = "session"
	a := s.want(400, "GET", "/cheap", "Authorization", formatPayment(unsupported, cheap.preimage))
	if a.code() != "method_unsupported" || !strings.Contains(a.body, payment.ProblemMethodUnsupported) {
		t.Error(a.body)
	}
	if upstreamHits.Load() != hits {
		t.Error("a refused credential reached the upstream")
	}
}

func TestPaymentCredentialsThatCannotBeRead(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buyPayment("/premium/x")
	credential := p.credential()
	json := func(text string) string { return "Payment " + base64.RawURLEncoding.EncodeToString([]byte(text)) }
	echo := `"challenge":{"id":"i","realm":"r","method":"lightning","intent":"charge","request":"e30"}`
	for name, header := range map[string]string{
		"no base64":            "Payment !!!",
		"no JSON":              json("hello"),
		"nothing in it":        json("{}"),
		"null":                 json("null"),
		"a list":               json("[]"),
		"no payload":           json("{" + echo + "}"),
		"payload is a text":    json("{" + echo + `,"payload":"x"}`),
		"no preimage":          json("{" + echo + `,"payload":{}}`),
		"preimage a number":    json("{" + echo + `,"payload":{"preimage":1}}`),
		"upper-case preimage":  formatUpper(p),
		"no invoice":           json("{" + echo + `,"payload":{"preimage":"` + strings.Repeat("0", 64) + `"}}`),
		"two documents":        json("{" + echo + `,"payload":{}}{}`),
		"nested deeply":        json(strings.Repeat("[", 8000)),
		"cut":                  credential[:len(credential)-8],
		"more behind":          credential + "AAAA",
		"std base64":           "Payment " + strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimPrefix(credential, "Payment ")) + "+",
		"as long as it can be": "Payment " + strings.Repeat("A", 12<<10),
	} {
		a := s.want(402, "GET", "/premium/x", "Authorization", header)
		if a.code() != "malformed_payment_credential" || !strings.Contains(a.body, payment.ProblemMalformedCredential) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	// Many of them in one request.
	var headers []string
	for range 40 {
		headers = append(headers, "Authorization", "Payment e30")
	}
	s.want(402, "GET", "/premium/x", headers...)
	if upstreamHits.Load() != 0 {
		t.Error("it reached the upstream")
	}
}

// formatUpper is a credential whose preimage is written in upper case.
func formatUpper(p paidChallenge) string {
	paid, err := payment.ParseCredential(p.credential())
	if err != nil {
		panic(err)
	}
	paid.Payload = json.RawMessage(`{"preimage":"` + strings.ToUpper(p.preimage.String()) + `"}`)
	header, err := paid.Format()
	if err != nil {
		panic(err)
	}
	return header
}

// forgePayment makes a paid challenge with the server's own key, whose invoice expires at a time, and
// whose token has caveats that the server would not write.
func (s *server) forgePayment(expires time.Time, caveats ...string) string {
	s.t.Helper()
	preimage := lntypes.Preimage{byte(len(caveats)), 1}
	invoice := s.challenge(s.want(402, "GET", "/premium/x")).Invoice
	mac := s.forge(preimage.Hash(), append([]string{"services=premium:0", "premium_host=127.0.0.1"}, caveats...)...)
	_, key, err := s.app().keys.Minting(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := l402.Challenge{Macaroon: mac, Invoice: invoice}.Payment(key, l402.PaymentTerms{
		Realm: "127.0.0.1", Amount: 10_000, Expires: expires,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return formatPayment(c, preimage)
}

func TestPaymentEndsWithWhatWasBought(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	now := time.Now()
	past, future := "premium_valid_until="+itoa(now.Add(-time.Minute).Unix()), "premium_valid_until="+itoa(now.Add(time.Hour).Unix())
	a := s.wantCode("token_expired", "/premium/x", "Authorization", s.forgePayment(now.Add(time.Hour), past))
	if !strings.Contains(a.body, payment.ProblemPaymentExpired) {
		t.Error(a.body)
	}
	s.wantCode("unknown_caveat", "/premium/x", "Authorization", s.forgePayment(now.Add(time.Hour), "premium_mood=good", future))
	// Who paid in time is served when the invoice is over: the money cannot be given back.
	s.want(200, "GET", "/premium/x", "Authorization", s.forgePayment(now.Add(-time.Minute), future))
}

func TestPaymentRotationAndRevocation(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	app := s.app()
	old := app.keys.Keys()[0].ID
	p := s.buyPayment("/premium/x")
	if _, err := app.keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.credential())
	fresh := s.buyPayment("/premium/x")
	if err := app.keys.Retire(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	a := s.wantCode("unknown_key", "/premium/x", "Authorization", p.credential())
	if !strings.Contains(a.body, payment.ProblemInvalidChallenge) {
		t.Error(a.body)
	}
	s.want(200, "GET", "/premium/x", "Authorization", fresh.credential())

	// An instance that has not seen the key yet finds it in storage.
	s.reload(s.config("wallet play sandbox", gated+"\nrespond /other 204"))
	s.want(200, "GET", "/premium/x", "Authorization", fresh.credential())

	book, other := s.app().books.Ledger(), s.buyPayment("/premium/x")
	if err := book.Revoke(t.Context(), ledger.KindPayment, fresh.preimage.Hash().String(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.wantCode("token_revoked", "/premium/x", "Authorization", fresh.credential())
	s.want(200, "GET", "/premium/x", "Authorization", other.credential())
	if err := book.Revoke(t.Context(), ledger.KindService, "premium", time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.wantCode("token_revoked", "/premium/x", "Authorization", other.credential())
}
