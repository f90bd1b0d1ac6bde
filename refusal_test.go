package caddyl402

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"gopkg.in/macaroon.v2"

	"github.com/caddy-l402/caddy-l402/l402"
)

// forge makes a token with the server's own key and caveats that the server would not write.
func (s *server) forge(hash lntypes.Hash, caveats ...string) []byte {
	s.t.Helper()
	app := s.app()
	keyID, key, err := app.keys.Minting(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	tokenID, err := l402.NewTokenID(keyID, time.Now(), app.random)
	if err != nil {
		s.t.Fatal(err)
	}
	root := l402.RootKey(key, &tokenID)
	id := l402.Identifier{PaymentHash: hash, TokenID: tokenID}.Bytes()
	token, err := macaroon.New(root[:], id[:], "lsat", macaroon.V2)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, caveat := range caveats {
		if err := token.AddFirstPartyCaveat([]byte(caveat)); err != nil {
			s.t.Fatal(err)
		}
	}
	mac, err := token.MarshalBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	return mac
}

func TestTokensThatAreRefused(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat {\n\tlimit off\n}\ntest_upstream")
	good := s.buy("/premium/x")
	other := s.buy("/premium/x")
	hits := upstreamHits.Load()
	preimage := lntypes.Preimage{1, 2, 3}
	hash := preimage.Hash()
	now := time.Now().Unix()
	until := func(d int64) string {
		return "premium_valid_until=" + itoa(now+d)
	}
	const host = "premium_host=127.0.0.1"
	forged := func(caveats ...string) string { return l402.FormatAuthorization(s.forge(hash, caveats...), preimage) }

	foreign := append([]byte(nil), good.Macaroon...)
	foreign[len(foreign)-1] ^= 1
	many := make([]string, 0, 64)
	for range 60 {
		many = append(many, "premium_valid_until="+itoa(now+3600))
	}

	for name, tc := range map[string]struct{ code, authorization string }{
		"the forgery that is right":  {"", forged("services=premium:0", host, until(60))},
		"another service":            {"wrong_service", forged("services=basic:0", "basic_host=127.0.0.1")},
		"a tier not granted":         {"wrong_tier", forged("services=premium:1", host)},
		"no services caveat":         {"no_services", forged(host, until(60))},
		"expired by one second":      {"token_expired", forged("services=premium:0", host, until(-1))},
		"expires now":                {"token_expired", forged("services=premium:0", host, until(0))},
		"an unknown caveat":          {"unknown_caveat", forged("services=premium:0", host, until(60), "color=red")},
		"another host":               {"wrong_host", forged("services=premium:0", "premium_host=other.test")},
		"no host":                    {"wrong_host", forged("services=premium:0", until(60))},
		"two hosts":                  {"conflicting_caveats", forged("services=premium:0", host, "premium_host=other.test")},
		"a life that grows":          {"conflicting_caveats", forged("services=premium:0", host, until(60), until(120))},
		"services that grow":         {"conflicting_caveats", forged("services=premium:0", host, "services=premium:0,x:0")},
		"many caveats, all good":     {"", forged(append([]string{"services=premium:0", host}, many...)...)},
		"another invoice's preimage": {"preimage_mismatch", l402.FormatAuthorization(good.Macaroon, other.preimage)},
		"a flipped signature bit":    {"bad_signature", l402.FormatAuthorization(foreign, good.preimage)},
		"trailing text":              {"malformed_credential", good.authorization() + "00"},
		"half a preimage":            {"malformed_credential", good.authorization()[:len(good.authorization())-2]},
		"empty":                      {"malformed_credential", "L402 "},
		"only a colon":               {"malformed_credential", "L402 :"},
		"no base64":                  {"malformed_credential", "L402 !!!!:" + good.preimage.String()},
		"no macaroon":                {"unsupported_version", "L402 " + base64.StdEncoding.EncodeToString([]byte("hello hello hello")) + ":" + good.preimage.String()},
		"hex with a stranger":        {"malformed_credential", "L402 " + hex.EncodeToString(good.Macaroon) + "*:" + good.preimage.String()},
		"a foreign bearer":           {"payment_required", "Bearer abc.def.ghi"},
		"a foreign password":         {"payment_required", "Basic " + base64.StdEncoding.EncodeToString([]byte("user:password"))},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			if tc.code == "" {
				s.want(200, "GET", "/premium/x", "Authorization", tc.authorization)
				hits++
				return
			}
			a := s.wantCode(tc.code, "/premium/x", "Authorization", tc.authorization)
			s.challenge(a) // a refusal comes with a way to pay
		})
	}
	if got := upstreamHits.Load(); got != hits {
		t.Errorf("%d refused requests reached the upstream", got-hits)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func TestEveryFlippedBitIsRefused(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat {\n\tlimit off\n}\ntest_upstream")
	p := s.buy("/premium/x")
	hits := upstreamHits.Load()
	for i := range p.Macaroon {
		mac := append([]byte(nil), p.Macaroon...)
		mac[i] ^= 1 << (i % 8)
		s.want(402, "GET", "/premium/x", "Authorization", l402.FormatAuthorization(mac, p.preimage))
	}
	for i := range p.preimage {
		preimage := p.preimage
		preimage[i] ^= 1 << (i % 8)
		s.wantCode("preimage_mismatch", "/premium/x", "Authorization", l402.FormatAuthorization(p.Macaroon, preimage))
	}
	if upstreamHits.Load() != hits {
		t.Error("a changed token reached the upstream")
	}
}

func TestSomebodyElsesMacaroonWithOwnPreimage(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	theirs, mine := s.buy("/premium/x"), s.buy("/premium/x")
	// The thief knows a token without its preimage and adds his own in every way there is.
	s.wantCode("preimage_mismatch", "/premium/x", "Authorization", l402.FormatAuthorization(theirs.Macaroon, mine.preimage))
	withCaveat, err := l402.Attenuate(theirs.Macaroon, l402.Caveat{Condition: "preimage", Value: mine.preimage.String()})
	if err != nil {
		t.Fatal(err)
	}
	s.wantCode("preimage_mismatch", "/premium/x", "Macaroon", hex.EncodeToString(withCaveat))
}

func TestHugeHeaders(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	r, err := http.NewRequest("GET", "http://"+s.addr+"/premium/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "L402 "+strings.Repeat("A", 1<<20))
	if resp, err := client.Do(r); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("1 MiB header: got %d", resp.StatusCode)
		}
	}
	s.wantCode("token_too_long", "/premium/x", "Authorization", "L402 "+strings.Repeat("AAAA", 2048)+":"+strings.Repeat("0", 64))
	if upstreamHits.Load() != 0 {
		t.Error("it reached the upstream")
	}
}

