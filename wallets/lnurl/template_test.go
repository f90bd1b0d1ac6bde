package lnurl

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func provisioned(t testing.TB, p *Payee) *Payee {
	t.Helper()
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// fillWith fills a template with the same value everywhere.
func fillWith(p *Payee, value string) (*Payee, error) {
	g, err := p.Fill(func(text string) (string, error) {
		if !strings.HasPrefix(text, "{") || !strings.HasSuffix(text, "}") {
			return "", errors.New("not a placeholder: " + text)
		}
		return value, nil
	})
	if err != nil {
		return nil, err
	}
	return g.(*Payee), nil
}

func TestFill(t *testing.T) {
	for name, c := range map[string]struct{ address, value, url string }{
		"whole":    {"{http.vars.ln_address}", "shop+a@x.example", "https://x.example/.well-known/lnurlp/shop+a"},
		"user":     {"{http.vars.t}@x.example:8443", "shop.one", "https://x.example:8443/.well-known/lnurlp/shop.one"},
		"part":     {"pre-{http.vars.t}@x.example", "shop", "https://x.example/.well-known/lnurlp/pre-shop"},
		"host":     {"pay@{http.request.host}", "shop.example", "https://shop.example/.well-known/lnurlp/pay"},
		"both":     {"{http.vars.t}@{http.vars.t}", "shop", "https://shop/.well-known/lnurlp/shop"},
		"url":      {"https://x.example/{http.vars.t}/pay?for={http.vars.t}", "shop", "https://x.example/shop/pay?for=shop"},
		"lnurlp":   {"lnurlp://{http.vars.t}.example/pay", "shop", "https://shop.example/pay"},
		"any name": {"{tenant}@x.example", "shop", "https://x.example/.well-known/lnurlp/shop"},
	} {
		p := provisioned(t, &Payee{Address: c.address, NetworkName: "signet", Comment: "hello"})
		if !p.IsTemplate() {
			t.Fatalf("%s is no template", name)
		}
		if _, err := p.Open(newEnv(t)); err == nil {
			t.Errorf("%s: a template was opened", name)
		}
		filled, err := fillWith(p, c.value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := filled.set.target.url.String(); got != c.url {
			t.Errorf("%s: got %s, want %s", name, got, c.url)
		}
		if filled.IsTemplate() || filled.Network() != "signet" || filled.set.comment != "hello" {
			t.Errorf("%s: filled as %+v", name, filled.set)
		}
		other, err := fillWith(p, strings.ReplaceAll(c.value, "shop", "other"))
		if err != nil || other.Identity() == filled.Identity() {
			t.Errorf("%s: two payees have one identity, %v", name, err)
		}
		if _, err := filled.Open(newEnv(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFillRefuses(t *testing.T) {
	whole := provisioned(t, &Payee{Address: "{http.vars.ln_address}"})
	user := provisioned(t, &Payee{Address: "{http.vars.t}@x.example"})
	host := provisioned(t, &Payee{Address: "pay@{http.vars.t}"})
	link := provisioned(t, &Payee{Address: "https://x.example/pay/{http.vars.t}/x?y=z"})
	for name, c := range map[string]struct {
		payee *Payee
		value string
	}{
		"empty":               {whole, ""},
		"no at":               {whole, "shop"},
		"two ats":             {whole, "a@b@x.example"},
		"slash":               {whole, "a@x.example/b"},
		"upper case":          {whole, "Shop@x.example"},
		"upper-case host":     {whole, "shop@X.example"},
		"unicode host":        {whole, "shop@exämple.com"},
		"unicode dot":         {whole, "shop@x。example"},
		"full width":          {whole, "shop@ｘ.example"},
		"port":                {whole, "shop@x.example:22"},
		"loopback":            {whole, "shop@127.0.0.1"},
		"metadata":            {whole, "shop@169.254.169.254"},
		"onion":               {whole, "shop@abc.onion"},
		"url":                 {whole, "https://x.example/"},
		"lnurl":               {whole, encodeLNURL(t, "https://x.example/")},
		"placeholder":         {whole, "{env.HOME}@x.example"},
		"dots":                {whole, "..@x.example"},
		"blank":               {whole, " shop@x.example"},
		"line":                {whole, "shop@x.example\r\nX: y"},
		"zero":                {whole, "shop@x.example\x00"},
		"bad label":           {whole, "shop@-x.example"},
		"long":                {whole, strings.Repeat("a", 400) + "@x.example"},
		"at in user":          {user, "a@evil.example"},
		"empty user":          {user, ""},
		"slash in user":       {user, "a/b"},
		"user of dots":        {user, ".."},
		"one dot":             {user, "."},
		"percent":             {user, "a%2fb"},
		"question":            {user, "a?b"},
		"hash":                {user, "a#b"},
		"long user":           {user, strings.Repeat("a", 65)},
		"empty host":          {host, ""},
		"host and path":       {host, "x.example/y"},
		"host and port":       {host, "x.example:80"},
		"host with plus":      {host, "x+y.example"},
		"private host":        {host, "10.0.0.1"},
		"at in host":          {host, "x.example@evil.example"},
		"path":                {link, "a/b"},
		"way up":              {link, ".."},
		"escaped way up":      {link, "%2e%2e"},
		"query":               {link, "a?amount=1"},
		"further parameter":   {link, "a&amount=1"},
		"fragment":            {link, "a#"},
		"backslash":           {link, `a\b`},
		"plus":                {link, "a+b"},
		"empty part of a URL": {link, ""},
	} {
		if got, err := fillWith(c.payee, c.value); err == nil {
			t.Errorf("%s: %q became %s", name, c.value, got.set.target.url)
		} else if c.value != "" && len(c.value) > 3 && strings.Contains(err.Error(), c.value) {
			t.Errorf("%s: the error repeats the client's words: %v", name, err)
		}
	}
	missing := errors.New("nothing there")
	if _, err := whole.Fill(func(string) (string, error) { return "", missing }); !errors.Is(err, missing) {
		t.Errorf("an error of replace became %v", err)
	}
}

func TestTemplateSettings(t *testing.T) {
	for address, says := range map[string]string{
		"{http.vars.x":                    "no '}'",
		"http.vars.x}@x.example":          "'}'",
		"{}@x.example":                    "empty",
		"{a{b}}@x.example":                "'}'",
		"{http.vars.x}":                   "",
		"shop{http.vars.x}":               "a placeholder can stand",
		"{http.vars.x}://x.example/":      "a placeholder can stand",
		"lightning:{http.vars.x}":         "a placeholder can stand",
		"{http.vars.a}{http.vars.b}":      "a placeholder can stand",
		"https://{a}:{b}@x.example/":      "password",
		"http://x.example/{a}":            "plain http",
		"Shop-{a}@x.example":              "lower-case",
		"shop@x.example:{a}":              "not a URL",
		"a@b@{a}":                         "a placeholder can stand",
		"https://x.example:{a}/":          "not a URL",
		"shop@127.0.0.1.{a}.exämple":      "ASCII",
		"{env.LNURL_TEST_NOT_SET}":        "missing",
		"{env.LNURL_TEST_NOT_SET}@x.test": "1 to 64",
	} {
		err := (&Payee{Address: address}).Provision(caddy.Context{})
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: got %v, want something about %q", address, err, says)
		}
	}
	for address, fine := range map[string]bool{
		"{a}@127.0.0.1:80": true, "http://127.0.0.1/{a}": true, "http://127.0.0.1?{a}": true,
		"{a}": false, "pay@{a}": false, "{a}@{b}": false, "{a}@x.{b}": false, "https://{a}.example/": false,
		"https://x{a}/": false, "https://127.0.0.1:8{a}/": false,
	} {
		err := (&Payee{Address: address, AllowPrivate: true}).Provision(caddy.Context{})
		if fine != (err == nil) {
			t.Errorf("%s with allow_private: %v", address, err)
		}
	}
}

func FuzzFill(f *testing.F) {
	for _, seed := range []string{"shop@x.example", "shop", "a/../b", "..", "x.example:80", "%2e", "{a}"} {
		f.Add(seed)
	}
	templates := []*Payee{
		provisioned(f, &Payee{Address: "{v}"}),
		provisioned(f, &Payee{Address: "{v}@x.example"}),
		provisioned(f, &Payee{Address: "pay@{v}"}),
		provisioned(f, &Payee{Address: "https://x.example/a/{v}/b?c=d"}),
	}
	f.Fuzz(func(t *testing.T, value string) {
		for i, p := range templates {
			filled, err := fillWith(p, value)
			if err != nil {
				continue
			}
			u := filled.set.target.url
			if u.Scheme != "https" || u.User != nil || u.Port() != "" || u.Fragment != "" {
				t.Fatalf("%q became %s", value, u)
			}
			want := "x.example"
			if i == 0 || i == 2 {
				want = u.Host
			}
			if u.Host != want || i < 3 && (u.RawQuery != "" || strings.Count(u.Path, "/") != 3) ||
				i == 3 && (u.RawQuery != "c=d" || u.Path != "/a/"+value+"/b") {
				t.Fatalf("%q became %s", value, u)
			}
		}
	})
}
