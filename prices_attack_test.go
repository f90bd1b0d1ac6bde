package caddyl402

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-l402/caddy-l402/l402"
)

// TestQueriesOfTwoReadings asks in queries and headers that Caddy's matchers and an upstream may read
// in two ways, for what costs more in one of them.
func TestQueriesOfTwoReadings(t *testing.T) {
	s := serve(t, "wallet play sandbox", `l402 /dear/* 1 sat {
		limit off
		price 100 sat query model=large
	}
	l402 /cheap/* 100 sat {
		limit off
		price 1 sat query model=small
		price 1 sat header X-Model small
	}
	test_upstream`)
	for _, query := range []string{
		"model=large;", "model=large;x", "x;model=large", "x=1&y;model=large", "model=large&x=%zz", "x=%&model=large", "a=1;model=%6carge",
	} {
		s.wantNoPrice(http.StatusBadRequest, codeUnsellable, "GET", "/dear/x?"+query)
	}
	for _, query := range []string{
		"model=small&model=large", "model=large&model=small", "model=small&model=", "model=large&x=1&model=%73mall",
	} {
		s.wantNoPrice(http.StatusBadRequest, codeUnsellable, "GET", "/cheap/x?"+query)
	}
	s.wantNoPrice(http.StatusBadRequest, codeUnsellable, "GET", "/cheap/x", "X-Model", "small", "X-Model", "large")
	s.wantNoPrice(http.StatusBadRequest, codeUnsellable, "GET", "/cheap/x", "X-Model", "large", "X-Model", "small")
	// Strange ones that mean the same price in all readings are for sale.
	s.wantPrice(1, "GET", "/dear/x?q=a;b")
	s.wantPrice(1, "GET", "/dear/x?q=100%")
	s.wantPrice(1, "GET", "/dear/x?tag=a&tag=b&model=small")
	s.wantPrice(100, "GET", "/dear/x?model=large&model=large&tag=a&tag=b")
	s.wantPrice(1, "GET", "/cheap/x?model=small&model=small")
	s.wantPrice(1, "GET", "/cheap/x", "X-Model", "small", "X-Other", "a", "X-Other", "b")
	s.wantPrice(100, "GET", "/cheap/x", "X-Other", "a", "X-Other", "b")
	// Of several prices the dearest is no bargain.
	s.wantPrice(100, "GET", "/cheap/x?model=small;model=large")
	s.wantPrice(100, "GET", "/cheap/x?model=small&x;model=large")
	s.wantPrice(100, "GET", "/dear/x?model=large&model=small")
}

func FuzzQueryReadings(f *testing.F) {
	for _, seed := range []string{"", "a=b", "a=1&a=2", "a=1;a=2", "a=%zz&b", "&;=", "a&a=&a;b=%3B"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		found := queryReadings(query)
		if len(found) > 6 {
			t.Fatalf("%d readings of %q", len(found), query)
		}
		strict, err := url.ParseQuery(query)
		for _, reading := range found {
			values, readErr := url.ParseQuery(reading)
			if readErr != nil {
				t.Fatalf("%q is read as %q, which not all can read: %v", query, reading, readErr)
			}
			if err == nil && reflect.DeepEqual(values, strict) {
				t.Fatalf("%q is read as itself", query)
			}
			for name := range strict {
				if _, ok := values[name]; err == nil && !strings.Contains(query, ";") && !ok {
					t.Fatalf("%q as %q lacks %q", query, reading, name)
				}
			}
		}
	})
}

// TestNumbersOfTwoReadings names a price in a query that an upstream may read in another way.
func TestNumbersOfTwoReadings(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 {query.n} sat {\n\tmin 1 sat\n\tmax 100 sat\n\tlimit off\n}\ntest_upstream")
	s.wantPrice(7, "GET", "/x?n=7&other=1")
	for _, query := range []string{"n=1&x;n=100", "n=1&n=100", "n=1;n=100", "n=1&n=%zz"} {
		s.wantNoPrice(http.StatusBadRequest, "price_refused", "GET", "/x?"+query)
	}
}

