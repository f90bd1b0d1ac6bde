package caddyl402

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/l402"
)

const receiptsAt = "/.well-known/l402/receipts/"

// receiptAnswer is the JSON of a receipt.
type receiptAnswer struct {
	Receipt struct {
		Iss         string    `json:"iss"`
		PaymentHash string    `json:"payment_hash"`
		AmountMsat  uint64    `json:"amount_msat"`
		Service     string    `json:"service"`
		Tier        int       `json:"tier"`
		SettledAt   time.Time `json:"settled_at"`
		Scheme      string    `json:"scheme"`
		TokenID     string    `json:"token_id"`
	} `json:"receipt"`
	JWS string `json:"jws"`
}

// receipt asks for a receipt and checks it as a third party does, by the published keys alone.
func (s *server) receipt(hash lntypes.Hash, headers ...string) receiptAnswer {
	s.t.Helper()
	a := s.want(200, "GET", receiptsAt+hash.String(), headers...)
	var got receiptAnswer
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		s.t.Fatal(err, a.body)
	}
	payload := s.thirdParty(got.JWS)
	want, err := json.Marshal(got.Receipt)
	if err != nil {
		s.t.Fatal(err)
	}
	if payload != string(want) {
		s.t.Fatalf("signed is %s, shown is %s", payload, want)
	}
	return got
}

// thirdParty checks a JWS by the published keys and returns what is signed.
func (s *server) thirdParty(compact string) string {
	s.t.Helper()
	keys := s.want(200, "GET", "/.well-known/l402/keys.json")
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(keys.body), &set); err != nil {
		s.t.Fatal(err)
	}
	jws, err := jose.ParseSigned(strings.TrimSpace(compact), []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		s.t.Fatal(err)
	}
	payload, err := jws.Verify(&set)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(payload)
}

func TestReceipt(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat {\n\tservice premium 3\n}\ntest_upstream")
	p := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	hash := p.preimage.Hash()
	r := s.receipt(hash, "Authorization", p.authorization()).Receipt
	id, err := l402.Describe(p.Macaroon)
	if err != nil {
		t.Fatal(err)
	}
	if r.Iss != s.addr || r.PaymentHash != hash.String() || r.AmountMsat != 10_000 || r.Service != "premium" || r.Tier != 3 ||
		r.Scheme != "L402" || r.TokenID != id.TokenID || time.Since(r.SettledAt) > time.Minute || r.SettledAt.Nanosecond() != 0 {
		t.Errorf("%+v", r)
	}
	a := s.want(200, "GET", receiptsAt+hash.String(), "Authorization", p.authorization(), "Origin", "https://app.example")
	if a.Header.Get("Cache-Control") != "private, no-store" || a.Header.Get("Content-Type") != "application/json" ||
		a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(a.Header)
	}
	if strings.Contains(a.body, p.preimage.String()) {
		t.Error("the preimage is in the receipt")
	}
	bare := s.want(200, "GET", receiptsAt+hash.String(), "Authorization", p.authorization(), "Accept", "application/jose")
	if bare.Header.Get("Content-Type") != "application/jose" || !strings.Contains(s.thirdParty(bare.body), hash.String()) {
		t.Error(bare.Header, bare.body)
	}
	head := s.want(200, "HEAD", receiptsAt+hash.String(), "Authorization", p.authorization())
	if head.body != "" || head.Header.Get("Content-Length") != a.Header.Get("Content-Length") {
		t.Error(head.Header, head.body)
	}
	keys := s.want(200, "GET", "/.well-known/l402/keys.json")
	if keys.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(keys.Header.Get("Cache-Control"), "public") ||
		keys.Header.Get("Content-Type") != "application/jwk-set+json" || strings.Contains(keys.body, `"d"`) {
		t.Error(keys.Header, keys.body)
	}
	// Upper-case digits name the same payment.
	s.want(200, "GET", receiptsAt+strings.ToUpper(hash.String()), "Authorization", p.authorization())
}