func TestAttenuatedTokens(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	narrow := func(condition, value string) string {
		mac, err := l402.Attenuate(p.Macaroon, l402.Caveat{Condition: condition, Value: value})
		if err != nil {
			t.Fatal(err)
		}
		return l402.FormatAuthorization(mac, p.preimage)
	}
	now := time.Now().Unix()
	s.want(200, "GET", "/premium/x", "Authorization", narrow("premium_valid_until", itoa(now+60)))
	s.wantCode("token_expired", "/premium/x", "Authorization", narrow("premium_valid_until", itoa(now-1)))
	s.wantCode("conflicting_caveats", "/premium/x", "Authorization", narrow("premium_valid_until", itoa(now+30*86400)))
	s.wantCode("wrong_path", "/premium/x", "Authorization", narrow("premium_path", "/premium/y"))
	s.want(200, "GET", "/premium/y", "Authorization", narrow("premium_path", "/premium/y"))
	s.wantCode("unknown_caveat", "/premium/x", "Authorization", narrow("only_on", "sundays"))
}

func TestTokenOfOneHostDoesNotOpenAnother(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	p := s.buy("/premium/x")
	s.wantCode("wrong_host", "/premium/x", "Host", "other.test", "Authorization", p.authorization())
	p = s.buy("/premium/x", "Host", "OTHER.test")
	s.want(200, "GET", "/premium/x", "Host", "other.test", "Authorization", p.authorization())
}

func TestScopePath(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tscope path\n\tlimit off\n}\ntest_upstream")
	p := s.buy("/a/b")
	s.want(200, "GET", "/a/b?page=2", "Authorization", p.authorization())
	for _, path := range []string{"/a/B", "/a/b/", "/a//b", "/a/./b", "/a/c/../b", "/a%2fb", "/a/%62", "/a/bb", "/"} {
		s.wantCode("wrong_path", path, "Authorization", p.authorization())
	}
}

func TestPathTricksDoNotGetAroundTheGate(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	for _, path := range []string{
		"/premium/x", "//premium/x", "/./premium/x", "/premium/../premium/x", "/PREMIUM/x", "/Premium/x",
		"/%70remium/x", "/premium%2fx", "/premium/", "/x/../premium/y", "/x/%2e%2e/premium/y", "/premium/.%2e/premium/x",
	} {
		if a := s.do("GET", path); a.StatusCode != 402 {
			t.Errorf("%s: got %d %s", path, a.StatusCode, a.body)
		}
	}
	if upstreamHits.Load() != 0 {
		t.Error("something reached the upstream")
	}
}

func TestInternalRewriteIntoThePaidPart(t *testing.T) {
	s := serve(t, "wallet play sandbox", "rewrite /door/* /premium/x\n\tl402 /premium/* 10 sat\n\ttest_upstream")
	s.want(402, "GET", "/door/1")
	p := s.buy("/premium/x")
	s.want(200, "GET", "/door/1", "Authorization", p.authorization())
}

func TestNoMethodGetsThroughUnpaid(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X"} {
		s.want(402, method, "/premium/x")
	}
	s.want(402, "GET", "/premium/x", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13")
	if upstreamHits.Load() != 0 {
		t.Error("something reached the upstream")
	}
}

func TestExemptions(t *testing.T) {
	for name, tc := range map[string]struct {
		options string
		free    []string
		paid    []string
	}{
		"default": {"", []string{"GET /.well-known/other"}, []string{
			"GET /x", "GET /.well-known/../x", "GET /.well-known/%2e%2e/x", "GET /.well-known//../x",
			"GET /.well-known/%252e%252e/x", `GET /.well-known/..\x`, "GET /.well-known", "OPTIONS /x"}},
		"none":    {"exempt none", nil, []string{"GET /.well-known/other"}},
		"chosen":  {"exempt path /health\nexempt method OPTIONS", []string{"GET /health", "OPTIONS /x"}, []string{"GET /.well-known/x", "GET /x"}},
		"methods": {"methods get post", []string{"DELETE /x"}, []string{"GET /x", "HEAD /x", "POST /x"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", "l402 10 sat {\n\t"+tc.options+"\n}\ntest_upstream")
			for _, request := range tc.free {
				method, path, _ := strings.Cut(request, " ")
				s.want(200, method, path)
			}
			for _, request := range tc.paid {
				method, path, _ := strings.Cut(request, " ")
				s.want(402, method, path)
			}
		})
	}
}