// TestProgramsPriceWhatIsServed asks a price program about paths that lead elsewhere.
func TestProgramsPriceWhatIsServed(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "dear"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dear", "f"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	till := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `{"price":"1 sat"}`)
	}))
	defer till.Close()
	s := serve(t, "wallet play sandbox\npricer till http "+till.URL, "root * "+dir+"\nl402 pricer till\nfile_server")
	for _, path := range []string{"/cheap/../dear/f", "/./dear/f", "//dear/f", "/dear//f", "/cheap/%2e%2e/dear/f", "/cheap/..%2fdear/f", "/dear/.", "/x/.."} {
		s.wantNoPrice(http.StatusBadRequest, codeUnsellable, "GET", path)
	}
	if asked.Load() != 0 {
		t.Error("the program was asked about them")
	}
	for _, path := range []string{"/dear/f", "/dear/", "/", "/dear/..f", "/dear/f...", "/.f"} {
		s.wantPrice(1, "GET", path)
	}
}

// TestMethodOverridesAreNotFree charges for one method and asks for it in the disguise of another.
func TestMethodOverridesAreNotFree(t *testing.T) {
	s := serve(t, "wallet play sandbox", `l402 10 sat {
		methods POST DELETE
	}
	respond "override={http.request.header.X-HTTP-Method-Override}{http.request.header.X-Method-Override}{http.request.header.X-HTTP-Method}"`)
	for _, name := range []string{"X-HTTP-Method-Override", "x-method-override", "X-Http-Method"} {
		if a := s.want(200, "GET", "/x", name, "DELETE"); a.body != "override=" {
			t.Errorf("for nothing the upstream saw %s", a.body)
		}
	}
}

const askedPrice = "l402 {http.request.uri.query.n} sat {\n\tmin 1 sat\n\tmax 100 sat\n\tlimit off\n}\ntest_upstream"

// TestManyPricesInOneBrowser looks at more priced pages than a request has room for tokens: what was
// paid must count all the same, and no browser must be locked out by long headers.
func TestManyPricesInOneBrowser(t *testing.T) {
	s := serve(t, "wallet play sandbox", askedPrice)
	b := s.browser()
	first := pageOf(t, b.wants(402, "/x?n=3"))
	b.wants(402, "/x?n=4")
	s.pay(first.invoice)
	b.wants(200, "/x?n=3")
	page := &url.URL{Scheme: "http", Host: s.addr, Path: "/x"}
	for i := range 60 {
		b.wants(402, fmt.Sprintf("/x?n=%d", i+20))
		size := 0
		for _, c := range b.client.Jar.Cookies(page) {
			size += len(c.Name) + len(c.Value)
		}
		if size > maxCookies {
			t.Fatalf("after %d pages the browser has %d bytes of cookies", i, size)
		}
	}
	last := pageOf(t, b.wants(402, "/x?n=99"))
	s.pay(last.invoice)
	b.do("POST", "/x"+last.action, last.form("paid"))
	b.wants(200, "/x?n=99")
	b.wants(200, "/x?n=3")
}

// TestTheRightCookieOfMany brings the token that counts behind more others than are read.
func TestTheRightCookieOfMany(t *testing.T) {
	s := serve(t, "wallet play sandbox", askedPrice)
	var cookies []string
	look := func(price int) answer {
		a := s.want(402, "GET", fmt.Sprintf("/x?n=%d", price), "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
		for _, c := range a.Cookies() {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
		return a
	}
	for i := range l402.MaxCandidates + 4 {
		look(i + 1)
	}
	s.pay(s.challenge(look(50)).Invoice)
	all := strings.Join(cookies, "; ")
	if a := s.want(200, "GET", "/x?n=50", "Cookie", all); strings.Contains(a.body, "l402_") {
		t.Errorf("the upstream sees tokens: %s", a.body)
	}
	s.wantCode("payment_pending", "/x?n=20", "Cookie", all)
	s.wantCode("wrong_request", "/x?n=51", "Cookie", all)
}
