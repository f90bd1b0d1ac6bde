package discovery

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// scheme is the name of the L402 security scheme in OpenAPI documents.
const scheme = "L402"

// OpenAPI is the catalog as an OpenAPI document, with x-l402-* members of the draft's OpenAPI
// profile and with x-payment-info of the draft "Service Discovery for HTTP Payment Authentication".
// Operations of the operator's document that a route charges for get these members; routes that it
// does not describe are added to it; nothing that it says is changed otherwise.
func (c *Catalog) OpenAPI() ([]byte, error) {
	root := object{"openapi": "3.1.0", "paths": object{}}
	if c.Base != nil {
		var err error
		if root, err = c.Base.decode(); err != nil {
			return nil, err
		}
	}
	c.describeProvider(root)
	base := basePath(root)
	described := c.annotate(root, base)
	paths, ids := ensure(root, "paths"), operationIDs(root)
	for _, r := range c.resources() {
		if !described[r.Route] {
			addOperation(paths, r, base, ids)
		}
	}
	return encode(root)
}

func (c *Catalog) describeProvider(root object) {
	info := ensure(root, "info")
	for name, value := range map[string]any{"title": c.name(), "version": "1"} {
		if info[name] == nil {
			info[name] = value
		}
	}
	if info["description"] == nil && c.Provider.Description != "" {
		info["description"] = c.Provider.Description
	}
	about := c.provider()
	about.Currencies = []string{"msat"}
	info["x-l402-version"], info["x-l402-provider"] = version, about
	root["x-l402-caveats"] = c.caveats()
	if root["servers"] == nil && c.Provider.URI != "" {
		root["servers"] = []any{object{"url": c.Provider.URI}}
	}
	docs := object{}
	if c.TextPath != "" {
		docs["llms"] = strings.TrimSuffix(c.Provider.URI, "/") + c.TextPath
	}
	if c.Provider.URI != "" {
		docs["homepage"] = c.Provider.URI
	}
	if len(docs) > 0 && root["x-service-info"] == nil {
		root["x-service-info"] = object{"docs": docs}
	}
	if schemes := ensure(ensure(root, "components"), "securitySchemes"); schemes[scheme] == nil {
		schemes[scheme] = object{
			"type": "apiKey", "in": "header", "name": "Authorization", "x-l402-scheme": scheme,
			"description": "L402 <token>:<preimage>. The token and an invoice come with the answer 402; " +
				"paying the invoice tells the preimage.",
		}
	}
}

// charged are the members of a path item that are operations a gate charges for.
var charged = []string{"get", "put", "post", "delete", "head", "patch", "trace"}

// annotate adds prices to the operations of the operator's document. It tells which routes have
// operations there.
func (c *Catalog) annotate(root object, base string) (described map[*Route]bool) {
	described = map[*Route]bool{}
	for path, value := range child(root, "paths") {
		item, _ := value.(object)
		for _, method := range charged {
			operation, ok := item[method].(object)
			if !ok {
				continue
			}
			if r := c.at(base+sample(path), strings.ToUpper(method)); r != nil {
				described[r] = true
				r.mark(operation)
				secure(operation, root["security"])
			}
		}
	}
	return described
}

// at is the route that a request meets first.
func (c *Catalog) at(path, method string) *Route {
	for i := range c.Routes {
		r := &c.Routes[i]
		if r.charges(method) && slices.ContainsFunc(r.paths(), func(pattern string) bool { return Match(pattern, path) }) {
			return r
		}
	}
	return nil
}

// mark puts price and terms on an operation.
func (r *Route) mark(operation object) {
	name := tier{Tier: r.Tier}
	if r.Tier == 0 {
		name.Name = "base"
	}
	operation["x-l402-service"] = r.Service
	operation["x-l402-tiers"] = []tier{name}
	operation["x-l402-pricing"] = r.pricing()
	operation["x-l402-terms"] = r.Terms.json()
	if offers := r.offers(); len(offers) > 0 {
		operation["x-l402-offers"] = offers
	}
	if capability := r.capability(); capability != "" {
		operation["x-l402-capability"] = capability
	}
	if free := r.Free.json(); free != nil {
		operation["x-l402-free"] = free
	}
	if ecash := r.Ecash.json(); ecash != nil {
		operation["x-l402-cashu"] = ecash
	}
	if r.Payment && r.PriceMsat%1000 == 0 {
		operation["x-payment-info"] = object{"offers": []any{r.offer()}}
	}
	if responses := ensure(operation, "responses"); responses["402"] == nil {
		responses["402"] = paymentRequired()
	}
}

