package caddyl402

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/watch"
)

// browser is a client that keeps cookies and says what browsers say.
type browser struct {
	*server
	client *http.Client
	mode   string // Sec-Fetch-Mode
	site   string // Sec-Fetch-Site
	accept string
}

func (s *server) browser() *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{s, &http.Client{
		Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, "navigate", "same-origin", "text/html,application/xhtml+xml,*/*;q=0.8"}
}

// script is the same browser's fetch.
func (b *browser) script(accept string) *browser {
	return &browser{b.server, b.client, "cors", "same-origin", accept}
}

func (b *browser) send(ctx context.Context, method, path string, form url.Values) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+b.addr+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range map[string]string{"Accept": b.accept, "Sec-Fetch-Mode": b.mode, "Sec-Fetch-Site": b.site} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp
}

func (b *browser) do(method, path string, form url.Values) answer {
	b.t.Helper()
	resp := b.send(b.t.Context(), method, path, form)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp, string(body)}
}

// wants opens a page and checks the status.
func (b *browser) wants(status int, path string) answer {
	b.t.Helper()
	a := b.do(http.MethodGet, path, nil)
	if a.StatusCode != status {
		b.t.Fatalf("GET %s: got %d, want %d: %s", path, a.StatusCode, status, a.body)
	}
	return a
}

// payPage is a payment page as its script sees it.
type payPage struct{ action, token, invoice string }

func pageOf(t *testing.T, a answer) payPage {
	t.Helper()
	find := func(pattern string) string {
		found := regexp.MustCompile(pattern).FindStringSubmatch(a.body)
		if found == nil {
			t.Fatalf("the page has no %s:\n%s", pattern, a.body)
		}
		return strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(found[1])
	}
	return payPage{find(`data-action="([^"]*)"`), find(`name="token" value="([^"]*)"`), find(`data-invoice="([^"]*)"`)}
}

