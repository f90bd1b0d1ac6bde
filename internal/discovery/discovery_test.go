package discovery_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/internal/discovery"
)

// weather sells two services, one of them in two tiers.
func weather() *discovery.Catalog {
	return &discovery.Catalog{
		Provider: discovery.Provider{
			Name: "Example Weather", Description: "Forecasts.", URI: "https://weather.example/",
			NodePubkey: "02" + strings.Repeat("ab", 32), Contact: "ops@weather.example",
		},
		ManifestPath: discovery.ManifestPath, OpenAPIPath: "/openapi.json", TextPath: "/llms.txt",
		Routes: []discovery.Route{{
			Service: "forecast", Title: "Forecast", Description: "Ten days.\n# Not a heading", Paths: []string{"/v1/forecast/*"},
			Methods: []string{"GET"}, PriceMsat: 2000, Payment: true, Capabilities: []string{"read"},
			Terms:    discovery.Terms{Text: "valid for 24h, 100 requests", ValidSeconds: 86400, Uses: 100, Host: true},
			Examples: []discovery.Example{{Method: "GET", Path: "/v1/forecast/bern?days=3"}},
			Limit:    &discovery.Rate{Events: 120, WindowSeconds: 60},
			Free:     &discovery.Rate{Events: 5, WindowSeconds: 3600},
			InputSchema: json.RawMessage(`{"type":"object","properties":{"days":{"type":"integer"}},
				"required":["days"]}`),
		}, {
			Service: "chat", Tier: 1, Paths: []string{"/v1/chat"}, PriceMsat: 1500, Payment: true, Capabilities: []string{"ask", "draw"},
			Terms:       discovery.Terms{ValidSeconds: 60, Bytes: 1 << 20, Path: true, Host: true, Request: true},
			InputSchema: json.RawMessage(`{"type":"object","properties":{"model":{"type":"string","description":"which"},"input":{"type":["null","array"]},"x":true},"required":["model"]}`),
			Examples:    []discovery.Example{{Method: "POST", Path: "/v1/chat", Body: json.RawMessage(`{"model":"m"}`)}},
		}, {
			Service: "chat", Paths: []string{"/v1/chat", "/v1/ask"}, Methods: []string{"POST"}, Payment: true,
		}},
	}
}

// decode checks that a document is JSON and takes it apart.
func decode(t *testing.T, text []byte, err error) map[string]any {
	t.Helper()
	var doc map[string]any
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return doc
}

// at follows a path of member names and indexes.
func at(t *testing.T, doc any, path ...any) any {
	t.Helper()
	for i, step := range path {
		switch key := step.(type) {
		case string:
			object, ok := doc.(map[string]any)
			if !ok {
				t.Fatalf("%v: no object at %d", path, i)
			}
			doc = object[key]
		case int:
			list, ok := doc.([]any)
			if !ok || key >= len(list) {
				t.Fatalf("%v: no item %d in %v", path, key, doc)
			}
			doc = list[key]
		}
	}
	return doc
}

// want compares what stands at a path, written as JSON.
func want(t *testing.T, doc any, text string, path ...any) {
	t.Helper()
	got, _ := json.Marshal(at(t, doc, path...))
	if string(got) != text {
		t.Errorf("%v: got %s, want %s", path, got, text)
	}
}

