package caddyl402

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recipeSite is the body of a site that a page of the documentation shows, with another root.
func recipeSite(t *testing.T, page, site, root string) string {
	t.Helper()
	for _, b := range blocksOf(t, page, docPage(t, page)) {
		if _, body, found := strings.Cut(b.text, "\n"+site+" {\n"); found && b.info == "caddyfile" {
			body, _, _ = strings.Cut(body, "\n}\n")
			if !strings.Contains(body, "root * /srv/www\n") {
				t.Fatalf("the site in %s has no root", page)
			}
			return strings.Replace(body, "root * /srv/www\n", "root * "+root+"\n", 1)
		}
	}
	t.Fatalf("%s has no site %s", page, site)
	return ""
}

// TestCrawlersPay is the recipe for crawlers: a person passes, a crawler gets the price, pays and
// passes once.
func TestCrawlersPay(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"a.html": "an article", "robots.txt": "License: …", "license.xml": "<rsl/>", "sitemap.xml": "<urlset/>"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, "wallet play sandbox", recipeSite(t, "docs/recipes/bots.md", "www.example.com", root))
	const price, license = "BTC 0.00000010", `<https://www.example.com/license.xml>; rel="license"; type="application/rsl+xml"`

	for _, person := range []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "curl/8.5.0", "",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Mozilla/5.0 (compatible; ChatGPT-User/1.0)",
	} {
		a := s.want(200, "GET", "/a.html", "User-Agent", person)
		if a.body != "an article" || a.Header.Get("Crawler-Price") != "" || !slices.Contains(a.Header["Vary"], "User-Agent") {
			t.Errorf("%q gets %v %q", person, a.Header, a.body)
		}
	}
	const crawler = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot"
	for _, bot := range []string{crawler, "Mozilla/5.0 (compatible; claudebot/1.0)", "CCBot/2.0 (https://commoncrawl.org/faq/)"} {
		for name, more := range map[string][]string{
			"":                              nil,
			"a promise of too little":       {"Crawler-Max-Price", "BTC 0.00000001"},
			"a promise of enough":           {"Crawler-Max-Price", "BTC 1"},
			"a promise of just that":        {"Crawler-Exact-Price", price},
			"a promise in another currency": {"Crawler-Max-Price", "USD 10"},
		} {
			a := s.want(402, "GET", "/a.html", append(more, "User-Agent", bot)...)
			if a.Header.Get("Crawler-Price") != price || !slices.Contains(a.Header["Link"], license) ||
				!strings.Contains(strings.Join(a.Header["Link"], ","), "l402-manifest") || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s with %q: %v", bot, name, a.Header)
			}
			if got := s.challenge(a); got.Invoice == "" {
				t.Error("there is nothing to pay")
			}
		}
	}
	for _, free := range []string{"/robots.txt", "/license.xml", "/sitemap.xml", "/.well-known/l402.json"} {
		s.want(200, "GET", free, "User-Agent", crawler)
	}

	paid := s.buy("/a.html", "User-Agent", crawler)
	// A token that was paid is what counts, and not what was promised beside it.
	a := s.want(200, "GET", "/a.html", "User-Agent", crawler, "Crawler-Max-Price", "BTC 0.00000001", "Authorization", paid.authorization())
	if a.body != "an article" || a.Header.Get("Crawler-Price") != "" || !slices.Contains(a.Header["Cache-Control"], "private") {
		t.Errorf("a crawler that paid gets %v %q", a.Header, a.body)
	}
	s.wantCode("uses_exhausted", "/a.html", "User-Agent", crawler, "Authorization", paid.authorization())
}

// TestCrawlersByAddress is the recipe's other matcher.
func TestCrawlersByAddress(t *testing.T) {
	doc := docPage(t, "docs/recipes/bots.md")
	_, matcher, found := strings.Cut(doc, "`@crawlers expression ")
	matcher, _, ends := strings.Cut(matcher, "`")
	if !found || !ends {
		t.Fatal("the recipe has no matcher by address")
	}
	site := "@crawlers expression " + matcher + "\nl402 @crawlers 10 sat\nrespond free"
	s := serve(t, "wallet play sandbox", site)
	s.want(402, "GET", "/", "User-Agent", "GPTBot/1.0")
	s.want(200, "GET", "/", "User-Agent", "Firefox")
	s = serve(t, "wallet play sandbox", strings.Replace(site, "192.0.2.0/24", "127.0.0.0/8", 1))
	s.want(402, "GET", "/", "User-Agent", "Firefox")
}