func (p payPage) form(do string, more ...string) url.Values {
	form := url.Values{"do": {do}, "token": {p.token}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

const cookieGate = "l402 /premium/* 10 sat\ntest_upstream"

func TestBrowserPaysAndGoesOn(t *testing.T) {
	s := serve(t, "wallet node fake checkout", cookieGate)
	b := s.browser()
	a := b.wants(402, "/premium/a?x=1&y=2")
	cookie := a.Cookies()[0]
	if cookie.Name != "l402_premium" || !cookie.HttpOnly || cookie.Secure || cookie.SameSite != http.SameSiteLaxMode ||
		cookie.Path != "/" || cookie.MaxAge != 86400 || cookie.Domain != "" {
		t.Errorf("cookie %+v", cookie)
	}
	p := pageOf(t, a)
	if p.action != "?x=1&y=2&l402-checkout" {
		t.Errorf("action %q", p.action)
	}
	// A reload shows the same invoice and never another one.
	if again := pageOf(t, b.wants(402, "/premium/a?x=1&y=2")); again.invoice != p.invoice {
		t.Error("a reload shows another invoice")
	}
	paid := b.do("POST", "/premium/a"+p.action, p.form("paid"))
	if paid.StatusCode != 303 || paid.Header.Get("Location") != "./a?x=1&y=2" {
		t.Errorf("got %d to %q", paid.StatusCode, paid.Header.Get("Location"))
	}
	b.wants(402, "/premium/a?x=1&y=2")
	s.pay(p.invoice)
	time.Sleep(600 * time.Millisecond) // the wallet's last answer is believed for half a second
	got := b.wants(200, "/premium/a?x=1&y=2")
	if strings.Contains(got.body, "l402_premium") {
		t.Error("the upstream sees the cookie:", got.body)
	}
	if got.Header.Get("Cache-Control") != "private" || got.Header.Get("Vary") != "Cookie" {
		t.Errorf("an answer that was paid with a cookie may be shared: %v", got.Header)
	}
	b.wants(200, "/premium/other")
}

func TestPageIsForBrowsersThatNavigate(t *testing.T) {
	s := serve(t, "wallet play sandbox", cookieGate)
	for name, headers := range map[string][]string{
		"curl":           {"Accept", "*/*"},
		"fetch of HTML":  {"Accept", "text/html", "Sec-Fetch-Mode", "cors"},
		"frame":          {"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"image":          {"Accept", "image/*", "Sec-Fetch-Mode", "no-cors"},
		"problem wanted": {"Accept", "application/problem+json"},
	} {
		a := s.want(402, "GET", "/premium/a", headers...)
		if len(a.Cookies()) != 0 || strings.Contains(a.body, checkoutMark) {
			t.Errorf("%s gets a cookie or a checkout: %v", name, a.Header)
		}
	}
	if a := s.want(402, "HEAD", "/premium/a", "Accept", "text/html"); len(a.Cookies()) != 0 {
		t.Error("HEAD gets a cookie")
	}
	// A browser that does not tell how it fetches is one all the same.
	if a := s.want(402, "GET", "/premium/a", "Accept", "text/html"); len(a.Cookies()) != 1 {
		t.Error("an old browser gets no cookie")
	}
}

func TestNoCheckoutWithoutCookies(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat {\ncredentials l402\n}\ntest_upstream")
	a := s.want(402, "GET", "/premium/a", "Accept", "text/html")
	if len(a.Cookies()) != 0 || strings.Contains(a.body, checkoutMark) || !strings.Contains(a.body, "lightning:") {
		t.Error(a.Header, a.body)
	}
	s.want(402, "POST", "/premium/a?l402-checkout", "Content-Type", "application/x-www-form-urlencoded")
}

func TestCookieNamesProducts(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
		route {
			l402 /plain/* 10 sat { 
				service shop
			}
			l402 /tier/* 20 sat {
				service shop 1
			}
			l402 /page/* 30 sat {
				service pages
				scope path
			}
			test_upstream
		}`)
	name := func(path string) *http.Cookie {
		return s.want(402, "GET", path, "Accept", "text/html").Cookies()[0]
	}
	plain, tier, page := name("/plain/a"), name("/tier/a"), name("/page/a%20b/c;d")
	if plain.Name != "l402_shop" || !strings.HasPrefix(tier.Name, "l402_shop~") {
		t.Error(plain.Name, tier.Name)
	}
	if page.Path != "/page/a%20b/" {
		t.Errorf("path %q", page.Path)
	}
	if c := name("/page/a/b"); c.Path != "/page/a/b" {
		t.Errorf("path %q", c.Path)
	}
}

func TestCookieIsSecureOverTLS(t *testing.T) {
	s := serveWith(t, "servers {\ntrusted_proxies static 127.0.0.1/32\n}", "wallet play sandbox", cookieGate)
	if c := s.want(402, "GET", "/premium/a", "Accept", "text/html", "X-Forwarded-Proto", "https").Cookies()[0]; !c.Secure {
		t.Error("behind a trusted proxy that speaks TLS the cookie is not secure")
	}
	s = serve(t, "wallet play sandbox", cookieGate)
	if c := s.want(402, "GET", "/premium/a", "Accept", "text/html", "X-Forwarded-Proto", "https").Cookies()[0]; c.Secure {
		t.Error("a header that anybody can send makes the cookie secure")
	}
}

func TestCheckoutNeverLeadsToAnotherHost(t *testing.T) {
	s := serve(t, "wallet node fake redirect", "l402 10 sat\ntest_upstream")
	for _, path := range []string{"//evil.test/x", "//evil.test", `/\evil.test`, "/a/..//evil.test", "/%2f/evil.test", "/a:b", "/x/"} {
		a := s.want(402, "GET", path, "Accept", "text/html")
		p := pageOf(t, a)
		s.pay(p.invoice)
		resp := s.postForm(path+"?l402-checkout", p.form("paid"), "text/html")
		base, _ := url.Parse("http://" + s.addr)
		base.RawPath, base.Path = path, path
		to, err := base.Parse(resp.Header.Get("Location"))
		if resp.StatusCode != 303 || err != nil || to.Host != s.addr || !strings.HasPrefix(resp.Header.Get("Location"), "./") {
			t.Errorf("%s: %d leads to %v, %v", path, resp.StatusCode, to, err)
		}
	}
}

// postForm sends a form with no cookies.
func (s *server) postForm(path string, form url.Values, accept string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest("POST", "http://"+s.addr, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	r.URL.Opaque = "//" + s.addr + path
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", accept)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, string(body)}
}

func TestForgedTokensCostNothing(t *testing.T) {
	s := serve(t, "wallet node fake forged", cookieGate)
	w := fake(t, "forged")
	p := pageOf(t, s.browser().wants(402, "/premium/a"))
	creates := w.creates.Load()
	forged := []byte(p.token)
	if forged[len(forged)-5]++; forged[len(forged)-5] > 'z' {
		forged[len(forged)-5] = 'a'
	}
	upstreamHits.Store(0)
	for _, token := range []string{string(forged), "AgEE", "", "a b", "x, Bearer y", strings.Repeat("A", 9000)} {
		for _, do := range []string{"watch", "poll", "paid", "pay"} {
			a := s.postForm("/premium/a?l402-checkout", payPage{token: token}.form(do), "application/json", "Sec-Fetch-Mode", "cors")
			if a.StatusCode != 403 || len(a.Cookies()) != 0 || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%.20q %s: got %d %v", token, do, a.StatusCode, a.Header)
			}
		}
	}
	if n := w.lookups.Load(); n != 0 {
		t.Errorf("forged tokens made %d look-ups", n)
	}
	if n := w.creates.Load(); n > creates+defaultPrefetch {
		t.Errorf("forged tokens made %d invoices", n-creates)
	}
	if upstreamHits.Load() != 0 {
		t.Error("a checkout reached the upstream")
	}
}

func TestForgedTokensAreLimited(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /premium/* 10 sat {\nlimit 3 1h\n}\ntest_upstream")
	status := 0
	for range 5 {
		status = s.postForm("/premium/a?l402-checkout", payPage{token: "AgEE"}.form("poll"), "application/json", "Sec-Fetch-Mode", "cors").StatusCode
	}
	if status != 429 {
		t.Errorf("the fifth guess gets %d", status)
	}
}

func TestCheckoutRefusesOtherSitesAndOtherBodies(t *testing.T) {
	s := serve(t, "wallet play sandbox", cookieGate)
	p := pageOf(t, s.browser().wants(402, "/premium/a"))
	for name, headers := range map[string][]string{
		"cross-site":   {"Sec-Fetch-Site", "cross-site"},
		"same-site":    {"Sec-Fetch-Site", "same-site"},
		"other origin": {"Origin", "https://evil.test"},
		"no origin":    {"Origin", "null"},
		"JSON":         {"Content-Type", "application/json"},
		"text":         {"Content-Type", "text/plain"},
	} {
		a := s.postForm("/premium/a?l402-checkout", p.form("pay"), "text/html", headers...)
		if a.StatusCode != 403 || len(a.Cookies()) != 0 {
			t.Errorf("%s: got %d %v", name, a.StatusCode, a.Header)
		}
	}
	for _, form := range []url.Values{{}, p.form("buy"), p.form("paid", "x", strings.Repeat("y", maxCheckout))} {
		if a := s.postForm("/premium/a?l402-checkout", form, "text/html"); a.StatusCode != 403 {
			t.Errorf("%.40v: got %d", form, a.StatusCode)
		}
	}
	// The token of the page is still unpaid.
	if a := s.postForm("/premium/a?l402-checkout", p.form("poll"), "application/json"); a.body != `{"state":"pending"}` {
		t.Error(a.StatusCode, a.body)
	}
}

func TestTokenOfAnotherProductOpensNothing(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 /a/* 10 sat\nl402 /b/* 1000 sat\ntest_upstream")
	cheap := pageOf(t, s.browser().wants(402, "/a/x"))
	s.pay(cheap.invoice)
	a := s.postForm("/b/x?l402-checkout", cheap.form("poll"), "application/json", "Sec-Fetch-Mode", "cors")
	if a.StatusCode != 403 || a.code() != "wrong_service" {
		t.Error(a.StatusCode, a.body)
	}
}

func TestUnpaidTokenDoesNotReplaceAPaidOne(t *testing.T) {
	s := serve(t, "wallet node fake tabs", cookieGate)
	b := s.browser()
	other := pageOf(t, s.browser().wants(402, "/premium/a")) // a tab from before
	p := pageOf(t, b.wants(402, "/premium/a"))
	s.pay(p.invoice)
	b.wants(200, "/premium/a")
	if a := b.do("POST", "/premium/a?l402-checkout", other.form("paid")); len(a.Cookies()) != 0 {
		t.Error("an unpaid token takes the place of a paid one")
	}
	b.wants(200, "/premium/a")
	// Once it is paid it is as good as the other.
	s.pay(other.invoice)
	time.Sleep(600 * time.Millisecond)
	if a := b.do("POST", "/premium/a?l402-checkout", other.form("paid")); len(a.Cookies()) != 1 {
		t.Error("the tab that was paid does not go on")
	}
	b.wants(200, "/premium/a")
}

func TestPreimageByHand(t *testing.T) {
	s := serve(t, "wallet node fake blind", cookieGate)
	w := fake(t, "blind")
	b := s.browser()
	p := pageOf(t, b.wants(402, "/premium/a"))
	preimage := s.pay(p.invoice)
	w.blind.Store(true)
	wrong := b.do("POST", "/premium/a"+p.action, p.form("paid", "preimage", strings.Repeat("ab", 32)))
	if wrong.StatusCode != 402 || !strings.Contains(wrong.body, "not the preimage") || pageOf(t, wrong).invoice != p.invoice {
		t.Errorf("a wrong preimage: %d %s", wrong.StatusCode, wrong.body)
	}
	for _, bad := range []string{"x", strings.Repeat("z", 64), preimage.String() + "00"} {
		if a := b.script("application/json").do("POST", "/premium/a"+p.action, p.form("paid", "preimage", bad)); a.StatusCode != 403 || len(a.Cookies()) != 0 {
			t.Errorf("%q: %d", bad, a.StatusCode)
		}
	}
	a := b.do("POST", "/premium/a"+p.action, p.form("paid", "preimage", " "+strings.ToUpper(preimage.String())+"\n"))
	if a.StatusCode != 303 || !strings.HasSuffix(a.Cookies()[0].Value, ":"+preimage.String()) {
		t.Errorf("the right preimage: %d %v", a.StatusCode, a.Header)
	}
	b.wants(200, "/premium/a")
}

func TestBlindWalletDoesNotForgetAPaidToken(t *testing.T) {
	s := serve(t, "wallet node fake earlier", "l402 /premium/* 10 sat {\ninvoice_expiry 2s\nprefetch off\n}\ntest_upstream")
	fake(t, "earlier").blind.Store(true)
	b := s.browser()
	p := pageOf(t, b.wants(402, "/premium/a"))
	preimage := s.pay(p.invoice)
	time.Sleep(3100 * time.Millisecond) // nobody remembers an invoice that is over
	a := b.wants(402, "/premium/a")
	fresh := pageOf(t, a)
	earlier := regexp.MustCompile(`name="earlier" value="([^"]*)"`).FindStringSubmatch(a.body)
	if fresh.invoice == p.invoice || earlier == nil || len(a.Cookies()) != 0 {
		t.Fatalf("the earlier token is lost: cookies %v\n%s", a.Cookies(), a.body)
	}
	if strings.Contains(a.body, "http-equiv") {
		t.Error("the page goes away while the preimage is typed")
	}
	form := fresh.form("paid", "preimage", preimage.String(), "earlier", strings.ReplaceAll(earlier[1], "&#43;", "+"))
	if a := b.do("POST", "/premium/a"+fresh.action, form); a.StatusCode != 303 {
		t.Fatal(a.StatusCode, a.body)
	}
	b.wants(200, "/premium/a")
}

func TestWatchTellsOfThePayment(t *testing.T) {
	s := serve(t, "wallet play sandbox", "encode\n"+cookieGate)
	b := s.browser()
	p := pageOf(t, b.wants(402, "/premium/a"))
	resp := b.script("text/event-stream").send(t.Context(), "POST", "/premium/a"+p.action, p.form("watch"))
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store, no-transform" {
		t.Fatal(resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		return ""
	}
	if got := next(); got != `{"state":"pending"}` {
		t.Fatalf("first event %q", got)
	}
	s.pay(p.invoice)
	begin := time.Now()
	if got := next(); got != `{"state":"settled"}` {
		t.Fatalf("after the payment %q", got)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Error("the page hears of the payment after", took)
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("the stream goes on: %q %v", rest, err)
	}
	a := b.script("application/json").do("POST", "/premium/a"+p.action, p.form("paid"))
	if a.body != `{"state":"settled"}` || len(a.Cookies()) != 1 {
		t.Error(a.body, a.Header)
	}
	b.wants(200, "/premium/a")
	awaitEmptyRoom(t)
}

// awaitEmptyRoom checks that no stream outlives its client.
func awaitEmptyRoom(t *testing.T) {
	t.Helper()
	for range 300 {
		if watchers.Len() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d streams are left", watchers.Len())
}

func TestWatchersAreBounded(t *testing.T) {
	s := serve(t, "wallet play sandbox", cookieGate)
	b := s.browser()
	p := pageOf(t, b.wants(402, "/premium/a"))
	ctx, cancel := context.WithCancel(t.Context())
	for range watch.MaxPerClient {
		resp := b.script("text/event-stream").send(ctx, "POST", "/premium/a"+p.action, p.form("watch"))
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
	}
	a := b.script("text/event-stream").do("POST", "/premium/a"+p.action, p.form("watch"))
	if a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("one more gets %d %v", a.StatusCode, a.Header)
	}
	// Polling goes on.
	if a := b.script("application/json").do("POST", "/premium/a"+p.action, p.form("poll")); a.body != `{"state":"pending"}` {
		t.Error(a.StatusCode, a.body)
	}
	cancel()
	awaitEmptyRoom(t)
}

func TestReloadEndsStreams(t *testing.T) {
	s := serve(t, "wallet play sandbox", cookieGate)
	b := s.browser()
	p := pageOf(t, b.wants(402, "/premium/a"))
	resp := b.script("text/event-stream").send(t.Context(), "POST", "/premium/a"+p.action, p.form("watch"))
	defer resp.Body.Close()
	ended := make(chan error, 1)
	go func() { // ends with the stream
		_, err := io.Copy(io.Discard, resp.Body)
		ended <- err
	}()
	s.reload(s.config("wallet play sandbox", cookieGate+"\nheader X-New 1"))
	select {
	case err := <-ended:
		if err != nil {
			t.Error("the stream is cut:", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a reload does not end the stream")
	}
	awaitEmptyRoom(t)
	// The page comes again, to the new configuration.
	s.pay(p.invoice)
	a := b.script("text/event-stream").do("POST", "/premium/a"+p.action, p.form("watch"))
	if !strings.Contains(a.body, `{"state":"settled"}`) {
		t.Error(a.StatusCode, a.body)
	}
}

func TestSandboxButton(t *testing.T) {
	s := serve(t, "wallet play sandbox", cookieGate)
	b := s.browser()
	a := b.wants(402, "/premium/a")
	if !strings.Contains(a.body, "not money") || !strings.Contains(a.body, `value="pay"`) {
		t.Error(a.body)
	}
	p := pageOf(t, a)
	if a := b.do("POST", "/premium/a"+p.action, p.form("pay")); a.StatusCode != 303 {
		t.Fatal(a.StatusCode, a.body)
	}
	b.wants(200, "/premium/a")
}

func TestNobodyPaysForOtherWallets(t *testing.T) {
	s := serve(t, "wallet node fake button", cookieGate)
	b := s.browser()
	a := b.wants(402, "/premium/a")
	if strings.Contains(a.body, `value="pay"`) {
		t.Error("the page of a wallet with money has the sandbox's button")
	}
	p := pageOf(t, a)
	if a := b.do("POST", "/premium/a"+p.action, p.form("pay")); a.StatusCode != 403 {
		t.Error(a.StatusCode, a.body)
	}
	b.wants(402, "/premium/a")
}

func TestFormThatWasNotPaidIsSentAgain(t *testing.T) {
	s := serve(t, "wallet play sandbox", cookieGate)
	b := s.browser()
	a := b.do("POST", "/premium/order?n=1", url.Values{"what": {"tea"}})
	if a.StatusCode != 402 || strings.Contains(a.body, "http-equiv") {
		t.Fatal(a.StatusCode, a.body)
	}
	p := pageOf(t, a)
	if p.action != "?n=1&l402-checkout=form" || !strings.Contains(a.body, `data-back=""`) {
		t.Errorf("action %q", p.action)
	}
	if a := b.do("POST", "/premium/order"+p.action, p.form("paid")); a.StatusCode != 402 || !strings.Contains(a.body, "Not Paid Yet") {
		t.Error(a.StatusCode, a.body)
	}
	if a := b.do("POST", "/premium/order"+p.action, p.form("pay")); a.StatusCode != 200 || !strings.Contains(a.body, "send the form again") {
		t.Error(a.StatusCode, a.body)
	}
	if a := b.do("POST", "/premium/order?n=1", url.Values{"what": {"tea"}}); a.StatusCode != 200 {
		t.Error(a.StatusCode, a.body)
	}
}

func TestCheckoutInsideAHandleBlock(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
		handle_path /shop/* {
			l402 10 sat {
				service inside
			}
			test_upstream
		}
		respond 404`)
	b := s.browser()
	p := pageOf(t, b.wants(402, "/shop/a/b?q"))
	a := b.do("POST", "/shop/a/b"+p.action, p.form("pay"))
	if a.StatusCode != 303 || a.Header.Get("Location") != "./b?q" {
		t.Fatal(a.StatusCode, a.Header)
	}
	b.wants(200, "/shop/a/b?q")
}

func TestCheckoutOfTenants(t *testing.T) {
	s := serve(t, "wallet alice sandbox alice\nwallet bob sandbox bob", `
		vars /t/alice/* tenant alice
		vars /t/bob/* tenant bob
		l402 /t/* 10 sat {
			service posts
			wallet {http.vars.tenant}
		}
		test_upstream`)
	b := s.browser()
	for _, tenant := range []string{"alice", "bob"} {
		path := "/t/" + tenant + "/x"
		p := pageOf(t, b.wants(402, path))
		if a := b.do("POST", path+p.action, p.form("pay")); a.StatusCode != 303 {
			t.Fatal(tenant, a.StatusCode, a.body)
		}
	}
	// The second purchase did not take the first one away, and opens only its own.
	b.wants(200, "/t/alice/x")
	b.wants(200, "/t/bob/x")
	p := pageOf(t, s.browser().wants(402, "/t/alice/x"))
	if a := s.postForm("/t/bob/x?l402-checkout", p.form("poll"), "application/json", "Sec-Fetch-Mode", "cors"); a.StatusCode != 403 || a.code() != "wrong_request" {
		t.Error(a.StatusCode, a.body)
	}
}

func TestExpiredInvoiceIsFollowedByANewOne(t *testing.T) {
	s := serve(t, "wallet node fake fresh", "l402 /premium/* 10 sat {\ninvoice_expiry 1s\nprefetch off\n}\ntest_upstream")
	b := s.browser()
	p := pageOf(t, b.wants(402, "/premium/a"))
	time.Sleep(2100 * time.Millisecond)
	if a := b.script("application/json").do("POST", "/premium/a"+p.action, p.form("poll")); a.body != `{"state":"expired"}` {
		t.Error(a.StatusCode, a.body)
	}
	a := b.wants(402, "/premium/a")
	fresh := pageOf(t, a)
	if fresh.invoice == p.invoice || !strings.Contains(a.body, "expired unpaid") {
		t.Error("the page shows the expired invoice again")
	}
	s.pay(fresh.invoice)
	b.wants(200, "/premium/a")
}

func TestHostileHostAndPath(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\nscope path\nservice pages\nmemo \"{http.request.uri.path} {http.request.header.X}\"\n}\ntest_upstream")
	for _, path := range []string{"/%3Cscript%3Ealert(1)%3C/script%3E", "/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E", "/a'b\"c?\"><script>alert(1)</script>"} {
		a := s.want(402, "GET", path, "Accept", "text/html", "X", "</textarea><script>alert(1)</script>")
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<img src=x") || strings.Contains(a.body, "onerror=alert(1)>") {
			t.Errorf("%s: markup gets into the page:\n%s", path, a.body)
		}
	}
}
