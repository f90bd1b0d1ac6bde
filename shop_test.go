package caddyl402

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/caddy-l402/caddy-l402/l402"
)

// offers are what a manifest lists: "<service> <method> <path> <msat>".
func offered(t *testing.T, body string) (list []string) {
	t.Helper()
	var doc struct {
		Services []struct {
			Name      string
			Resources []struct {
				Path, Method string
				Pricing      struct {
					PriceMsat uint64 `json:"price_msat"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err, body)
	}
	for _, service := range doc.Services {
		for _, r := range service.Resources {
			list = append(list, fmt.Sprintf("%s %s %s %d", service.Name, r.Method, r.Path, r.Pricing.PriceMsat))
		}
	}
	slices.Sort(list)
	return list
}

// TestShopFindsRoutes checks what a site's routes come out as for the host that is asked.
func TestShopFindsRoutes(t *testing.T) {
	for _, test := range []struct {
		name, site string
		want       []string // nil: there is no manifest
	}{
		{"everything", "l402 10 sat", []string{"default GET /* 10000"}},
		{"several paths and methods",
			"@p {\n\t\tpath /a /b/*\n\t\tmethod GET POST\n\t}\n\tl402 @p 1 sat",
			[]string{"p GET /a 1000", "p GET /b/* 1000", "p POST /a 1000", "p POST /b/* 1000"}},
		{"charged methods", "l402 /a 1 sat {\n\t\tmethods post put\n\t}", []string{"a POST /a 1000", "a PUT /a 1000"}},
		{"charged and matched methods",
			"@p {\n\t\tpath /a\n\t\tmethod GET POST\n\t}\n\tl402 @p 1 sat {\n\t\tmethods POST DELETE\n\t}", []string{"p POST /a 1000"}},
		{"no method is both", "@p method GET\n\tl402 @p 1 sat {\n\t\tmethods POST\n\t}", []string{}},
		{"the input tells the method", "l402 /a 1 sat {\n\t\tinput_schema `{\"type\":\"object\"}`\n\t}", []string{"a POST /a 1000"}},
		{"examples tell methods", "l402 /a 1 sat {\n\t\texample PUT /a\n\t\texample GET /a\n\t}", []string{"a GET /a 1000", "a PUT /a 1000"}},
		{"hidden", "l402 /a 1 sat {\n\t\thidden\n\t}", nil},
		{"dry run", "l402 /a 1 sat {\n\t\tdry_run\n\t}", nil},
		{"off", "l402_manifest off\n\tl402 /a 1 sat", nil},
		{"upper case stays", "l402 /API/* 1 sat", []string{"API GET /API/* 1000"}},
		{"upper case behind a prefix",
			"l402_manifest\n\thandle_path /p/* {\n\t\tl402 /API 1 sat {\n\t\t\tservice s\n\t\t}\n\t}", []string{"s GET /p/API 1000"}},
		{"named paths", "@p path_regexp ^/x\n\tl402 @p 1 sat {\n\t\tpaths /x/* /xy\n\t}", []string{"p GET /x/* 1000", "p GET /xy 1000"}},
		{"a path that is not known", "@p path_regexp ^/x\n\tl402 @p 1 sat", []string{"p GET /* 1000"}},
		{"prefix", "l402_manifest\n\thandle_path /p/* {\n\t\tl402 /a/* 1 sat {\n\t\t\tservice s\n\t\t}\n\t}", []string{"s GET /p/a/* 1000"}},
		{"prefix alone", "l402_manifest\n\thandle_path /p/* {\n\t\tl402 1 sat {\n\t\t\tservice s\n\t\t}\n\t}", []string{"s GET /p/* 1000"}},
		{"narrower inside", "l402_manifest\n\thandle /p/* {\n\t\tl402 /p/a 1 sat\n\t}", []string{"p-a GET /p/a 1000"}},
		{"wider inside", "l402_manifest\n\thandle /p/* {\n\t\tl402 /* 1 sat\n\t}", []string{"default GET /p/* 1000"}},
		{"never reached", "l402_manifest\n\tl402 /z 1 sat\n\thandle /p/* {\n\t\tl402 /q/* 1 sat\n\t}", []string{"z GET /z 1000"}},
		{"endings within", "l402_manifest\n\thandle /p/* {\n\t\t@pdf path *.pdf\n\t\tl402 @pdf 1 sat\n\t}", []string{"pdf GET *.pdf 1000"}},
		{"rewritten", "l402_manifest\n\thandle /p/* {\n\t\trewrite * /q{uri}\n\t\tl402 /q/p/a 1 sat {\n\t\t\tservice s\n\t\t}\n\t}", []string{"s GET /p/* 1000"}},
		{"a query is no rewrite", "rewrite * ?a=b\n\tl402 /a 1 sat", []string{"a GET /a 1000"}},
		{"placeholder in the path", "l402 /{header.X}/* 1 sat {\n\t\tservice s\n\t}", []string{"s GET /* 1000"}},
		{"route blocks", "l402_manifest\n\troute {\n\t\troute /a/* {\n\t\t\tl402 1 sat {\n\t\t\t\tservice s\n\t\t\t}\n\t\t}\n\t}", []string{"s GET /a/* 1000"}},
		{"named route", "l402_manifest\n\tinvoke /a/* shared", []string{"shared GET /a/* 7000"}},
		{"an exclusive group",
			"l402_manifest\n\t@me host 127.0.0.1\n\thandle @me {\n\t\tl402 /a 1 sat {\n\t\t\tservice me\n\t\t}\n\t}\n\thandle {\n\t\tl402 /b 2 sat {\n\t\t\tservice rest\n\t\t}\n\t}",
			[]string{"me GET /a 1000"}},
		{"the other hosts of a group",
			"l402_manifest\n\t@else host other.test\n\thandle @else {\n\t\tl402 /a 1 sat {\n\t\t\tservice else\n\t\t}\n\t}\n\thandle {\n\t\tl402 /b 2 sat {\n\t\t\tservice rest\n\t\t}\n\t}",
			[]string{"rest GET /b 2000"}},
		{"of one path and method the first counts",
			"@x header X 1\n\tl402 @x 1 sat {\n\t\tservice s1\n\t\tpaths /a\n\t}\n\tl402 /a 2 sat {\n\t\tservice s2\n\t}", []string{"s1 GET /a 1000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", gated)
			shared := "&(shared) {\n\tl402 7 sat {\n\t\tservice shared\n\t}\n}\n"
			s.reload(strings.Replace(s.config("wallet play sandbox", test.site), "\nhttp://", "\n"+shared+"http://", 1))
			a := s.want(200, "GET", "/.well-known/l402.json")
			if test.want == nil {
				if a.body != "" {
					t.Error(a.body)
				}
				return
			}
			if got := offered(t, a.body); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			services := s.want(200, "GET", "/.well-known/l402-services").body
			for _, line := range test.want {
				if path := strings.Fields(line)[2]; !strings.Contains(services, `"path": "`+path+`"`) {
					t.Errorf("%s is missing in %s", path, services)
				}
			}
		})
	}
}

func TestShopsOfSeveralHosts(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	_, port, _ := strings.Cut(s.addr, ":")
	site := func(host, body string) string {
		return "http://" + host + ":" + port + " {\n\tbind 127.0.0.1\n\t" + body + "\n}\n"
	}
	s.reload(s.config("wallet play sandbox", "l402_manifest {\n\t\tprovider_name First\n\t}\n\tl402 /one 1 sat") +
		site("a.wild.test", "l402 /two 2 sat") + site("*.wild.test", "l402 /three 3 sat") +
		site("", "l402 /four 4 sat"))
	for host, want := range map[string][2]string{
		"127.0.0.1":           {"one GET /one 1000", `"name": "First"`},
		"other.test:" + port:  {"one GET /one 1000", `"name": "First"`},
		"a.wild.test":         {"two GET /two 2000", `"name": "a.wild.test"`},
		"A.Wild.Test:" + port: {"two GET /two 2000", `"name": "a.wild.test"`},
		"b.wild.test":         {"three GET /three 3000", `"name": "Paid services"`},
		"elsewhere.test":      {"four GET /four 4000", `"name": "Paid services"`},
	} {
		a := s.want(200, "GET", "/.well-known/l402.json", "Host", host)
		if got := offered(t, a.body); !slices.Equal(got, []string{want[0]}) || !strings.Contains(a.body, want[1]) {
			t.Errorf("%s: %v, %s", host, got, a.body)
		}
	}
	catalogs, err := s.app().Catalogs()
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for host, catalog := range catalogs {
		hosts = append(hosts, fmt.Sprintf("%s %s", host, catalog.Routes[0].Service))
	}
	slices.Sort(hosts)
	want := []string{" four", "*.wild.test three", "127.0.0.1 one", "a.wild.test two", "other.test one"}
	if !slices.Equal(hosts, want) {
		t.Errorf("%q", hosts)
	}
}

// TestManifestIsNeverSold covers the ways in which a gate could come before it.
func TestManifestIsNeverSold(t *testing.T) {
	for name, site := range map[string]string{
		"all charged":        "l402 1 sat {\n\t\texempt none\n\t}",
		"own exemption":      "l402 1 sat {\n\t\texempt path /pub/*\n\t}",
		"its folder charged": "l402 /.well-known/* 1 sat {\n\t\texempt none\n\t}",
		"by a header":        "@p header Accept *\n\tl402 @p 1 sat {\n\t\texempt none\n\t}",
		"a rewrite of all":   "rewrite * /index.html\n\tl402 1 sat",
		"a page for all":     "try_files {path} /index.html\n\tl402 1 sat {\n\t\texempt none\n\t}",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", "l402_manifest {\n\t\topenapi /openapi.json\n\t\tllms\n\t}\n\t"+site+"\n\ttest_upstream")
			for _, path := range []string{"/.well-known/l402.json", "/.well-known/l402-services", "/openapi.json", "/llms.txt"} {
				s.want(200, "GET", path, "Accept", "*/*")
			}
			s = serve(t, "wallet play sandbox", site+"\n\ttest_upstream")
			s.want(200, "GET", "/.well-known/l402.json", "Accept", "*/*")
			s.want(200, "GET", "/.well-known/l402-services", "Accept", "*/*")
			if hits := upstreamHits.Load(); hits != 0 {
				t.Errorf("%d requests for documents got to the upstream", hits)
			}
			for _, path := range []string{"/.well-known/l402.jsonx", "/.well-known/x/../l402.json/"} {
				if a := s.do("GET", path, "Accept", "*/*"); a.StatusCode == 200 && strings.Contains(a.body, "macaroon_versions") {
					t.Errorf("%s has the manifest too", path)
				}
			}
		})
	}
}

