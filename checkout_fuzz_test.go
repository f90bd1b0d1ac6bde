package caddyl402

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzBackTo shows that no path and no query of a client leads it to another host or to a script, and
// that the way back is to the page that it came from.
func FuzzBackTo(f *testing.F) {
	for _, path := range []string{"/", "/a", "//evil.test", `/\evil.test`, "/a//", "/x:y", "/javascript:alert(1)", "/..%2f..", "/a;b"} {
		f.Add(path, "q=1&"+checkoutMark)
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(query, "#") {
			t.Skip("no server gets these")
		}
		r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: path, RawQuery: query}}
		back := backTo(r)
		at, err := url.Parse("http://shop.test" + (&url.URL{Path: path}).EscapedPath())
		if err != nil {
			t.Skip("no browser asks for this")
		}
		to, err := at.Parse(back)
		if err != nil {
			return // a browser stays where it is
		}
		if to.Host != "shop.test" || to.Scheme != "http" || !strings.HasPrefix(back, "./") {
			t.Fatalf("%q leads to %s", back, to)
		}
		if mark := markOf(r); mark == "" && to.RawQuery != query {
			t.Fatalf("query %q became %q", query, to.RawQuery)
		}
	})
}

func FuzzCookiePath(f *testing.F) {
	f.Add("/a/b;c")
	f.Add("")
	f.Add("//x\r\nSet-Cookie: a=b")
	f.Fuzz(func(t *testing.T, path string) {
		got := cookiePath(path)
		if got[0] != '/' || strings.ContainsAny(got, "; ,\r\n\t\x00\x7f") || got != "/" && !strings.HasPrefix(path, got) {
			t.Fatalf("%q", got)
		}
	})
}
