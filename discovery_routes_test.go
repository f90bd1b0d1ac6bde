package caddyl402

import (
	"encoding/json"
	"strings"
	"testing"
)

// manifest is the part of the manifest that the tests look at.
type manifestDoc struct {
	Version  string
	Services []struct {
		Name      string
		Resources []struct {
			Path    string
			Pricing struct {
				Model     string
				PriceMsat uint64 `json:"price_msat"`
			}
		}
	}
}

func TestRoutesDescribeThemselves(t *testing.T) {
	s := serve(t, "wallet play sandbox", `
	l402 /premium/* 10 sat {
		title "Premium"
		description "All that is good"
	}
	l402 /secret/* 20 sat {
		hidden
	}
	test_upstream`)
	a := s.want(200, "GET", "/.well-known/l402.json", "Origin", "https://agent.test")
	var doc manifestDoc
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err, a.body)
	}
	if len(doc.Services) != 1 || doc.Services[0].Name != "premium" || len(doc.Services[0].Resources) == 0 ||
		doc.Services[0].Resources[0].Pricing.PriceMsat != 10_000 || doc.Services[0].Resources[0].Path != "/premium/*" {
		t.Error(a.body)
	}
	if strings.Contains(a.body, "secret") {
		t.Error("a hidden route is shown:", a.body)
	}
	if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("ETag") == "" {
		t.Error(a.Header)
	}
	s.want(304, "GET", "/.well-known/l402.json", "If-None-Match", a.Header.Get("ETag"))
	if head := s.want(200, "HEAD", "/.well-known/l402.json"); head.body != "" {
		t.Error("HEAD has a body")
	}
	services := s.want(200, "GET", "/.well-known/l402-services")
	if !json.Valid([]byte(services.body)) || !strings.Contains(services.body, `"routes"`) ||
		!strings.Contains(services.body, `"services"`) || strings.Contains(services.body, "secret") {
		t.Error(services.body)
	}
	if link := s.want(402, "GET", "/premium/x").Header.Get("Link"); !strings.Contains(link, `rel="l402-manifest"`) {
		t.Errorf("the challenge does not point to the manifest: %q", link)
	}
	s.want(402, "GET", "/secret/x")
}

func TestManifestOff(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402 10 sat {\n\tmanifest off\n\texempt none\n}\ntest_upstream")
	s.want(402, "GET", "/.well-known/l402.json")
	if link := s.want(402, "GET", "/x").Header.Get("Link"); strings.Contains(link, "l402-manifest") {
		t.Error(link)
	}
}

func TestOpenAPI(t *testing.T) {
	s := serve(t, "wallet play sandbox", "l402_manifest {\n\tprovider_name Shop\n\topenapi /openapi.json\n\tllms /llms.txt\n}\nl402 /premium/* 10 sat\ntest_upstream")
	a := s.want(200, "GET", "/openapi.json")
	var doc struct {
		OpenAPI string
		Paths   map[string]any
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Paths) == 0 {
		t.Error(err, a.body)
	}
	if !strings.Contains(a.body, "x-payment-info") {
		t.Error("no price in", a.body)
	}
	if text := s.want(200, "GET", "/llms.txt"); !strings.Contains(text.body, "10 sat") {
		t.Error(text.body)
	}
}

func TestManifestTellsOfEcash(t *testing.T) {
	s := serve(t, "wallet play sandbox\ncashu {\nmint https://mint.example.com\n}",
		"l402 /premium/* 10 sat\nl402 /only/* 20 sat {\n\tcashu off\n}\ntest_upstream")
	a := s.want(200, "GET", "/.well-known/l402.json")
	if strings.Count(a.body, "https://mint.example.com") != 1 || !strings.Contains(a.body, `"bolt11",`) {
		t.Error(a.body)
	}
	if a := s.want(200, "GET", "/.well-known/l402-services"); !strings.Contains(a.body, "https://mint.example.com") {
		t.Error(a.body)
	}
}

func TestManifestShowsOneHostAlone(t *testing.T) {
	s := serve(t, "wallet play sandbox", gated)
	config := strings.Replace(s.config("wallet play sandbox", "test_upstream"), "http://"+s.addr+", ", "", 1) +
		"http://" + s.addr + " {\n\tbind 127.0.0.1\n\t" + gated + "\n}\n"
	s.reload(config)
	if a := s.do("GET", "/.well-known/l402.json", "Host", "other.test:"+s.addr[strings.LastIndexByte(s.addr, ':')+1:]); strings.Contains(a.body, "premium") {
		t.Error("another host's routes are shown:", a.body)
	}
	if a := s.want(200, "GET", "/.well-known/l402.json"); !strings.Contains(a.body, "premium") {
		t.Error(a.body)
	}
}

// TestText shows the text at its own place and at another one, with the same switches as the manifest.
func TestText(t *testing.T) {
	const gates = "l402 /premium/* 10 sat {\n\t\ttitle Premium\n\t}\n\tl402 /secret/* 20 sat {\n\t\thidden\n\t}\n\ttest_upstream"
	s := serve(t, "wallet play sandbox", gates)
	const place = "/.well-known/l402.txt"
	a := s.want(200, "GET", place, "Origin", "https://agent.test")
	for _, part := range []string{
		"# ", "\n> ", "## Paid requests\n\n- [GET /premium/*](/premium/*): Premium. Price: 10 sat, valid for 24h. Of the sandbox.\n",
		"Authorization: L402 <token>:<preimage>", "sandbox/pay", "[Manifest](/.well-known/l402.json)", "[Text](" + place + ")",
	} {
		if !strings.Contains(a.body, part) {
			t.Errorf("%q is missing in %s", part, a.body)
		}
	}
	if strings.Contains(a.body, "secret") || strings.Contains(a.body, "X-Cashu") {
		t.Error("too much is told:", a.body)
	}
	if a.Header.Get("Content-Type") != "text/plain; charset=utf-8" || a.Header.Get("ETag") == "" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(a.Header)
	}
	s.want(304, "GET", place, "If-None-Match", a.Header.Get("ETag"))

	s.reload(s.config("wallet play sandbox", "l402_manifest {\n\t\tllms\n\t}\n\t"+gates))
	moved := s.want(200, "GET", "/llms.txt")
	if !strings.Contains(moved.body, "[Text](/llms.txt)") || s.want(200, "GET", place).body != moved.body {
		t.Error(moved.body)
	}
	for _, off := range []string{"l402_manifest off\n\tl402 10 sat {\n\t\texempt none\n\t}", "l402 10 sat {\n\t\tmanifest off\n\t\texempt none\n\t}"} {
		s.reload(s.config("wallet play sandbox", off+"\n\ttest_upstream"))
		s.want(402, "GET", place)
	}
}

func TestManifestPlacesDiffer(t *testing.T) {
	for _, block := range []string{"l402_manifest /.well-known/l402.txt", "l402_manifest {\n\topenapi /.well-known/l402.txt\n}"} {
		_, errs, err := printManifest(t, "a.example {\n"+block+"\nl402 1 sat\n}\n")
		if err == nil || !strings.Contains(errs, "this is the path of the text already") {
			t.Errorf("%s: %v %s", block, err, errs)
		}
	}
}
