package discovery_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/internal/discovery"
)

var parameterName = regexp.MustCompile(`\{([^}]*)\}`)

// checkOpenAPI checks what OpenAPI 3.1 and the two drafts demand.
func checkOpenAPI(t *testing.T, doc map[string]any) {
	t.Helper()
	if title, _ := at(t, doc, "info", "title").(string); title == "" {
		t.Error("no title")
	}
	if number, _ := at(t, doc, "info", "version").(string); number == "" {
		t.Error("no version")
	}
	want(t, doc, `"1.0"`, "info", "x-l402-version")
	want(t, doc, `"Authorization"`, "components", "securitySchemes", "L402", "name")
	want(t, doc, `"apiKey"`, "components", "securitySchemes", "L402", "type")
	ids := map[string]bool{}
	for path, value := range doc["paths"].(map[string]any) {
		if !strings.HasPrefix(path, "/") || strings.Contains(path, "*") {
			t.Errorf("path %q", path)
		}
		for method, value := range value.(map[string]any) {
			operation, ok := value.(map[string]any)
			if !ok || operation["x-l402-pricing"] == nil {
				continue
			}
			where := method + " " + path
			if id, ok := operation["operationId"].(string); ok && ids[id] {
				t.Errorf("%s: the id %s is there twice", where, id)
			} else {
				ids[id] = true
			}
			if at(t, operation, "responses", "402", "description") == nil {
				t.Errorf("%s does not tell of 402", where)
			}
			if at(t, operation, "security", 0, "L402") == nil {
				t.Errorf("%s does not demand the credential", where)
			}
			if info, there := operation["x-payment-info"]; there {
				checkOffers(t, where, at(t, info, "offers").([]any))
			}
			var declared []string
			parameters, _ := operation["parameters"].([]any)
			for _, parameter := range parameters {
				if at(t, parameter, "in") == "path" {
					declared = append(declared, at(t, parameter, "name").(string))
					want(t, parameter, `true`, "required")
				}
			}
			for _, found := range parameterName.FindAllStringSubmatch(path, -1) {
				if !slices.Contains(declared, found[1]) && !strings.HasPrefix(found[1], "own") {
					t.Errorf("%s: the parameter %s is not declared in %v", where, found[1], declared)
				}
			}
		}
	}
}

var wholeNumber = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

// checkOffers checks x-payment-info: an amount is null or a number in digits.
func checkOffers(t *testing.T, where string, offers []any) {
	t.Helper()
	if len(offers) == 0 {
		t.Errorf("%s has no offer", where)
	}
	for _, offer := range offers {
		want(t, offer, `"charge"`, "intent")
		want(t, offer, `"lightning"`, "method")
		value, there := offer.(map[string]any)["amount"]
		amount, isText := value.(string)
		if !there || value != nil && (!isText || !wholeNumber.MatchString(amount)) {
			t.Errorf("%s: amount %v", where, value)
		}
	}
}

func TestOpenAPIAlone(t *testing.T) {
	text, err := weather().OpenAPI()
	doc := decode(t, text, err)
	checkOpenAPI(t, doc)
	want(t, doc, `"3.1.0"`, "openapi")
	want(t, doc, `[{"url":"https://weather.example/"}]`, "servers")
	want(t, doc, `"https://weather.example/llms.txt"`, "x-service-info", "docs", "llms")
	get := at(t, doc, "paths", "/v1/forecast/{path}", "get")
	want(t, get, `"get_v1_forecast_path"`, "operationId")
	want(t, get, `"forecast"`, "x-l402-service")
	want(t, get, `{"model":"fixed","price_msat":2000}`, "x-l402-pricing")
	want(t, get, `{"amount":"2","currency":"sat","description":"valid for 24h, 100 requests","intent":"charge","method":"lightning"}`,
		"x-payment-info", "offers", 0)
	want(t, get, `{"in":"query","name":"days","required":true,"schema":{"type":"integer"}}`, "parameters", 1)
	post := at(t, doc, "paths", "/v1/chat", "post")
	want(t, post, `["model"]`, "requestBody", "content", "application/json", "schema", "required")
	want(t, post, `{"model":"m"}`, "requestBody", "content", "application/json", "examples", "example1", "value")
	if _, there := post.(map[string]any)["x-payment-info"]; there {
		t.Error("1500 msat are no whole satoshi, and yet they are offered by the Payment scheme")
	}
	want(t, post, `[{"tier":1}]`, "x-l402-tiers")
}

