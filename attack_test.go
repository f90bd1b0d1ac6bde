package caddyl402

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// raw sends the text of a request and returns the connection.
func (s *server) raw(text string) *net.TCPConn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// post sends a body and returns the status.
func (s *server) post(path, body string, headers ...string) int {
	s.t.Helper()
	r, err := http.NewRequest("POST", "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	// The upstream of these tests does not read the body; a long one must not be in its way.
	r.Header.Set("Expect", "100-continue")
	patient := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 10 * time.Second}}
	resp, err := patient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// A client that closes its half of the connection counts as gone, and could go on to read. What
// is not charged must not be answered.
func TestAHalfClosedConnectionGetsNothingForNothing(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 2")+"test_upstream")
	p := s.buy("/x")
	release := holdUpstream(t)
	before := upstreamHits.Load()
	conn := s.raw("GET /x HTTP/1.1\r\nHost: " + s.addr + "\r\nX-Wait: 1\r\nAuthorization: " + p.authorization() + "\r\n\r\n")
	for upstreamHits.Load() == before {
		time.Sleep(5 * time.Millisecond)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // until the server noticed
	release()
	answer, _ := io.ReadAll(conn)
	if strings.Contains(string(answer), "authorization=") {
		a := s.want(200, "GET", "/x", "Authorization", p.authorization())
		t.Errorf("an answer that was not charged got out; %s uses are left after the next one:\n%s",
			a.Header.Get("X-L402-Remaining-Uses"), answer)
	}
}

func TestAnIdempotencyKeyStandsForOneBody(t *testing.T) {
	s := serve(t, "wallet play sandbox", metered("uses 2")+"test_upstream")
	p := s.buy("/x")
	send := func(body string, headers ...string) int {
		return s.post("/x", body, append(headers, "Authorization", p.authorization(), "Idempotency-Key", "k")...)
	}
	if got := []int{send("question 1"), send("question 1"), send("question 2"), send("question 3")}; fmt.Sprint(got) != "[200 200 200 402]" {
		t.Error("one, its retry, another, a third:", got)
	}
	p = s.buy("/x")
	if got := []int{send("q", "Range", "bytes=0-9"), send("q", "Range", "bytes=10-19"), send("q", "Range", "bytes=20-29")}; fmt.Sprint(got) != "[200 200 402]" {
		t.Error("parts:", got)
	}
	// A body that is too long to compare is charged each time.
	p = s.buy("/x")
	long := strings.Repeat("x", 100_000)
	if got := []int{send(long), send(long), send(long)}; fmt.Sprint(got) != "[200 200 402]" {
		t.Error("long bodies:", got)
	}
}

func TestPassIsForWalletErrorsAlone(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /a/* 10 sat {\n\tscope path\n\ton_wallet_error pass\n}\nl402 /b/* 10 sat {\n\tscope host\n\ton_wallet_error pass\n}\ntest_upstream")
	if a := s.do("GET", "/a/"+strings.Repeat("x", 8000)); a.StatusCode < 400 {
		t.Errorf("a long path: got %d %s", a.StatusCode, a.body)
	}
	app, wallet := s.app(), 0
	for _, w := range app.open {
		wallet = w.cashier.Premade()
	}
	if wallet != 0 {
		t.Error("invoices were made for it")
	}
	if upstreamHits.Load() != 0 {
		t.Error("it reached the upstream")
	}
}

func TestALongHostIsNotFree(t *testing.T) {
	s := serve(t, "wallet play sandbox", "respond nothing")
	s.reload(strings.Replace(s.config("wallet play sandbox", "l402 10 sat {\n\tscope host\n\ton_wallet_error pass\n}\ntest_upstream"),
		"http://"+s.addr+", http://other.test:"+s.addr[strings.LastIndexByte(s.addr, ':')+1:], "http://:"+s.addr[strings.LastIndexByte(s.addr, ':')+1:], 1))
	if a := s.do("GET", "/x", "Host", strings.Repeat("x", 5000)); a.StatusCode < 400 {
		t.Errorf("a long host: got %d %s", a.StatusCode, a.body)
	}
	// A token that is bound to no host would never pass: it must not be sold.
	conn := s.raw("GET /x HTTP/1.0\r\n\r\n")
	if answer, _ := io.ReadAll(conn); strings.Contains(string(answer), "402") || strings.Contains(string(answer), "200 OK") {
		t.Errorf("without a host: %s", answer)
	}
	if upstreamHits.Load() != 0 {
		t.Error("it reached the upstream")
	}
}

func TestAnEmptyPathIsTheRoot(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tscope path\n}\ntest_upstream")
	conn := s.raw("GET http://" + s.addr + " HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	challenge := s.challenge(answer{Response: resp})
	p := purchase{challenge, s.pay(challenge.Invoice)}
	s.want(200, "GET", "/", "Authorization", p.authorization())
}

func TestMethodsAreChargedInEveryCase(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tmethods POST\n}\ntest_upstream")
	for _, method := range []string{"POST", "post", "Post"} {
		s.want(402, method, "/x")
	}
	config, err := adapt(s.config("wallet play sandbox", "l402 10 sat {\n\tmethods POST\n}\ntest_upstream"))
	if err != nil {
		t.Fatal(err)
	}
	if err := load([]byte(strings.Replace(string(config), `"methods":["POST"]`, `"methods":["post"]`, 1))); err != nil {
		t.Fatal(err)
	}
	s.want(402, "POST", "/x")
}

func TestAPreflightShowsNothingButCORS(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	l402 10 sat
	header /ok {
		Access-Control-Allow-Origin https://app.test
		X-Secret hunter2
		defer
	}
	route {
		header X-Secret hunter2
		header Set-Cookie session=hunter2
		redir /paid https://cdn.test/hunter2
		test_upstream
	}`)
	for _, path := range []string{"/paid", "/x"} {
		a := s.want(204, "OPTIONS", path, "Origin", "https://app.test", "Access-Control-Request-Method", "GET")
		if a.Header.Get("Access-Control-Allow-Origin") == "" {
			t.Error(path, a.Header)
		}
		for name, values := range a.Header {
			if strings.Contains(strings.Join(values, ""), "hunter2") {
				t.Errorf("%s: %s: %s", path, name, values)
			}
		}
	}
}

// What the operator gives away is not for collecting credentials.
func TestFreeRequestsCarryNoCredential(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tmethods GET\n\tfree 2 1h\n}\ntest_upstream")
	p := s.buyPast(2, "/x")
	for _, request := range []string{"POST /x", "GET /.well-known/x"} {
		method, path, _ := strings.Cut(request, " ")
		a := s.want(200, method, path, "Authorization", p.authorization())
		if !strings.Contains(a.body, `authorization=[]`) || !strings.Contains(a.body, `user=""`) {
			t.Errorf("%s: %s", request, a.body)
		}
	}
	a := s.want(200, "GET", "/.well-known/x", "Authorization", "Bearer foreign")
	if !strings.Contains(a.body, "foreign") {
		t.Error("a foreign credential is gone:", a.body)
	}
}

// buyPast is buy behind so many free requests.
func (s *server) buyPast(free int, path string) purchase {
	s.t.Helper()
	for range free {
		s.want(200, "GET", path)
	}
	return s.buy(path)
}

// A use that was given back since the upstream failed is charged by the next gate.
func TestAGateBehindAFailureChargesAnew(t *testing.T) {
	site := `
	@primary not header X-Backup *
	l402 10 sat {
		service api
		uses 2
		limit off
	}
	error 502
	handle_errors {
		l402 10 sat {
			service api
			uses 2
			limit off
		}
		respond backup 200
	}`
	s := serve(t, "wallet play sandbox", site)
	p := s.buy("/x")
	for i := range 3 {
		a := s.do("GET", "/x", "Authorization", p.authorization())
		if i < 2 && a.body != "backup" || i == 2 && a.body == "backup" {
			t.Errorf("request %d: got %d %s", i+1, a.StatusCode, a.body)
		}
	}
}

// swapper is a wallet that tells of other invoices than it made.
type swapper struct {
	wallets.Wallet
	other string
}

func (w swapper) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	status, err := w.Wallet.LookupInvoice(ctx, hash)
	if err == nil {
		status.PaymentRequest = w.other
	}
	return status, err
}

func TestAPendingInvoiceIsTheOneThatWasMade(t *testing.T) {
	s := serve(t, "wallet node fake swap", "l402 /premium/* 10 sat {\n\tprefetch off\n}\ntest_upstream")
	w := fake(t, "swap")
	make := func(msat lnwire.MilliSatoshi) *wallets.Invoice {
		inv, err := w.inner.CreateInvoice(t.Context(), wallets.InvoiceRequest{Amount: msat, Memo: "x", Expiry: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return inv
	}
	own, other, dear := make(10_000), make(10_000), make(5_000_000)
	inner := w.inner
	for name, tc := range map[string]struct {
		of, shown *wallets.Invoice
		pending   bool
	}{
		"the one that was made":   {own, own, true},
		"another one":             {own, other, false},
		"one of another price":    {dear, dear, false},
		"another one and dear":    {own, dear, false},
		"no invoice but nonsense": {other, &wallets.Invoice{PaymentRequest: "lnbc1"}, false},
	} {
		w.inner = swapper{inner, tc.shown.PaymentRequest}
		// Offered before a restart: this process does not remember it.
		mac := s.forge(tc.of.PaymentHash, "services=premium:0", "premium_host=127.0.0.1", "premium_valid_until="+itoa(time.Now().Add(time.Hour).Unix()))
		a := s.want(402, "GET", "/premium/x", "Authorization", "L402 "+base64.StdEncoding.EncodeToString(mac))
		shown := strings.Contains(a.body, tc.shown.PaymentRequest)
		if shown != tc.pending || tc.pending != (a.code() == "payment_pending") {
			t.Errorf("%s: %s", name, a.body)
		}
		time.Sleep(600 * time.Millisecond) // the answer is believed for a moment
	}
}

func TestAPaymentOnRecordNeedsNoWallet(t *testing.T) {
	s := serve(t, "wallet node fake gone", gated)
	challenge := s.challenge(s.want(402, "GET", "/premium/x"))
	s.pay(challenge.Invoice)
	alone := "L402 " + base64.StdEncoding.EncodeToString(challenge.Macaroon)
	s.want(200, "GET", "/premium/x", "Authorization", alone)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	// Another wallet, as after a move, and one that does not answer.
	s.reload(s.config("wallet node fake gone2", gated))
	fake(t, "gone2").fail(func(context.Context) error { return errDown })
	s.want(200, "GET", "/premium/x", "Authorization", alone)
}

func TestTheMatcherKnowsRevocations(t *testing.T) {
	s := serve(t, "wallet play sandbox", "@paid l402 premium\nredir @paid /paid\nl402 /premium/* 10 sat\ntest_upstream")
	p := s.buy("/premium/x")
	s.want(302, "GET", "/y", "Authorization", p.authorization())
	hash := p.preimage.Hash()
	if err := s.app().books.Ledger().Revoke(t.Context(), ledger.KindPayment, hash.String(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.want(200, "GET", "/y", "Authorization", p.authorization())
}

func TestTheSandboxIsNotForSocketsOfOthers(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	config, err := adapt(s.config("wallet play sandbox", gated))
	if err != nil {
		t.Fatal(err)
	}
	listen := `"listen":["` + s.addr
	if !strings.Contains(string(config), listen) {
		t.Fatal(string(config))
	}
	for _, address := range []string{"fd/3", "fdgram/3", "0.0.0.0:1", "[::]:1", ":1", "udp/0.0.0.0:1"} {
		err := caddy.Validate(configOf(t, strings.Replace(string(config), listen, `"listen":["`+address, 1)))
		if err == nil || !strings.Contains(err.Error(), "not money") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func configOf(t *testing.T, text string) *caddy.Config {
	t.Helper()
	config := new(caddy.Config)
	if err := json.Unmarshal([]byte(text), config); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestAnEmptyExemptionIsRefused(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	config, err := adapt(s.config("wallet play sandbox", gated))
	if err != nil {
		t.Fatal(err)
	}
	for _, exempt := range []string{`[{}]`, `[null]`, `[{"path":["/free"]},{}]`} {
		text := strings.Replace(string(config), `"handler":"l402",`, `"handler":"l402","exempt":`+exempt+`,`, 1)
		if err := caddy.Validate(configOf(t, text)); err == nil || !strings.Contains(err.Error(), "exempt") {
			t.Errorf("%s: %v", exempt, err)
		}
	}
}

// A site whose error routes are about other errors shows the gate's own answers.
func TestErrorRoutesOfOtherErrors(t *testing.T) {
	for name, tc := range map[string]struct{ routes, body string }{
		"none":             {"", "payment_required"},
		"another status":   {"handle_errors 404 5xx {\n\trespond lost 404\n}", "payment_required"},
		"this status":      {"handle_errors 402 {\n\trespond `pay {http.l402.price_sat}` 402\n}", "pay 10"},
		"every status":     {"handle_errors {\n\trespond `pay {http.l402.price_sat}` 402\n}", "pay 10"},
		"an expression":    {"handle_errors {\n\t@402 expression `{http.error.status_code} == 402`\n\trespond @402 `pay {http.l402.price_sat}` 402\n}", "pay 10"},
		"another's matter": {"handle_errors {\n\t@404 expression `{http.error.status_code} == 404`\n\trespond @404 lost\n}", "payment_required"},
	} {
		s := serve(t, "wallet play sandbox", gated+"\n"+tc.routes)
		if a := s.want(402, "GET", "/premium/x"); !strings.Contains(a.body, tc.body) {
			t.Errorf("%s: got %q, want %q", name, a.body, tc.body)
		}
	}
}

func TestAPreflightBringsNoWork(t *testing.T) {
	got := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- fmt.Sprint(string(body), r.Header.Get("X-HTTP-Method-Override"), r.Header.Get("Content-Type"))
	}))
	t.Cleanup(backend.Close)
	s := serve(t, "wallet play sandbox", "l402 10 sat\nreverse_proxy "+backend.Listener.Addr().String())
	conn := s.raw("OPTIONS /x HTTP/1.1\r\nHost: " + s.addr + "\r\nOrigin: https://app.test\r\nAccess-Control-Request-Method: POST\r\n" +
		"X-HTTP-Method-Override: POST\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwork")
	if answer, _ := io.ReadAll(conn); !strings.Contains(string(answer), "204 No Content") {
		t.Errorf("%s", answer)
	}
	if work := <-got; work != "" {
		t.Errorf("the upstream got %q", work)
	}
}

// A websocket is an answer too.
func TestBytesOfAWebsocket(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		for range 100 {
			if _, err := buffered.WriteString(strings.Repeat("a", 100)); err != nil || buffered.Flush() != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}))
	t.Cleanup(backend.Close)
	s := serve(t, "wallet play sandbox", metered("bytes 1kB")+"reverse_proxy "+backend.Listener.Addr().String())
	p := s.buy("/x")
	conn := s.raw("GET /x HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: Upgrade\r\nUpgrade: x\r\nAuthorization: " + p.authorization() + "\r\n\r\n")
	all, _ := io.ReadAll(conn)
	header, body, found := strings.Cut(string(all), "\r\n\r\n")
	if !found || !strings.Contains(header, "101 Switching") || len(body) == 0 || len(body) > 1000 {
		t.Errorf("%d bytes for 1000, after %s", len(body), header)
	}
}

func TestNonsenseInJSONIsRefused(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	config, err := adapt(s.config("wallet play sandbox", gated))
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{
		`"price":null`, `"price":"-1 sat"`, `"price":"0 sat"`, `"price":"99999999999999999999 btc"`, `"tier":256`, `"tier":-1`,
		`"uses":-1`, `"uses":18446744073709551615`, `"bytes":18446744073709551616`, `"valid":-5`, `"valid":"1ms"`, `"valid":"1000000000h"`,
		`"invoice_expiry":-1`, `"invoice_expiry":"9999h"`, `"prefetch":1001`, `"limit":{"events":-1,"window":"1m"}`, `"limit":{"events":1,"window":-1}`,
		`"limit":{}`, `"free":{}`, `"free":{"requests":-1,"window":"1h"}`, `"free":{"requests":1,"window":"1ms"}`, `"schemes":[""]`,
		`"schemes":["L402","L402"]`, `"credentials":["x"]`, `"methods":[""]`, `"methods":["head"]`, `"capabilities":[""]`, `"capabilities":["a,b"]`,
		`"charge":"never"`, `"scope":"x"`, `"on_wallet_error":"x"`, `"upstream_credentials":"x"`, `"unknown_caveats":"x"`,
		`"service":"{http.request.host}"`, `"wallet":"none"`, `"no_exemptions":true,"exempt":[{"path":["/x"]}]`, `"colour":"red"`,
		`"capabilities":["` + strings.Repeat(strings.Repeat("c", 64)+`","`, 60) + `x"]`,
	} {
		text := strings.Replace(string(config), `"handler":"l402",`, `"handler":"l402",`+setting+`,`, 1)
		if strings.HasPrefix(setting, `"price"`) || strings.HasPrefix(setting, `"service"`) || strings.HasPrefix(setting, `"scope"`) {
			name, _, _ := strings.Cut(setting, ":")
			text = regexp.MustCompile(name+`:"[^"]*"`).ReplaceAllString(string(config), setting)
		}
		var parsed caddy.Config
		if err := json.Unmarshal([]byte(text), &parsed); err != nil {
			t.Fatal(setting, err)
		}
		if err := caddy.Validate(&parsed); err == nil {
			t.Errorf("%s is taken", setting)
		}
	}
	for _, setting := range []string{`"wallets":{"x":null}`, `"wallets":{"x":{}}`, `"wallets":{"x":{"wallet":""}}`, `"secrets":[""]`, `"secrets":["short"]`, `"secrets":["{env.NOT_SET_ANYWHERE}"]`} {
		text := regexp.MustCompile(`"l402":\{"wallets":\{"play":\{"wallet":"sandbox"\}\}`).ReplaceAllString(string(config), `"l402":{`+setting)
		if text == string(config) {
			t.Fatal(text)
		}
		if err := caddy.Validate(configOf(t, text)); err == nil {
			t.Errorf("%s is taken", setting)
		}
	}
	s.want(402, "GET", "/premium/x")
}
