package lnurl

import (
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

func encodeLNURL(t testing.TB, text string) string {
	t.Helper()
	data, err := bech32.ConvertBits([]byte(text), 8, 5, true)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := bech32.Encode("lnurl", data)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func TestParseTarget(t *testing.T) {
	const secret = "https://service.example/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df"
	encoded := encodeLNURL(t, secret)
	for name, c := range map[string]struct{ text, url, name string }{
		"address":          {"satoshi@bitcoin.org", "https://bitcoin.org/.well-known/lnurlp/satoshi", "satoshi@bitcoin.org"},
		"address with tag": {"a-b_c.d+tag@x.example", "https://x.example/.well-known/lnurlp/a-b_c.d+tag", "a-b_c.d+tag@x.example"},
		"port":             {"a@x.example:8443", "https://x.example:8443/.well-known/lnurlp/a", "a@x.example:8443"},
		"punycode":         {"a@xn--exmple-cua.com", "https://xn--exmple-cua.com/.well-known/lnurlp/a", "a@xn--exmple-cua.com"},
		"onion":            {"a@abcdef.onion", "http://abcdef.onion/.well-known/lnurlp/a", "a@abcdef.onion"},
		"lnurl":            {encoded, secret, "service.example"},
		"upper-case lnurl": {strings.ToUpper(encoded), secret, "service.example"},
		"scheme":           {"lightning:" + encoded, secret, "service.example"},
		"upper scheme":     {"LIGHTNING:" + strings.ToUpper(encoded), secret, "service.example"},
		"fallback":         {"https://site.example/x?lightning=" + encoded, secret, "service.example"},
		"url":              {" https://X.example/a%2Fb?c=%20d&e ", "https://x.example/a%2Fb?c=%20d&e", "x.example"},
		"fragment":         {"https://x.example/a#part", "https://x.example/a", "x.example"},
		"lnurlp":           {"lnurlp://x.example/a?b=c", "https://x.example/a?b=c", "x.example"},
		"lnurlp at onion":  {"lnurlp://abc.onion:81/a", "http://abc.onion:81/a", "abc.onion:81"},
		"upper lnurlp":     {"LNURLP://x.example/a", "https://x.example/a", "x.example"},
	} {
		got, err := parseTarget(c.text, rules{onion: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.url.String() != c.url || got.name != c.name {
			t.Errorf("%s: got %s, %s", name, got.url, got.name)
		}
	}
}

func TestParseTargetRefuses(t *testing.T) {
	encoded := encodeLNURL(t, "https://service.example/secret-word")
	for name, c := range map[string]struct{ text, says string }{
		"empty":               {" ", "missing"},
		"a word":              {"satoshi", "neither"},
		"no user":             {"@x.example", "1 to 64"},
		"no host":             {"a@", "user@host"},
		"two ats":             {"a@b@x.example", "one '@'"},
		"slash":               {"a@x.example/b", "no '/'"},
		"user with slash":     {"a/b@x.example", "before '@'"},
		"user of dots":        {"..@x.example", "dots only"},
		"upper user":          {"Satoshi@x.example", "lower-case"},
		"upper host":          {"satoshi@X.example", "lower case"},
		"unicode user":        {"sätoshi@x.example", "lower-case"},
		"unicode host":        {"a@exämple.com", "ASCII"},
		"percent":             {"a%2f@x.example", "lower-case"},
		"query":               {"a@x.example?b", "user@host"},
		"bad port":            {"a@x.example:99999", "port"},
		"port letters":        {"a@x.example:http", "not a URL"},
		"empty label":         {"a@x..example", "malformed"},
		"onion without proxy": {"a@abc.onion", "proxy"},
		"loopback":            {"a@127.0.0.1", "allow_private"},
		"http":                {"http://x.example/secret-word", "plain http"},
		"mistyped lnurl":      {encoded[:len(encoded)-1] + "q", "checksum"},
		"mixed case":          {"LNURL1" + encoded[6:], "checksum"},
		"lnurl of http":       {encodeLNURL(t, "http://x.example/secret-word"), "plain http"},
		"lnurl of nothing":    {encodeLNURL(t, ""), "no host"},
		"lnurl of loopback":   {encodeLNURL(t, "https://127.0.0.1/secret-word"), "allow_private"},
		"withdraw":            {"lnurlw://x.example/secret-word", "not for payments"},
		"login":               {"keyauth://x.example/secret-word", "not for payments"},
		"other scheme":        {"ftp://x.example/secret-word", "scheme"},
		"user in URL":         {"https://u:secret-word@x.example/", "password"},
		"long":                {"a@" + strings.Repeat("x", 5000), "longer"},
		"long name":           {"a@" + strings.Repeat("abc.", 64) + "x", "253"},
	} {
		got, err := parseTarget(c.text, rules{})
		if err == nil {
			t.Errorf("%s: taken as %s", name, got.url)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %q, want something about %q", name, err, c.says)
		}
		if strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
}

func TestAllowPrivate(t *testing.T) {
	for _, text := range []string{
		"http://127.0.0.1:8080/x", "https://192.168.1.1/x", "a@localhost", "a@127.0.0.1:3000", "https://[::1]:8443/x",
		"http://[fe80::1%25eth0]/x",
	} {
		if _, err := parseTarget(text, rules{allowPrivate: true}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := parseTarget(text, rules{}); err == nil && text != "a@localhost" {
			t.Errorf("%s is taken without allow_private", text)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{
		"satoshi@bitcoin.org", "lightning:LNURL1DP68GURN8GHJ7", "lnurlp://x.example/a", "https://x/?lightning=lnurl1",
		"a@b@c", "https://[::ffff:127.0.0.1]:1/", "http://abc.onion", "{http.vars.x}@host",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := rules{onion: true}
		got, err := parseTarget(text, r)
		if err != nil {
			return
		}
		if err := r.check(got.url); err != nil {
			t.Fatalf("%q: taken, though %v", text, err)
		}
		if got.url.User != nil || got.url.Scheme == "http" && !isOnion(got.url.Hostname()) || got.name == "" {
			t.Fatalf("%q: taken as %v", text, got)
		}
		// What was taken is plain: it reads the same again.
		again, err := r.parse(got.url.String())
		if err != nil || again.String() != got.url.String() {
			t.Fatalf("%q: %v reads as %v, %v", text, got.url, again, err)
		}
	})
}
