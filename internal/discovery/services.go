package discovery

import (
	"encoding/json"
	"fmt"
	"slices"
)

// servicesDocument serves two kinds of readers: ngx_l402's clients read routes, and the 402index
// directory reads services.
type servicesDocument struct {
	Version        string         `json:"version"`
	Service        serviceInfo    `json:"service"`
	PaymentMethods []method       `json:"payment_methods"`
	Routes         []routeJSON    `json:"routes"`
	Services       []endpointJSON `json:"services"`
}

type serviceInfo struct {
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	Contact     string `json:"contact,omitempty"`
}

type method struct {
	Type string `json:"type"`
}

type routeJSON struct {
	Path            string   `json:"path"`
	Methods         []string `json:"methods,omitempty"`
	Description     string   `json:"description,omitempty"`
	Price           price    `json:"price"`
	CaveatsRequired []string `json:"caveats_required"`
	TimeoutSeconds  int64    `json:"macaroon_timeout_secs,omitempty"`
	RateLimit       *rate    `json:"rate_limit,omitempty"`
	Cashu           *cashu   `json:"cashu,omitempty"`
}

type price struct {
	Type       string `json:"type"`
	AmountMsat uint64 `json:"amount_msat,omitempty"`
	LeastMsat  uint64 `json:"min_amount_msat,omitempty"`
	MostMsat   uint64 `json:"max_amount_msat,omitempty"`
	Fiat       string `json:"amount_fiat,omitempty"`
}

type endpointJSON struct {
	Endpoint      string           `json:"endpoint"`
	Method        string           `json:"method"`
	Name          string           `json:"name"`
	Description   string           `json:"description,omitempty"`
	Path          string           `json:"path"`
	Protocol      string           `json:"protocol"`
	Pricing       price            `json:"pricing"`
	Cashu         *cashu           `json:"cashu,omitempty"`
	RequestSchema map[string]field `json:"request_schema,omitempty"`
	InputSchema   json.RawMessage  `json:"input_schema,omitempty"`
	Examples      []exampleJSON    `json:"examples,omitempty"`
}

// field is a member of a request's body as the directory wants it, from which it makes the body of
// its probe.
type field struct {
	Type        string `json:"type"`
	Required    bool   `json:"required"`
	Description string `json:"description,omitempty"`
}

// Services is the document for /.well-known/l402-services.
func (c *Catalog) Services() ([]byte, error) {
	doc := servicesDocument{
		Version: "1",
		Service: serviceInfo{Name: c.name(), Description: c.Provider.Description, Contact: c.Provider.Contact},
		Routes:  []routeJSON{}, Services: []endpointJSON{},
	}
	for _, name := range c.methods("lightning") {
		doc.PaymentMethods = append(doc.PaymentMethods, method{name})
	}
	seen := map[string]bool{}
	for i := range c.Routes {
		route := &c.Routes[i]
		for _, path := range route.paths() {
			if key := fmt.Sprint(path, route.Methods); !seen[key] {
				seen[key] = true
				doc.Routes = append(doc.Routes, route.route(path))
			}
		}
	}
	for _, r := range c.resources() {
		name := r.Title
		if name == "" {
			name = r.Service
		}
		doc.Services = append(doc.Services, endpointJSON{
			Endpoint: r.endpoint(), Method: r.method, Name: name, Description: r.Description, Path: r.path,
			Protocol: "L402", Pricing: r.price(), Cashu: r.Ecash.json(), RequestSchema: flat(r.InputSchema), InputSchema: r.InputSchema,
			Examples: r.examplesJSON(),
		})
	}
	return encode(doc)
}

func (r *Route) route(path string) routeJSON {
	out := routeJSON{
		Path: path, Methods: r.Methods, Description: r.Description, Price: r.price(),
		CaveatsRequired: []string{fmt.Sprintf("services=%s:%d", r.Service, r.Tier)},
		TimeoutSeconds:  r.Terms.ValidSeconds, RateLimit: r.Limit.json(), Cashu: r.Ecash.json(),
	}
	for _, caveat := range []struct {
		when bool
		text string
	}{
		{true, "_valid_until=<unix time>"},
		{r.Terms.Uses > 0, fmt.Sprintf("_uses=%d", r.Terms.Uses)},
		{r.Terms.Bytes > 0, fmt.Sprintf("_bytes=%d", r.Terms.Bytes)},
		{r.Terms.Host, "_host=<host>"},
		{r.Terms.Path, "_path=<path>"},
		{r.Terms.Request, "_request=<request>"},
	} {
		if caveat.when {
			out.CaveatsRequired = append(out.CaveatsRequired, r.Service+caveat.text)
		}
	}
	return out
}

func (r *Route) price() price {
	if r.PriceMsat == 0 {
		return price{Type: "dynamic", LeastMsat: r.LeastMsat, MostMsat: r.MostMsat, Fiat: r.Fiat}
	}
	return price{Type: "static", AmountMsat: r.PriceMsat}
}

// objectSchema is as much of a JSON Schema as the other formats have words for.
type objectSchema struct {
	Properties map[string]json.RawMessage `json:"properties"`
	Required   []string                   `json:"required"`
}

// flat lists the members of an object's schema.
func flat(schema json.RawMessage) map[string]field {
	var object objectSchema
	if len(schema) == 0 || json.Unmarshal(schema, &object) != nil || len(object.Properties) == 0 {
		return nil
	}
	fields := make(map[string]field, len(object.Properties))
	for name, raw := range object.Properties {
		var property struct {
			Type        any    `json:"type"`
			Description string `json:"description"`
		}
		_ = json.Unmarshal(raw, &property) // true and false are schemas too, without any word
		fields[name] = field{
			Type: firstType(property.Type), Required: slices.Contains(object.Required, name),
			Description: property.Description,
		}
	}
	return fields
}

// firstType is the type of a schema, which may name several.
func firstType(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		for _, item := range v {
			if s, ok := item.(string); ok && s != "null" {
				return s
			}
		}
	}
	return "string"
}