func TestManifest(t *testing.T) {
	text, err := weather().Manifest()
	doc := decode(t, text, err)
	checkManifest(t, doc)
	want(t, doc, `"/openapi.json"`, "openapi")
	want(t, doc, `"Example Weather"`, "provider", "name")
	want(t, doc, `"forecast"`, "services", 0, "name")
	want(t, doc, `[{"name":"base","tier":0}]`, "services", 0, "tiers")
	want(t, doc, `["read"]`, "services", 0, "capabilities")
	want(t, doc, `"read"`, "services", 0, "resources", 0, "capability")
	want(t, doc, `{"model":"fixed","price_msat":2000}`, "services", 0, "resources", 0, "pricing")
	want(t, doc, `{"bound_to":["host"],"text":"valid for 24h, 100 requests","uses":100,"valid_seconds":86400}`,
		"services", 0, "resources", 0, "terms")
	want(t, doc, `{"max_requests":5,"window_secs":3600}`, "services", 0, "resources", 0, "free")
	want(t, doc, `[{"name":"base","tier":0},{"tier":1}]`, "services", 1, "tiers")
	want(t, doc, `["ask","draw"]`, "services", 1, "resources", 0, "capabilities")
	want(t, doc, `null`, "services", 1, "description") // several routes: none speaks for all
	// The third route's POST /v1/chat is behind the second's: requests meet that first.
	if n := len(at(t, doc, "services", 1, "resources").([]any)); n != 2 {
		t.Errorf("%d resources", n)
	}
	want(t, doc, `{"model":"dynamic"}`, "services", 1, "resources", 1, "pricing")
	for _, name := range []string{
		"services", "forecast_valid_until", "forecast_capabilities", "forecast_uses", "forecast_host", "chat_bytes",
		"chat_path", "chat_request",
	} {
		if at(t, doc, "caveats", name) == nil {
			t.Errorf("the caveat %s is missing", name)
		}
	}
	if at(t, doc, "caveats", "forecast_bytes") != nil {
		t.Error("a caveat that no token has")
	}
}

// checkManifest checks what the draft demands of every manifest.
func checkManifest(t *testing.T, doc map[string]any) {
	t.Helper()
	want(t, doc, `"1.0"`, "version")
	want(t, doc, `["msat"]`, "currencies")
	want(t, doc, `[0]`, "macaroon_versions")
	want(t, doc, `["bolt11"]`, "payment_methods")
	if name, _ := at(t, doc, "provider", "name").(string); name == "" {
		t.Error("the provider has no name")
	}
	types := []string{"integer", "timestamp", "string", "enum", "service_list"}
	relations := []string{"", "subset", "decreasing", "earlier"}
	for name, value := range doc["caveats"].(map[string]any) {
		kind, _ := at(t, value, "type").(string)
		relation, _ := at(t, value, "attenuation").(string)
		if !slices.Contains(types, kind) || !slices.Contains(relations, relation) {
			t.Errorf("caveat %s: %v", name, value)
		}
	}
	for _, service := range doc["services"].([]any) {
		offered, _ := at(t, service, "capabilities").([]any)
		resources, ok := at(t, service, "resources").([]any)
		if name, _ := at(t, service, "name").(string); name == "" || !ok {
			t.Errorf("service %v", service)
		}
		for _, resource := range resources {
			if capability := at(t, resource, "capability"); capability != nil && !slices.Contains(offered, capability) {
				t.Errorf("capability %v is not one of the service's", capability)
			}
			price, hasPrice := at(t, resource, "pricing", "price_msat").(float64)
			switch at(t, resource, "pricing", "model") {
			case "fixed":
				if price <= 0 || price != float64(int64(price)) {
					t.Errorf("price %v", price)
				}
			case "dynamic":
				if hasPrice {
					t.Error("a price that is none")
				}
			default:
				t.Errorf("pricing of %v", resource)
			}
		}
	}
}

func TestManifestOfLittle(t *testing.T) {
	c := &discovery.Catalog{Routes: []discovery.Route{{Service: "default", PriceMsat: 1000}}}
	text, err := c.Manifest()
	doc := decode(t, text, err)
	checkManifest(t, doc)
	want(t, doc, `"Paid services"`, "provider", "name")
	want(t, doc, `"/*"`, "services", 0, "resources", 0, "path")
	want(t, doc, `"GET"`, "services", 0, "resources", 0, "method")
	text, err = (&discovery.Catalog{}).Manifest()
	want(t, decode(t, text, err), `[]`, "services") // an array, not null
	text, err = (&discovery.Catalog{}).Services()
	doc = decode(t, text, err)
	want(t, doc, `[]`, "services")
	want(t, doc, `[]`, "routes")
}

