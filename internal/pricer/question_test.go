package pricer

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func request(method, target string, header http.Header) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	return r
}

func TestAsk(t *testing.T) {
	r := request("POST", "http://Example.COM/a%20b/%C3%A9?x=1&y=%20", http.Header{
		"Accept": {"text/html", "text/plain"}, "Authorization": {"L402 secret"}, "X-Other": {"no"}})
	q, err := Ask(r, "books", []string{"Accept", "X-None"})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(q)
	want := `{"service":"books","method":"POST","host":"example.com","path":"/a b/é","query":"x=1\u0026y=%20","headers":{"Accept":"text/html, text/plain"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	text := "POST /a%20b/%C3%A9?x=1&y=%20 HTTP/1.1\r\nHost: example.com\r\nAccept: text/html, text/plain\r\n\r\n"
	if q.text() != text {
		t.Errorf("got %q", q.text())
	}
}

func TestAskRefuses(t *testing.T) {
	long := request("GET", "/"+strings.Repeat("a", maxQuestion), nil)
	binary := request("GET", "/%ff", nil)
	header := request("GET", "/", http.Header{"Accept": {"\xff"}})
	for name, r := range map[string]*http.Request{"long": long, "path": binary, "header": header} {
		if _, err := Ask(r, "s", []string{"Accept"}); !errors.Is(err, ErrNoPrice) || !errors.Is(err, ErrQuestion) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Ask(header, "s", nil); err != nil {
		t.Errorf("a header that is not asked for counts: %v", err)
	}
}

func TestKeysDiffer(t *testing.T) {
	base := Question{Service: "s", Method: "GET", Host: "h", Path: "/p", Query: "q"}
	same := base
	if base.Key() != same.Key() {
		t.Error("equal questions have different keys")
	}
	seen := map[string]bool{base.Key(): true}
	for _, q := range []Question{
		{Service: "sG", Method: "ET", Host: "h", Path: "/p", Query: "q"},
		{Service: "s", Method: "GET", Host: "h", Path: "/p\x00q"},
		{Service: "s", Method: "GET", Host: "h", Path: `/p","q`},
		{Service: "s", Method: "GET", Host: "h", Path: "/p", Query: "q", Headers: map[string]string{"A": "b"}},
		{Service: "s", Method: "GET", Host: "h", Path: "/p", Query: "q", Headers: map[string]string{"A": "b", "C": "d"}},
		{Service: "s", Method: "GET", Host: "h", Path: "/p", Query: "q", Headers: map[string]string{"A": "b,C,d"}},
	} {
		if seen[q.Key()] {
			t.Errorf("two questions have the key %s", q.Key())
		}
		seen[q.Key()] = true
	}
}

func TestCheckHeader(t *testing.T) {
	if name, err := CheckHeader("accept-language"); err != nil || name != "Accept-Language" {
		t.Error(name, err)
	}
	for _, name := range []string{"", "a b", "a:b", "host", "Authorization", "cookie", "proxy-authorization", "X-Cashu", "macaroon", "Grpc-Metadata-Macaroon", "payment-authorization", strings.Repeat("a", 65)} {
		if _, err := CheckHeader(name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

func FuzzAsk(f *testing.F) {
	f.Add("GET", "/a b", "x=1", "de\r\nX-Price: 1")
	f.Fuzz(func(t *testing.T, method, path, query, accept string) {
		if method == "" || strings.ContainsAny(method, " \r\n\t") {
			return // net/http refuses those
		}
		r := &http.Request{Method: method, Host: "h", URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Accept": {accept}}}
		q, err := Ask(r, "s", []string{"Accept"})
		if err != nil {
			return
		}
		if text := q.text(); strings.Count(text, "\r\n") != 4 && strings.IndexAny(query, "\r\n") < 0 {
			t.Fatalf("%q has other lines than it should", text)
		}
		var again Question
		b, _ := json.Marshal(q)
		if err := json.Unmarshal(b, &again); err != nil || again.Key() != q.Key() {
			t.Fatalf("%s reads back as %+v", b, again)
		}
		if read, err := http.ReadRequest(bufio.NewReader(strings.NewReader(q.text()))); err == nil && strings.HasPrefix(path, "/") &&
			!strings.HasPrefix(path, "//") && read.URL.Path != path {
			t.Fatalf("%q reads back as path %q", q.text(), read.URL.Path)
		}
	})
}