const own = `{"openapi":"3.0.3","info":{"title":"Mine","version":"7"},"servers":[{"url":"https://weather.example/v1"}],
	"security":[{"key":[]},{"other":[]}],
	"components":{"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-Key"}}},
	"paths":{
		"/forecast/{own}":{"get":{"operationId":"post_ask","responses":{"402":{"description":"Mine"},"200":{"description":"OK"}},"x-big":12345678901234567890},
			"delete":{"responses":{}}},
		"/free":{"get":{"responses":{}}},
		"/chat":{"$ref":"#/components/pathItems/chat"}}}`

func TestOpenAPIMerged(t *testing.T) {
	base, err := discovery.ParseOpenAPI([]byte(own))
	if err != nil {
		t.Fatal(err)
	}
	c := weather()
	c.Base = base
	first, err := c.OpenAPI()
	doc := decode(t, first, err)
	checkOpenAPI(t, doc)
	want(t, doc, `"3.0.3"`, "openapi")
	want(t, doc, `"Mine"`, "info", "title")
	get := at(t, doc, "paths", "/forecast/{own}", "get")
	want(t, get, `"forecast"`, "x-l402-service") // found through the server's base path
	want(t, get, `"Mine"`, "responses", "402", "description")
	want(t, get, `[{"L402":[],"key":[]},{"L402":[],"other":[]}]`, "security")
	want(t, doc, `[{"key":[]},{"other":[]}]`, "security")
	if !strings.Contains(string(first), "12345678901234567890") {
		t.Error("a number was changed")
	}
	for _, free := range []any{at(t, doc, "paths", "/free", "get"), at(t, doc, "paths", "/forecast/{own}", "delete")} {
		if free.(map[string]any)["x-l402-pricing"] != nil || free.(map[string]any)["security"] != nil {
			t.Errorf("a price where nothing is charged: %v", free)
		}
	}
	if at(t, doc, "paths", "/forecast/{path}") != nil {
		t.Error("a route is there twice")
	}
	want(t, doc, `{"$ref":"#/components/pathItems/chat"}`, "paths", "/chat") // not known what it says
	want(t, doc, `"post_ask_2"`, "paths", "/ask", "post", "operationId")     // relative to the base, id unique
	second, err := c.OpenAPI()
	if err != nil || string(second) != string(first) {
		t.Error("the second document differs from the first", err)
	}
}

func TestOpenAPIBesideTheBasePath(t *testing.T) {
	base, err := discovery.ParseOpenAPI([]byte(`{"openapi":"3.1.0","servers":[{"url":"/v2/"}],"paths":{"/own":{"get":{}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := weather()
	c.Base = base
	text, err := c.OpenAPI()
	doc := decode(t, text, err)
	checkOpenAPI(t, doc)
	want(t, doc, `[{"url":"/"}]`, "paths", "/v1/chat", "servers")
}

func TestOpenAPIHasNoWordForSomeMethods(t *testing.T) {
	c := &discovery.Catalog{Routes: []discovery.Route{{Service: "dav", Methods: []string{"PROPFIND", "PUT"}, PriceMsat: 1}}}
	text, err := c.OpenAPI()
	doc := decode(t, text, err)
	checkOpenAPI(t, doc)
	if item := at(t, doc, "paths", "/{path}").(map[string]any); len(item) != 1 || item["put"] == nil {
		t.Errorf("%v", item)
	}
}

func FuzzParseOpenAPI(f *testing.F) {
	for _, seed := range []string{own, `{"openapi":"3.1.0"}`, `{"openapi":"3.1.1","servers":[{"url":"{a}"}],"paths":{"/{":{"get":{"security":[[]]}}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		base, err := discovery.ParseOpenAPI(text)
		if err != nil {
			return
		}
		c := weather()
		c.Base = base
		merged, err := c.OpenAPI()
		if err != nil || !json.Valid(merged) {
			t.Fatal(err, fmt.Sprintf("%s", merged))
		}
		if _, err := discovery.ParseOpenAPI(merged); err != nil && len(merged) <= discovery.MaxOpenAPI {
			t.Fatal("what comes out does not go in again:", err)
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("/a/*", "/a/b")
	f.Add("*x*", "/[")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if !strings.Contains(pattern, "*") && discovery.Match(pattern, path) != (strings.ToLower(pattern) == strings.ToLower(path)) {
			t.Errorf("%q %q", pattern, path)
		}
	})
}