func TestServices(t *testing.T) {
	text, err := weather().Services()
	doc := decode(t, text, err)
	want(t, doc, `"1"`, "version")
	want(t, doc, `"Example Weather"`, "service", "name")
	want(t, doc, `[{"type":"lightning"}]`, "payment_methods")
	want(t, doc, `"/v1/forecast/*"`, "routes", 0, "path")
	want(t, doc, `{"amount_msat":2000,"type":"static"}`, "routes", 0, "price")
	want(t, doc, `86400`, "routes", 0, "macaroon_timeout_secs")
	want(t, doc, `{"max_requests":120,"window_secs":60}`, "routes", 0, "rate_limit")
	want(t, doc, `["services=forecast:0","forecast_valid_until=\u003cunix time\u003e","forecast_uses=100","forecast_host=\u003chost\u003e"]`,
		"routes", 0, "caveats_required")
	want(t, doc, `{"type":"dynamic"}`, "routes", 2, "price")

	// What the directory reads: an address it can compare with, a method, and a flat list of fields.
	want(t, doc, `"/v1/forecast/bern"`, "services", 0, "endpoint") // the example's, without the query
	want(t, doc, `"GET"`, "services", 0, "method")
	want(t, doc, `{"days":{"required":true,"type":"integer"}}`, "services", 0, "request_schema")
	want(t, doc, `"/v1/chat"`, "services", 1, "endpoint")
	want(t, doc, `"POST"`, "services", 1, "method")
	want(t, doc, `{"input":{"required":false,"type":"array"},"model":{"description":"which","required":true,"type":"string"},"x":{"required":false,"type":"string"}}`,
		"services", 1, "request_schema")
}

// TestEcash looks for the ecash that one of two services takes.
func TestEcash(t *testing.T) {
	c := weather()
	c.Routes[0].Ecash = &discovery.Ecash{Mints: []string{"https://mint.example", "https://other.example/Bitcoin"}, Unit: "sat"}
	const taken = `{"mints":["https://mint.example","https://other.example/Bitcoin"],"unit":"sat"}`
	text, err := c.Manifest()
	doc := decode(t, text, err)
	want(t, doc, `["bolt11","cashu"]`, "payment_methods")
	want(t, doc, taken, "services", 0, "resources", 0, "cashu")
	want(t, doc, `null`, "services", 1, "resources", 0, "cashu")
	text, err = c.Services()
	doc = decode(t, text, err)
	want(t, doc, `[{"type":"lightning"},{"type":"cashu"}]`, "payment_methods")
	want(t, doc, taken, "routes", 0, "cashu")
	want(t, doc, `null`, "routes", 1, "cashu")
	want(t, doc, taken, "services", 0, "cashu")
	want(t, doc, `null`, "services", 1, "cashu")
	text, err = c.OpenAPI()
	doc = decode(t, text, err)
	checkOpenAPI(t, doc)
	if n := strings.Count(string(text), "x-l402-cashu"); n != 1 || !strings.Contains(string(text), "https://other.example/Bitcoin") {
		t.Errorf("%d operations take ecash in %s", n, text)
	}
	words := string(c.Text(func(uint64) string { return "much" }))
	if !strings.Contains(words, "Takes Cashu ecash in sat of https://mint.example or https://other.example/Bitcoin.") ||
		strings.Count(words, "Takes Cashu") != 1 || !strings.Contains(words, "`X-L402-Token`") {
		t.Error(words)
	}
	if words := string(weather().Text(func(uint64) string { return "much" })); strings.Contains(words, "cash") {
		t.Error("ecash where none is taken:", words)
	}
}