func TestManifestAnswers(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402_manifest {\n\t\topenapi /openapi.json testdata/discovery/openapi.json\n\t\tmax_age 1h\n\t\tllms\n\t}\n\tl402 /forecast/* 10 sat")
	a := s.want(200, "GET", "/.well-known/l402.json")
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*",
		"X-Content-Type-Options": "nosniff", "Content-Length": fmt.Sprint(len(a.body)),
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	etag := a.Header.Get("ETag")
	if not := s.want(304, "GET", "/.well-known/l402.json", "If-None-Match", `"x", `+etag); not.body != "" {
		t.Error("304 with a body")
	}
	s.want(200, "GET", "/.well-known/l402.json", "If-None-Match", `"another"`)
	head := s.want(200, "HEAD", "/.well-known/l402.json")
	if head.Header.Get("ETag") != etag || head.ContentLength != int64(len(a.body)) {
		t.Error(head.Header)
	}
	if allow := s.want(405, "POST", "/.well-known/l402.json").Header.Get("Allow"); allow != "GET, HEAD, OPTIONS" {
		t.Error(allow)
	}
	preflight := s.want(204, "OPTIONS", "/.well-known/l402.json", "Origin", "https://a.test", "Access-Control-Request-Method", "GET")
	if preflight.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(preflight.Header)
	}
	if text := s.want(200, "GET", "/llms.txt"); text.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Error(text.Header)
	}
	openapi := s.want(200, "GET", "/openapi.json")
	if !strings.Contains(openapi.body, `"operationId": "forecast"`) || strings.Count(openapi.body, `"x-l402-pricing"`) != 1 {
		t.Error(openapi.body)
	}

	s.reload(s.config("wallet play sandbox", "l402 /forecast/* 11 sat"))
	if again := s.want(200, "GET", "/.well-known/l402.json", "If-None-Match", etag); again.Header.Get("ETag") == etag {
		t.Error("another price with the tag of the first")
	}
}

func TestLinkPointsToAManifestThatIsThere(t *testing.T) {
	for name, test := range map[string]struct{ site, path, link string }{
		"default":          {"l402 1 sat", "/x", "/.well-known/l402.json"},
		"own path":         {"l402_manifest /offers.json\n\tl402 1 sat", "/x", "/offers.json"},
		"block of its own": {"handle /p/* {\n\t\tl402 1 sat\n\t}", "/p/x", ""},
		"block, directive": {"l402_manifest\n\thandle /p/* {\n\t\tl402 1 sat\n\t}", "/p/x", "/.well-known/l402.json"},
		"off":              {"l402_manifest off\n\tl402 1 sat", "/x", ""},
		"all is hidden":    {"l402 1 sat {\n\t\thidden\n\t}", "/x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet play sandbox", test.site+"\n\ttest_upstream")
			a := s.want(402, "GET", test.path)
			want := ""
			if test.link != "" {
				want = "<" + test.link + `>; rel="l402-manifest"`
				offered(t, s.want(200, "GET", test.link).body)
			}
			if got := a.Header.Get("Link"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// TestJSONAloneHasAManifest is for configurations that no Caddyfile wrote.
func TestJSONAloneHasAManifest(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	config := fmt.Sprintf(`{"admin":{"disabled":true,"config":{"persist":false}},"storage":{"module":"file_system","root":%q},"apps":{
		"l402":{"wallets":{"play":{"wallet":"sandbox"}}},
		"http":{"servers":{"s":{"listen":[%q],"routes":[{"handle":[{"handler":"l402","price":"5 sat","service":"json"}]}]}}}}}`,
		s.storage, s.addr)
	if err := load([]byte(config)); err != nil {
		t.Fatal(err)
	}
	if got := offered(t, s.want(200, "GET", "/.well-known/l402.json").body); !slices.Equal(got, []string{"json GET /* 5000"}) {
		t.Error(got)
	}
}

// TestDirectoryProbe does what the health check of the 402index directory does.
func TestDirectoryProbe(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	probe := s.want(402, "HEAD", "/premium/a")
	line := probe.Header.Get("WWW-Authenticate")
	challenge := s.challenge(probe)
	if !strings.HasPrefix(line, "L402 ") || challenge.Macaroon[0] != 2 || len(challenge.Invoice) < 100 {
		t.Errorf("%s", line)
	}
	token, err := l402.Describe(challenge.Macaroon)
	if err != nil || len(token.Problems) > 0 {
		t.Fatalf("%+v, %v", token, err)
	}
	invoice, err := zpay32.Decode(challenge.Invoice, &chaincfg.RegressionNetParams)
	if err != nil || hex.EncodeToString(invoice.PaymentHash[:]) != token.PaymentHash {
		t.Errorf("token of %s, %v", token.PaymentHash, err)
	}
}

func TestManifestUnderLoad(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402_manifest {\n\t\topenapi /openapi.json\n\t}\n\tl402 /premium/* 10 sat")
	var all sync.WaitGroup
	bodies := make([]string, 32)
	for i := range bodies {
		all.Go(func() {
			bodies[i] = s.do("GET", []string{"/openapi.json", "/.well-known/l402.json"}[i%2]).body
		})
	}
	all.Wait()
	for i, body := range bodies {
		if body != bodies[i%2] || !json.Valid([]byte(body)) {
			t.Errorf("%d: %s", i, body)
		}
	}
}
