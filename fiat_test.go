package caddyl402

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/internal/rates"
)

// bourse is three public servers of exchange rates in one, with the answers that those give.
type bourse struct {
	*httptest.Server
	mu     sync.Mutex
	prices [3]string // of coinbase, kraken and bitstamp; an empty one fails
	now    time.Time
	asked  int
}

func newBourse(t *testing.T) *bourse {
	b := &bourse{now: time.Unix(1_800_000_000, 0)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *bourse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	which := strings.Split(r.URL.Path, "/")[1]
	i := map[string]int{"coinbase": 0, "kraken": 1, "bitstamp": 2}[which]
	switch {
	case b.prices[i] == "":
		http.Error(w, "closed", http.StatusServiceUnavailable)
	case which == "coinbase":
		fmt.Fprintf(w, `{"data":{"amount":%q,"base":"BTC","currency":"USD"}}`, b.prices[i])
	case which == "kraken":
		fmt.Fprintf(w, `{"error":[],"result":{"XXBTZUSD":{"a":["1","1","1"],"c":[%q,"0.001"],"o":"1"}}}`, b.prices[i])
	default:
		fmt.Fprintf(w, `{"timestamp":"%d","open":"1","last":%q,"side":"0"}`, b.now.Unix(), b.prices[i])
	}
}

func (b *bourse) set(coinbase, kraken, bitstamp string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prices = [3]string{coinbase, kraken, bitstamp}
}

func (b *bourse) wait(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bourse) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// sources is a rates block; its market goes by the bourse's clock.
func (b *bourse) sources(t *testing.T) string {
	t.Helper()
	settings := RateSettings{Sources: []*RateSource{
		{Name: "a", URL: b.URL + "/coinbase/BTC-{CUR}/spot", Path: "data.amount"},
		{Name: "b", URL: b.URL + "/kraken/Ticker?pair=XBT{CUR}", Path: "result.*.c.0"},
		{Name: "c", URL: b.URL + "/bitstamp/btc{cur}/", Path: "last", TimePath: "timestamp"},
	}}
	var x exchange
	if err := settings.read(&x); err != nil {
		t.Fatal(err)
	}
	_, loaded, err := markets.LoadOrNew(rates.ID(x.sources), func() (caddy.Destructor, error) {
		m := rates.New(x.sources, nil)
		m.Now = b.clock
		return m, nil
	})
	if err != nil || loaded {
		t.Fatal(loaded, err)
	}
	t.Cleanup(func() {
		if _, err := markets.Delete(rates.ID(x.sources)); err != nil {
			t.Error(err)
		}
	})
	var block strings.Builder
	block.WriteString("rates {\n")
	for _, s := range settings.Sources {
		fmt.Fprintf(&block, "source %s %s %s", s.Name, s.URL, s.Path)
		if s.TimePath != "" {
			fmt.Fprintf(&block, " {\ntime_path %s\n}", s.TimePath)
		}
		block.WriteString("\n")
	}
	block.WriteString("}\n")
	return block.String()
}

// priceOf is what a 402 says in JSON.
func priceOf(t testing.TB, a answer) (msat uint64, fiat string) {
	t.Helper()
	var offer struct {
		Msat uint64 `json:"price_msat"`
		Fiat string `json:"price_fiat"`
	}
	if err := json.Unmarshal([]byte(a.body), &offer); err != nil {
		t.Fatal(err, a.body)
	}
	return offer.Msat, offer.Fiat
}

func (s *server) wantFiat(path string, msat uint64, fiat string, headers ...string) answer {
	s.t.Helper()
	a := s.want(http.StatusPaymentRequired, "GET", path, headers...)
	if gotMsat, gotFiat := priceOf(s.t, a); gotMsat != msat || gotFiat != fiat {
		s.t.Fatalf("GET %s costs %d msat, %q; want %d, %q", path, gotMsat, gotFiat, msat, fiat)
	}
	return a
}

func (s *server) wantUnknown(code, path string, headers ...string) {
	s.t.Helper()
	a := s.want(http.StatusServiceUnavailable, "GET", path, headers...)
	if a.code() != code || a.Header.Get("Retry-After") == "" || a.Header.Get("WWW-Authenticate") != "" {
		s.t.Fatalf("GET %s: got code %q, %v", path, a.code(), a.Header)
	}
}

func TestFiatPrice(t *testing.T) {
	b := newBourse(t)
	b.set("100000", "100000", "100000.00")
	s := serve(t, "wallet w fake fiat\n"+b.sources(t), `
	l402 /fiat/* 0.02 usd {
		on_wallet_error pass
	}
	l402 /sat/* 10 sat
	test_upstream`)
	s.wantFiat("/fiat/a", 20_000, "0.02 USD")
	first := s.buy("/fiat/a")
	s.want(200, "GET", "/fiat/a", "Authorization", first.authorization())
	s.want(200, "GET", "/fiat/b", "Authorization", first.authorization())

	// Another rate, another price: nothing that was made at the old one is sold at the new one.
	b.set("90000", "90000", "90000")
	b.wait(11 * time.Minute)
	for range 6 {
		s.wantFiat("/fiat/a", 23_000, "0.02 USD") // 22.2 sat
	}
	s.want(200, "GET", "/fiat/a", "Authorization", first.authorization()) // paid at the older rate

	// One of three is down, then all: the rate is used for ten minutes, and then there is none.
	b.set("", "90000", "90000")
	b.wait(11 * time.Minute)
	s.wantFiat("/fiat/a", 23_000, "0.02 USD")
	b.set("", "", "")
	b.wait(9 * time.Minute)
	s.wantFiat("/fiat/a", 23_000, "0.02 USD")
	b.wait(2 * time.Minute)
	s.wantUnknown("rate_unavailable", "/fiat/a")
	s.wantUnknown("rate_unavailable", "/fiat/a", "Authorization", "L402 x:y")
	s.wantFiat("/sat/a", 10_000, "")
	s.want(200, "GET", "/fiat/a", "Authorization", first.authorization())

	// It comes back.
	b.set("90000", "91000", "92000")
	b.wait(10 * time.Second)
	s.wantFiat("/fiat/a", 22_000, "0.02 USD") // at the median, 21.98 sat

	// They disagree.
	b.set("90000", "100000", "120000")
	b.wait(11 * time.Minute)
	s.wantUnknown("rate_unavailable", "/fiat/a")
	b.wait(time.Minute)
	s.wantUnknown("rate_unavailable", "/fiat/a")
	// One that is far from the two others is left out.
	b.set("90000", "90000", "9")
	b.wait(time.Minute)
	s.wantFiat("/fiat/a", 23_000, "0.02 USD")

	// A jump is believed when it was seen three times.
	b.set("180000", "180000", "180000")
	b.wait(11 * time.Minute)
	s.wantUnknown("rate_unavailable", "/fiat/a")
	s.wantUnknown("rate_unavailable", "/fiat/a")
	b.wait(time.Minute)
	s.wantUnknown("rate_unavailable", "/fiat/a")
	b.wait(time.Minute)
	s.wantFiat("/fiat/a", 12_000, "0.02 USD")
	s.want(200, "GET", "/fiat/a", "Authorization", first.authorization())
}

func TestFiatInTables(t *testing.T) {
	b := newBourse(t)
	b.set("100000", "100000", "100000")
	s := serve(t, "wallet play sandbox\n"+b.sources(t), `
	vars usd 0.03
	l402 /t/* 0.10 eur {
		price 0.02 usd path /t/cheap
		price 5 sat path /t/sat
		price {http.request.header.X-Usd} usd path /t/named
		price {http.vars.usd} usd path /t/vars
		min 2 sat
		max 50 sat
	}
	test_upstream`)
	cheap := s.challenge(s.wantFiat("/t/cheap", 20_000, "0.02 USD"))
	s.wantFiat("/t/sat", 5_000, "")
	s.wantFiat("/t/vars", 30_000, "0.03 USD")
	named := s.challenge(s.wantFiat("/t/named", 10_000, "0.01 USD", "X-Usd", "0.010"))
	s.wantUnknown("price_unknown", "/t/dear") // 100 sat is beyond max
	for _, value := range []string{"", "1e3", "-1", "0", "x"} {
		a := s.want(http.StatusBadRequest, "GET", "/t/named", "X-Usd", value)
		if a.code() != "price_refused" {
			t.Errorf("%q: %s", value, a.body)
		}
	}
	for _, value := range []string{"0.001", "1", "99999999999999999999999999999999"} { // beyond min and max
		if a := s.want(http.StatusBadRequest, "GET", "/t/named", "X-Usd", value); a.code() != "price_refused" {
			t.Errorf("%q: %s", value, a.body)
		}
	}
	paid := purchase{named, s.pay(named.Invoice)}
	s.want(200, "GET", "/t/named", "X-Usd", "0.01", "Authorization", paid.authorization())
	s.wantCode("wrong_request", "/t/named", "X-Usd", "0.02", "Authorization", paid.authorization())
	s.wantCode("wrong_request", "/t/cheap", "Authorization", paid.authorization())
	paid = purchase{cheap, s.pay(cheap.Invoice)}
	b.set("90000", "90000", "90000")
	b.wait(11 * time.Minute)
	s.wantFiat("/t/cheap", 23_000, "0.02 USD")
	s.want(200, "GET", "/t/cheap", "Authorization", paid.authorization()) // at whatever rate
	s.wantCode("wrong_request", "/t/sat", "Authorization", paid.authorization())
}

func TestFiatOnPages(t *testing.T) {
	b := newBourse(t)
	b.set("100000", "100000", "100000")
	s := serve(t, "wallet play sandbox\nshow_fiat usd\n"+b.sources(t), `
	l402 /fiat/* 0.02 usd
	l402 /sat/* 61 sat
	l402_manifest {
		openapi /openapi.json
		llms /llms.txt
	}
	test_upstream`)
	// Nobody waits for a rate where the price is in bitcoin.
	s.want(402, "GET", "/sat/a")
	s.wantFiat("/fiat/a", 20_000, "0.02 USD")
	for path, want := range map[string][2]string{
		"/fiat/a": {"20 sat (0.02 USD)", "<dd>20 sat <small>0.02 USD</small></dd>"},
		"/sat/a":  {"61 sat (≈ 0.061 USD)", "<dd>61 sat <small>≈ 0.061 USD</small></dd>"},
	} {
		if a := s.want(402, "GET", path, "Accept", "text/plain"); !strings.Contains(a.body, want[0]) {
			t.Errorf("%s: %s", path, a.body)
		}
		if a := s.want(402, "GET", path, "Accept", "text/html"); !strings.Contains(a.body, want[1]) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	for path, want := range map[string]string{
		"/.well-known/l402.json":     `"price_fiat": "0.02 USD"`,
		"/.well-known/l402-services": `"amount_fiat": "0.02 USD"`,
		"/openapi.json":              `0.02 USD at the rate of the moment`,
		"/llms.txt":                  `0.02 USD at the rate of the moment`,
	} {
		a := s.want(200, "GET", path)
		if !strings.Contains(strings.ReplaceAll(a.body, `":"`, `": "`), want) {
			t.Errorf("%s has no %s: %s", path, want, a.body)
		}
	}
}

func TestFiatSurvivesReloads(t *testing.T) {
	b := newBourse(t)
	b.set("100000", "100000", "100000")
	block := "wallet play sandbox\n" + b.sources(t)
	s := serve(t, block, "l402 /fiat/* 0.02 usd\ntest_upstream")
	s.wantFiat("/fiat/a", 20_000, "0.02 USD")
	b.set("", "", "")
	s.reload(s.config(block, "l402 /fiat/* 0.04 usd\ntest_upstream"))
	s.wantFiat("/fiat/a", 40_000, "0.04 USD") // with the rate that was known
	// The same product on other terms is refused, whatever the rate says.
	if err := s.tryReload(s.config(block, "l402 /a/* 0.02 usd {\nservice x\n}\nl402 /b/* 0.03 usd {\nservice x\n}\ntest_upstream")); err == nil ||
		!strings.Contains(err.Error(), "sells tier 0 for 0.03 USD") {
		t.Errorf("got %v", err)
	}
	s.reload(s.config(block, "l402 /a/* 0.02 usd {\nservice x\n}\nl402 /b/* 0.020 USD {\nservice x\n}\ntest_upstream"))
	if a := s.app(); a.exchange.unit != rates.WholeSat || len(a.exchange.states()) != 1 {
		t.Errorf("got %+v", a.exchange)
	}
}

// tillDouble is a price program.
func tillDouble(t *testing.T) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Method, Host, Path, Query string
			Headers                   map[string]string
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Method != "GET" || q.Headers["Authorization"] != "" {
			t.Errorf("asked %+v, %v", q, err)
		}
		switch q.Path {
		case "/p/book":
			_, _ = io.WriteString(w, `{"price":"10 sat"}`)
		case "/p/film":
			_, _ = io.WriteString(w, `{"price":"0.02 usd"}`)
		case "/p/header":
			fmt.Fprintf(w, `{"price":"%d sat"}`, 10+len(q.Headers["X-Size"]))
		case "/p/dear":
			_, _ = io.WriteString(w, `{"price":"1 btc"}`)
		case "/p/free":
			_, _ = io.WriteString(w, `{"price":"0 sat"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestPriceProgram(t *testing.T) {
	b := newBourse(t)
	b.set("100000", "100000", "100000")
	s := serve(t, "wallet play sandbox\npricer till http "+tillDouble(t).URL+" {\nheaders X-Size\n}\n"+b.sources(t), `
	l402 /p/* pricer till {
		max 1000 sat
	}
	test_upstream`)
	book := s.buy("/p/book")
	s.wantFiat("/p/book", 10_000, "")
	s.wantFiat("/p/film", 20_000, "0.02 USD")
	s.wantFiat("/p/header", 13_000, "", "X-Size", "123")
	for _, path := range []string{"/p/dear", "/p/free", "/p/unknown"} {
		s.wantUnknown("price_unknown", path)
	}
	if a := s.want(http.StatusBadRequest, "GET", "/p/bo%256fk"); a.code() != "address_unsellable" {
		t.Errorf("got %s", a.body)
	}
	s.want(200, "GET", "/p/book", "Authorization", book.authorization())
	s.want(200, "HEAD", "/p/book", "Authorization", book.authorization())
	for _, path := range []string{"/p/film", "/p/book?page=2", "/p/header"} {
		s.wantCode("wrong_request", path, "Authorization", book.authorization())
	}
	s.wantCode("wrong_request", "/p/book", "X-Size", "1", "Authorization", book.authorization())
	b.set("", "", "")
	b.wait(11 * time.Minute)
	s.wantUnknown("rate_unavailable", "/p/film")
	s.wantFiat("/p/book", 10_000, "")
}

func TestPriceProgramIsDown(t *testing.T) {
	server := tillDouble(t)
	s := serve(t, "wallet play sandbox\npricer till http "+server.URL, "l402 /p/* pricer till {\non_wallet_error pass\n}\ntest_upstream")
	book := s.buy("/p/book")
	server.Close()
	s.wantUnknown("price_unknown", "/p/book")
	s.want(200, "GET", "/p/book", "Authorization", book.authorization()) // nobody is asked for what is paid
}

func TestPricesThatCannotBe(t *testing.T) {
	const program = "pricer till http http://127.0.0.1:9/"
	for _, tt := range []struct{ name, globals, site, want string }{
		{"no such program", program, "l402 pricer other", `price program "other" is not declared`},
		{"no source for it", "rates {\nsource own http://127.0.0.1:9/ price usd\n}", "l402 1 eur", "0 sources of exchange rates are for EUR"},
		{"show_fiat", "show_fiat sats", "l402 10 sat", "show_fiat: unknown currency"},
		{"pricer's address", "pricer till http prices.example", "l402 10 sat", "pricer till: the address must begin"},
		{"pricer's header", program + " {\nheaders Cookie\n}", "l402 10 sat", "may hold a credential"},
		{"pricer's ca", program + " {\nca /nowhere\n}", "l402 10 sat", "ca is for an address with https"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", "l402 10 sat\ntest_upstream")
			if err := s.tryReload(s.config("wallet play sandbox\n"+tt.globals, tt.site+"\ntest_upstream")); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzReadAmount(f *testing.F) {
	for _, seed := range []string{"10 sat", "0.02 usd", "pricer till", "{http.vars.x} eur", "{http.vars.x} sat", "1 xyz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := readAmount(text)
		if err != nil {
			return
		}
		kinds := 0
		for _, is := range []bool{a.fixed > 0, !a.fiat.IsZero(), a.number != "", a.program != ""} {
			if is {
				kinds++
			}
		}
		if kinds != 1 || a.fixed > pricing.MaxAmount {
			t.Fatalf("%q is %+v", text, a)
		}
		if again, err := readAmount(a.String()); err != nil || again.String() != a.String() {
			t.Fatalf("%q reads back as %+v, %v", text, again, err)
		}
	})
}