func TestText(t *testing.T) {
	text := string(weather().Text(func(msat uint64) string { return fmt.Sprint(msat, " thousandths") }))
	for _, part := range []string{
		"# Example Weather\n\n> Forecasts.\n",
		"- [GET /v1/forecast/*](https://weather.example/v1/forecast/bern): Forecast. Ten days. # Not a heading. " +
			"Price: 2000 thousandths, valid for 24h, 100 requests. Free: 5 requests in 3600 seconds",
		"Example: `POST /v1/chat` with the body `{\"model\":\"m\"}`",
		"Price: depends on the request.",
		"Authorization: L402 <token>:<preimage>",
		"[Manifest](/.well-known/l402.json)", "[Text](/llms.txt)", "## How to pay\n\n1. ", "Accept: application/json", "`WWW-Authenticate: Payment …`",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
	if headings := regexp.MustCompile(`(?m)^# `).FindAllString(text, -1); len(headings) != 1 {
		t.Errorf("%d titles: a description made one", len(headings))
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"/a", "/a", true}, {"/a", "/A", true}, {"/A", "/a", true}, {"/a", "/a/", false}, {"/a", "/b", false},
		{"/a/*", "/a/", true}, {"/a/*", "/a", false}, {"/a/*", "/a/b/c", true}, {"/a*", "/ab", true},
		{"*.pdf", "/x/y.pdf", true}, {"*.pdf", "/x.pdf/y", false}, {"*/mid/*", "/a/mid/b", true}, {"*/mid/*", "/a/b", false},
		{"/u/*/info", "/u/1/info", true}, {"/u/*/info", "/u/1/2/info", false}, {"*", "/any/thing", true},
		{"/bands/%*/", "/bands/x/", true}, {"/[/*/x", "/[/y/x", false},
	} {
		if got := discovery.Match(test.pattern, test.path); got != test.want {
			t.Errorf("%s, %s: %v", test.pattern, test.path, got)
		}
	}
}

func TestParseOpenAPIRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":        ``,
		"YAML":           "openapi: 3.1.0\n",
		"an array":       `[]`,
		"null":           `null`,
		"more behind":    `{"openapi":"3.1.0"} {}`,
		"no version":     `{"info":{}}`,
		"Swagger":        `{"swagger":"2.0"}`,
		"a number":       `{"openapi":3.1}`,
		"a later one":    `{"openapi":"4.0.0"}`,
		"bad info":       `{"openapi":"3.1.0","info":[]}`,
		"bad paths":      `{"openapi":"3.1.0","paths":[]}`,
		"bad components": `{"openapi":"3.1.0","components":1}`,
		"bad path":       `{"openapi":"3.1.0","paths":{"a":{}}}`,
		"bad item":       `{"openapi":"3.1.0","paths":{"/a":7}}`,
		"too long":       `{"openapi":"3.1.0","info":{"title":"` + strings.Repeat("x", discovery.MaxOpenAPI) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if doc, err := discovery.ParseOpenAPI([]byte(text)); !errors.Is(err, discovery.ErrOpenAPI) || doc != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestTextTellsTheWaysToPay that are offered, and no others.
func TestTextTellsTheWaysToPay(t *testing.T) {
	amount := func(msat uint64) string { return fmt.Sprint(msat) }
	words := map[string]string{"ecash": "`X-Cashu`", "payment": "Payment …", "sandbox": "sandbox/pay"}
	for name, route := range map[string]discovery.Route{
		"none": {}, "ecash": {Ecash: &discovery.Ecash{Unit: "sat", Mints: []string{"https://mint.example"}}}, "payment": {Payment: true}, "sandbox": {NotMoney: true},
	} {
		route.Service, route.PriceMsat = "a", 1000
		text := string((&discovery.Catalog{Routes: []discovery.Route{route}}).Text(amount))
		for of, word := range words {
			if strings.Contains(text, word) != (of == name) {
				t.Errorf("%s: %q is %v in\n%s", name, word, of != name, text)
			}
		}
		if !strings.Contains(text, "Authorization: L402 <token>:<preimage>") || !strings.Contains(text, "## If it does not work\n\n- ") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