// offer is the price in the words of the Payment scheme, whose amounts of Lightning are whole
// satoshi: with another price there is no such offer.
func (r *Route) offer() object {
	offer := object{"intent": "charge", "method": "lightning", "currency": "sat", "amount": nil}
	if r.PriceMsat == 0 && r.Fiat != "" {
		offer["description"] = r.Fiat + " at the rate of the moment"
	} else if r.PriceMsat == 0 {
		offer["description"] = "The price depends on the request."
	} else {
		offer["amount"] = strconv.FormatUint(r.PriceMsat/1000, 10)
	}
	if text := r.Terms.Text; text != "" {
		if before, ok := offer["description"].(string); ok {
			text = before + ": " + text
		}
		offer["description"] = text
	}
	return offer
}

func paymentRequired() object {
	return object{
		"description": "Payment Required: a challenge to pay an invoice",
		"headers": object{"WWW-Authenticate": object{
			"description": `L402 macaroon="<base64>", invoice="<BOLT 11>", …`,
			"schema":      object{"type": "string"},
		}},
		"content": object{"application/problem+json": object{"schema": object{"type": "object"}}},
	}
}

// secure demands the credential, besides what the document demands already.
func secure(operation object, inherited any) {
	alternatives, ok := operation["security"].([]any)
	if !ok {
		alternatives, _ = inherited.([]any)
	}
	demanded := []any{}
	for _, alternative := range alternatives {
		needs, ok := alternative.(object)
		if !ok {
			continue
		}
		needs = maps.Clone(needs) // the root's are shared
		needs[scheme] = []any{}
		demanded = append(demanded, needs)
	}
	if len(demanded) == 0 {
		demanded = append(demanded, object{scheme: []any{}})
	}
	operation["security"] = demanded
}

// addOperation describes a resource that the document does not know.
func addOperation(paths object, r resource, base string, ids map[string]bool) {
	method := strings.ToLower(r.method)
	if !slices.Contains(charged, method) {
		return // OpenAPI has no word for it
	}
	path, parameters := template(r.path)
	rooted := base == ""
	if rest, ok := strings.CutPrefix(path, base+"/"); ok {
		path, rooted = "/"+rest, true
	}
	_, known := paths[path]
	item := ensure(paths, path)
	if item["$ref"] != nil || item[method] != nil {
		return
	}
	if !rooted && !known {
		item["servers"] = []any{object{"url": "/"}} // beside the document's own server
	}
	operation := object{
		"operationId": newID(method, path, ids), "tags": []string{r.Service},
		"responses": object{"200": object{"description": "What was paid for"}},
	}
	if r.Title != "" {
		operation["summary"] = r.Title
	}
	if r.Description != "" {
		operation["description"] = r.Description
	}
	var list []any
	for _, name := range parameters {
		list = append(list, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	if hasBody(r.method) {
		if body := r.requestBody(); body != nil {
			operation["requestBody"] = body
		}
	} else {
		list = append(list, queryParameters(r.InputSchema)...)
	}
	if len(list) > 0 {
		operation["parameters"] = list
	}
	if examples := r.examplesJSON(); len(examples) > 0 {
		operation["x-l402-examples"] = examples
	}
	r.mark(operation)
	secure(operation, nil)
	item[method] = operation
}

func (r resource) requestBody() object {
	media, examples := object{}, object{}
	if len(r.InputSchema) > 0 {
		media["schema"] = r.InputSchema
	}
	for i, example := range r.examples() {
		if len(example.Body) > 0 {
			examples["example"+strconv.Itoa(i+1)] = object{"value": example.Body}
		}
	}
	if len(examples) > 0 {
		media["examples"] = examples
	}
	if len(media) == 0 {
		return nil
	}
	return object{"content": object{"application/json": media}}
}

// queryParameters turn the members of an object into parameters, for requests without a body.
func queryParameters(schema json.RawMessage) (list []any) {
	var input objectSchema
	if len(schema) == 0 || json.Unmarshal(schema, &input) != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(input.Properties)) {
		list = append(list, object{
			"name": name, "in": "query", "required": slices.Contains(input.Required, name), "schema": input.Properties[name],
		})
	}
	return list
}

// operationIDs are those of a document, which must stay unique.
func operationIDs(root object) map[string]bool {
	ids := map[string]bool{}
	for _, value := range child(root, "paths") {
		item, _ := value.(object)
		for _, value := range item {
			operation, _ := value.(object)
			if id, ok := operation["operationId"].(string); ok {
				ids[id] = true
			}
		}
	}
	return ids
}

// newID names an operation after its method and path.
func newID(method, path string, ids map[string]bool) string {
	words := strings.FieldsFunc(path, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
	})
	id := strings.Join(append([]string{method}, words...), "_")
	for n, plain := 2, id; ids[id]; n++ {
		id = fmt.Sprintf("%s_%d", plain, n)
	}
	ids[id] = true
	return id
}
