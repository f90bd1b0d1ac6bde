package httpjson

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func TestDecode(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "HTML": "<html>", "two values": "{}{}", "wrong type": `{"n":"` + testSecret + `"}`,
		"deep": strings.Repeat("[", 100_000), "cut": `{"n":`,
	} {
		a := &Answer{Body: []byte(body), secrets: []string{testSecret}}
		var out struct{ N int }
		err := a.Decode(&out)
		if !errors.Is(err, wallets.ErrBadAnswer) {
			t.Errorf("%s: got %v", name, err)
		} else if strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: secret in %v", name, err)
		}
	}
}

func TestRefusal(t *testing.T) {
	for status, want := range map[int]error{
		401: wallets.ErrUnauthorized, 403: wallets.ErrUnauthorized, 429: wallets.ErrRateLimited,
		408: wallets.ErrUnavailable, 500: wallets.ErrUnavailable, 503: wallets.ErrUnavailable,
		200: wallets.ErrBadAnswer, 400: wallets.ErrBadAnswer, 404: wallets.ErrBadAnswer,
	} {
		a := &Answer{Status: status, Body: []byte("key " + testSecret + " is bad"), secrets: []string{testSecret}}
		for _, reason := range []string{"", "because of " + testSecret} {
			err := a.Refusal(reason)
			if !errors.Is(err, want) || strings.Contains(err.Error(), testSecret) {
				t.Errorf("status %d: got %v, want %v", status, err, want)
			}
		}
	}
}

func TestClean(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Unknown method 'x'", "Unknown method 'x'"},
		{"empty", " \n", "no reason given"},
		{"control", "a\x00b\r\nc\x1b[31m", "a b  c [31m"},
		{"not UTF-8", "a\xffb", "a b"},
		{"secret", "pw=" + testSecret + "!", "pw=…!"},
		{"in base64", "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5", "…"},
		{"in hex", "636f727265637420686f727365206261747465727979", "…79"},
		{"escaped", "a=correct+horse+battery&b=correct%20horse%20battery", "a=…&b=…"},
		{"a key of 32", "key 0123456789abcdef0123456789abcdef.", "key …."},
		{"long", strings.Repeat("é ", 400), strings.TrimSpace(strings.Repeat("é ", 100)) + " …"},
	} {
		if got := Clean(tt.in, testSecret, ""); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a secret0 b", "secret0")
	f.Add("\xff\x00", "x")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := Clean(text, secret)
		if !utf8.ValidString(got) || len(got) > maxQuote+len("…") {
			t.Errorf("%q is not fit for an error", got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q holds %q", got, r)
			}
		}
		// Cleaning itself may put a short secret together out of its own words and blanks.
		if len(secret) > 6 && utf8.ValidString(secret) && !strings.ContainsAny(secret, " …") &&
			!strings.Contains("no reason given", secret) && strings.IndexFunc(secret, unicode.IsSpace) < 0 &&
			strings.Count(text, secret) == 1 && strings.Contains(got, secret) {
			t.Errorf("%q holds the secret %q", got, secret)
		}
	})
}

func TestParseBase(t *testing.T) {
	for _, good := range []string{"http://h", "https://h:1/", " https://[::1]:3010/a/b ", "HTTPS://h"} {
		if _, err := ParseBase("address", good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "h", "h:1", "ftp://h", "https://", "https://:1", "https://user:" + "hunter22" + "@h", "https://h/?key=hunter22",
		"https://h/#hunter22", "https://h\x7f/hunter22", "https://h/?",
	} {
		_, err := ParseBase("address", bad)
		if err == nil || !strings.Contains(err.Error(), "address") || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func FuzzParseBase(f *testing.F) {
	f.Add("https://h:1/x")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseBase("address", text)
		if err == nil && (u.Hostname() == "" || u.User != nil || u.RawQuery != "") {
			t.Errorf("%q became %#v", text, u)
		}
	})
}