func TestReceiptInEveryFormOfCredential(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	pair := strings.TrimPrefix(p.authorization(), "L402 ")
	inside, err := l402.Attenuate(p.Macaroon, l402.Caveat{Condition: l402.ConditionPreimage, Value: p.preimage.String()})
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string][2]string{
		"lsat": {"Authorization", "LSAT " + pair}, "bearer": {"Authorization", "Bearer " + pair},
		"cookie": {"Cookie", "l402=" + pair}, "macaroon": {"Macaroon", hexOf(inside)},
		"behind a bad one": {"Authorization", "L402 AAAA:" + p.preimage.String() + ", L402 " + pair},
	} {
		if got := s.receipt(p.preimage.Hash(), header[0], header[1]); got.Receipt.Service != "premium" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestReceiptRefusals(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat\ntest_upstream")
	p, other := s.buy("/premium/x"), s.buy("/premium/x")
	for _, bought := range []purchase{p, other} {
		s.want(200, "GET", "/premium/x", "Authorization", bought.authorization())
	}
	unpaid := s.challenge(s.want(402, "GET", "/premium/x"))
	unpaidID, err := l402.Describe(unpaid.Macaroon)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever has a preimage, from a payment that he routed for instance, has no token.
	forged, err := l402.Mint(&l402.MasterKey{1}, l402.Identifier{PaymentHash: p.preimage.Hash(), TokenID: tokenIDOf(t, p.Macaroon)},
		l402.Terms{Service: "premium"}.Caveats())
	if err != nil {
		t.Fatal(err)
	}
	changed := append([]byte(nil), p.Macaroon...)
	changed[len(changed)-1] ^= 1
	hash := p.preimage.Hash().String()
	for _, tc := range []struct {
		name, path, authorization, host string
		status                          int
		code                            string
	}{
		{"no token", hash, "", "", 401, "receipt_credential"},
		{"a password", hash, "Basic dXNlcjpwYXNz", "", 401, ""},
		{"forged", hash, l402.FormatAuthorization(forged, p.preimage), "", 401, "bad_signature"},
		{"changed", hash, l402.FormatAuthorization(changed, p.preimage), "", 401, "bad_signature"},
		{"another payment's token", hash, other.authorization(), "", 401, "receipt_credential"},
		{"another payment's preimage", hash, l402.FormatAuthorization(p.Macaroon, other.preimage), "", 401, "preimage_mismatch"},
		{"at another host", hash, p.authorization(), "other.test", 401, "wrong_host"},
		{"an unpaid token", unpaidID.PaymentHash, "L402 " + base64Of(unpaid.Macaroon), "", 404, "receipt_unknown"},
		{"no hash", "abc", p.authorization(), "", 404, "receipt_unknown"},
		{"a digit more", hash + "0", p.authorization(), "", 404, "receipt_unknown"},
		{"a hash that nobody knows", strings.Repeat("0", 64), p.authorization(), "", 401, "receipt_credential"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			headers := []string{"Authorization", tc.authorization}
			if tc.host != "" {
				headers = append(headers, "Host", tc.host)
			}
			a := s.do("GET", receiptsAt+tc.path, headers...)
			if a.StatusCode != tc.status || tc.code != "" && a.code() != tc.code || strings.Contains(a.body, "jws") {
				t.Fatalf("%d %s %s", a.StatusCode, a.code(), a.body)
			}
			if a.Header.Get("Cache-Control") != "no-store" || (a.StatusCode == 401) != (a.Header.Get("WWW-Authenticate") != "") ||
				strings.Contains(a.Header.Get("WWW-Authenticate"), "macaroon") {
				t.Error(a.Header)
			}
		})
	}
	if a := s.want(405, "POST", receiptsAt+hash, "Authorization", p.authorization()); a.Header.Get("Allow") == "" {
		t.Error(a.Header)
	}
	preflight := s.want(204, "OPTIONS", receiptsAt+hash, "Origin", "https://app.example",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if preflight.Header.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Error(preflight.Header)
	}
	// The neighbors of these paths are the site's own.
	for _, path := range []string{"/.well-known/l402/", "/.well-known/l402/receipts", receiptsAt, receiptsAt + hash + "/x", "/.well-known/l402/keys.json/x"} {
		s.want(200, "GET", path)
		if upstreamHits.Swap(0) == 0 {
			t.Errorf("%s did not reach the upstream", path)
		}
	}
}

func tokenIDOf(t *testing.T, mac []byte) l402.TokenID {
	t.Helper()
	var c l402.Credential
	if err := c.SetMacaroon(mac); err != nil {
		t.Fatal(err)
	}
	id, ok := c.Identifier()
	if !ok {
		t.Fatal("no identifier")
	}
	return id.TokenID
}

func TestReceiptsAreLimited(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	s.app().desk.limiter = newFreshLimiter() // the process's own is shared by all tests
	limited := false
	for range defaultLimitEvents + 2 {
		a := s.do("GET", receiptsAt+p.preimage.Hash().String(), "Authorization", "L402 AAAA:"+p.preimage.String())
		limited = limited || a.StatusCode == 429 && a.Header.Get("Retry-After") != ""
	}
	if !limited {
		t.Error("guessing is not limited")
	}
	s.receipt(p.preimage.Hash(), "Authorization", p.authorization()) // who has the token is not
	s.want(402, "GET", "/premium/x")                                 // nor is the service
}

func TestReceiptOfAnExpiredUsedUpAndRevokedToken(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat {\n\tvalid 2s\n\tinvoice_expiry 2s\n\tuses 1\n}\ntest_upstream")
	p := s.buy("/premium/x")
	hash := p.preimage.Hash()
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	s.wantCode("uses_exhausted", "/premium/x", "Authorization", p.authorization())
	s.receipt(hash, "Authorization", p.authorization())
	if err := s.app().books.Ledger().Revoke(t.Context(), "payment", hash.String(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2100 * time.Millisecond)
	s.wantCode("token_expired", "/premium/x", "Authorization", p.authorization())
	s.receipt(hash, "Authorization", p.authorization())
}

func TestReceiptBeforeFirstUse(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	if got := s.receipt(p.preimage.Hash(), "Authorization", p.authorization()); got.Receipt.AmountMsat != 10_000 {
		t.Error(got)
	}
	// Without the preimage the wallet is asked, also where it tells of nothing by itself.
	s.reload(s.config("wallet node fake receipts", gated))
	challenge := s.challenge(s.want(402, "GET", "/premium/x"))
	id, err := l402.Describe(challenge.Macaroon)
	if err != nil {
		t.Fatal(err)
	}
	path, token := receiptsAt+id.PaymentHash, "L402 "+base64Of(challenge.Macaroon)
	s.want(404, "GET", path, "Authorization", token)
	s.pay(challenge.Invoice)
	time.Sleep(600 * time.Millisecond) // "pending" is believed for half a second
	s.want(200, "GET", path, "Authorization", token)
	if fake(t, "receipts").lookups.Load() == 0 {
		t.Error("the wallet was not asked")
	}
}

func TestReceiptAfterRestart(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	before := s.receipt(p.preimage.Hash(), "Authorization", p.authorization())
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	sales.Purge() // as a new process begins
	s.reload(s.config("wallet play sandbox", gated))
	if after := s.receipt(p.preimage.Hash(), "Authorization", p.authorization()); after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
	s.thirdParty(before.JWS)
}

func TestReceiptWhileStorageIsGone(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	if err := s.app().books.Ledger().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A file where the folder of the keys belongs.
	if err := os.WriteFile(filepath.Join(s.storage, "l402", "receipts"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := s.want(http.StatusServiceUnavailable, "GET", receiptsAt+p.preimage.Hash().String(), "Authorization", p.authorization())
	if a.code() != "receipt_unavailable" || a.Header.Get("Retry-After") == "" || strings.Contains(a.body, s.storage) {
		t.Error(a.body)
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
}

func TestWhereReceiptsAre(t *testing.T) {
	const keys = "/.well-known/l402/keys.json"
	for name, tc := range map[string]struct {
		site string
		want int // 402 where the gate stands before, 200 from us
		ours bool
	}{
		"beside a gate":             {"l402 /premium/* 10 sat\ntest_upstream", 200, true},
		"behind a gate for all":     {"l402 10 sat\ntest_upstream", 200, true},
		"with a gate around it":     {"l402 /* 10 sat {\n\texempt none\n}\ntest_upstream", 200, true},
		"named gate":                {"@all path /*\nl402 @all 10 sat {\n\texempt path /x\n}\ntest_upstream", 200, true},
		"on a rewriting site":       {"l402 /premium/* 10 sat\nrewrite * /index.html\ntest_upstream", 200, true},
		"in a handle block":         {"handle {\n\tl402 10 sat\n\ttest_upstream\n}", 200, true},
		"in a route block":          {"route {\n\tl402 10 sat\n\ttest_upstream\n}", 200, true},
		"directive of its own":      {"handle /premium/* {\n\tl402 10 sat\n}\nl402_receipts\ntest_upstream", 200, true},
		"out of the block's reach":  {"handle /premium/* {\n\tl402 10 sat\n}\nhandle {\n\ttest_upstream\n}", 200, false},
		"off":                       {"l402 /premium/* 10 sat {\n\treceipts off\n}\ntest_upstream", 200, false},
		"off behind a gate":         {"l402 10 sat {\n\treceipts off\n\texempt none\n}\ntest_upstream", 402, false},
		"off in one of two":         {"l402 /a/* 10 sat {\n\treceipts off\n}\nl402 /b/* 10 sat\ntest_upstream", 200, true},
		"one in a block, one not":   {"handle /a/* {\n\tl402 10 sat {\n\t\tservice a\n\t}\n}\nl402 /b/* 10 sat\ntest_upstream", 200, true},
		"stripped prefix in a path": {"handle_path /shop/* {\n\tl402 10 sat\n\ttest_upstream\n}\ntest_upstream", 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", tc.site)
			a := s.want(tc.want, "GET", keys)
			if ours := a.Header.Get("Content-Type") == "application/jwk-set+json"; ours != tc.ours {
				t.Errorf("ours %v: %v %s", ours, a.Header, a.body)
			}
			if name == "stripped prefix in a path" {
				s.want(200, "GET", "/shop"+keys)
			}
		})
	}
}
