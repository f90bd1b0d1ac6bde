package discovery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// version is of the draft's schema, for the manifest and the OpenAPI profile.
const version = "1.0"

type manifest struct {
	Version          string            `json:"version"`
	Provider         provider          `json:"provider"`
	Currencies       []string          `json:"currencies"`
	MacaroonVersions []int             `json:"macaroon_versions"`
	PaymentMethods   []string          `json:"payment_methods"`
	OpenAPI          string            `json:"openapi,omitempty"`
	Services         []service         `json:"services"`
	Caveats          map[string]caveat `json:"caveats"`
}

type provider struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	URI         string   `json:"uri,omitempty"`
	NodePubkey  string   `json:"node_pubkey,omitempty"`
	Contact     string   `json:"contact,omitempty"`
	Currencies  []string `json:"currencies,omitempty"` // of the OpenAPI profile
}

type service struct {
	Name         string         `json:"name"`
	Description  string         `json:"description,omitempty"`
	Tiers        []tier         `json:"tiers"`
	Capabilities []string       `json:"capabilities,omitempty"`
	Resources    []resourceJSON `json:"resources"`
}

type tier struct {
	Tier uint8  `json:"tier"`
	Name string `json:"name,omitempty"`
}

// resourceJSON has members of the draft and, behind pricing, ones of our own, which the draft lets
// clients ignore.
type resourceJSON struct {
	Path       string  `json:"path"`
	Method     string  `json:"method"`
	Capability string  `json:"capability,omitempty"`
	Pricing    pricing `json:"pricing"`

	Tier         uint8           `json:"tier"`
	Capabilities []string        `json:"capabilities,omitempty"`
	Title        string          `json:"title,omitempty"`
	Description  string          `json:"description,omitempty"`
	Terms        terms           `json:"terms"`
	Offers       []offerJSON     `json:"offers,omitempty"`
	Cashu        *cashu          `json:"cashu,omitempty"`
	Free         *rate           `json:"free,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema,omitempty"`
	Examples     []exampleJSON   `json:"examples,omitempty"`
}

// offerJSON is an offer beside the base.
type offerJSON struct {
	Name    string  `json:"name"`
	Header  string  `json:"header"`
	Tier    uint8   `json:"tier"`
	Pricing pricing `json:"pricing"`
	Terms   terms   `json:"terms"`
}

func (r *Route) offers() (list []offerJSON) {
	for _, o := range r.Offers {
		list = append(list, offerJSON{
			o.Name, "X-L402-Offer: " + o.Name, o.Tier, pricing{Model: "fixed", PriceMsat: o.PriceMsat}, o.Terms.json(),
		})
	}
	return list
}

type pricing struct {
	Model     string `json:"model"`
	PriceMsat uint64 `json:"price_msat,omitempty"`
	LeastMsat uint64 `json:"min_price_msat,omitempty"`
	MostMsat  uint64 `json:"max_price_msat,omitempty"`
	Fiat      string `json:"price_fiat,omitempty"`
}

type terms struct {
	Text         string   `json:"text,omitempty"`
	ValidSeconds int64    `json:"valid_seconds,omitempty"`
	Uses         uint64   `json:"uses,omitempty"`
	Bytes        uint64   `json:"bytes,omitempty"`
	BoundTo      []string `json:"bound_to,omitempty"`
}

// cashu is the ecash that is taken, in the words of NUT-18.
type cashu struct {
	Mints []string `json:"mints"`
	Unit  string   `json:"unit"`
}

type rate struct {
	Requests      int64 `json:"max_requests"`
	WindowSeconds int64 `json:"window_secs"`
}

type exampleJSON struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body,omitempty"`
}

type caveat struct {
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
	Attenuation string `json:"attenuation,omitempty"`
}

// Manifest is the draft's manifest, for /.well-known/l402.json.
func (c *Catalog) Manifest() ([]byte, error) {
	return encode(manifest{
		Version: version, Provider: c.provider(), Currencies: []string{"msat"},
		MacaroonVersions: []int{0}, PaymentMethods: c.methods("bolt11"),
		OpenAPI: c.OpenAPIPath, Services: c.services(), Caveats: c.caveats(),
	})
}

func (c *Catalog) provider() provider {
	p := c.Provider
	return provider{Name: c.name(), Description: p.Description, URI: p.URI, NodePubkey: p.NodePubkey, Contact: p.Contact}
}

// services groups the resources by service, in the order in which services first come.
func (c *Catalog) services() []service {
	list := []service{}
	for _, r := range c.resources() {
		at := slices.IndexFunc(list, func(s service) bool { return s.Name == r.Service })
		if at < 0 {
			at = len(list)
			list = append(list, service{Name: r.Service, Tiers: c.tiers(r.Service), Description: c.about(r.Service)})
		}
		s := &list[at]
		for _, capability := range r.Capabilities {
			if !slices.Contains(s.Capabilities, capability) {
				s.Capabilities = append(s.Capabilities, capability)
			}
		}
		s.Resources = append(s.Resources, r.json())
	}
	return list
}

// about describes a service where one route is all of it.
func (c *Catalog) about(name string) string {
	text, routes := "", 0
	for i := range c.Routes {
		if c.Routes[i].Service == name {
			text = c.Routes[i].Description
			routes++
		}
	}
	if routes > 1 {
		return ""
	}
	return text
}

func (c *Catalog) tiers(name string) []tier {
	var list []tier
	for i := range c.Routes {
		t := tier{Tier: c.Routes[i].Tier}
		if t.Tier == 0 {
			t.Name = "base"
		}
		if c.Routes[i].Service == name && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(x, y tier) int { return int(x.Tier) - int(y.Tier) })
	return list
}

func (r resource) json() resourceJSON {
	out := resourceJSON{
		Path: r.path, Method: r.method, Capability: r.capability(), Pricing: r.pricing(),
		Tier: r.Tier, Title: r.Title, Description: r.Description,
		Terms: r.Terms.json(), Offers: r.offers(), Cashu: r.Ecash.json(),
		Free: r.Free.json(), InputSchema: r.InputSchema, Examples: r.examplesJSON(),
	}
	if len(r.Capabilities) > 1 {
		out.Capabilities = r.Capabilities
	}
	return out
}

// capability is the one that a route wants; the draft has no word for several.
func (r *Route) capability() string {
	if len(r.Capabilities) == 1 {
		return r.Capabilities[0]
	}
	return ""
}

func (r *Route) pricing() pricing {
	if r.PriceMsat == 0 {
		return pricing{Model: "dynamic", LeastMsat: r.LeastMsat, MostMsat: r.MostMsat, Fiat: r.Fiat}
	}
	return pricing{Model: "fixed", PriceMsat: r.PriceMsat}
}

func (t Terms) json() terms {
	out := terms{Text: t.Text, ValidSeconds: t.ValidSeconds, Uses: t.Uses, Bytes: t.Bytes}
	for _, bound := range []struct {
		to   string
		when bool
	}{{"host", t.Host}, {"path", t.Path}, {"request", t.Request}} {
		if bound.when {
			out.BoundTo = append(out.BoundTo, bound.to)
		}
	}
	return out
}

// methods are those of payment: Lightning in the words of a document, and ecash where a route takes it.
func (c *Catalog) methods(lightning string) []string {
	methods := []string{lightning}
	if slices.ContainsFunc(c.Routes, func(r Route) bool { return r.Ecash != nil }) {
		methods = append(methods, "cashu")
	}
	return methods
}

func (e *Ecash) json() *cashu {
	if e == nil {
		return nil
	}
	return &cashu{e.Mints, e.Unit}
}

func (r *Rate) json() *rate {
	if r == nil {
		return nil
	}
	return &rate{r.Events, r.WindowSeconds}
}

func (r resource) examplesJSON() []exampleJSON {
	var list []exampleJSON
	for _, example := range r.examples() {
		list = append(list, exampleJSON(example))
	}
	return list
}

// caveats are the words that tokens of the services are made of.
func (c *Catalog) caveats() map[string]caveat {
	words := map[string]caveat{"services": {
		Type: "service_list", Attenuation: "subset", Description: "the services and tiers that the token opens",
	}}
	for i := range c.Routes {
		r := &c.Routes[i]
		add := func(when bool, suffix string, word caveat) {
			if when {
				words[r.Service+suffix] = word
			}
		}
		add(true, "_valid_until", caveat{Type: "timestamp", Attenuation: "earlier", Description: "Unix time at which the token ends"})
		add(true, "_capabilities", caveat{Type: "string", Attenuation: "subset", Description: "what of the service may be used, by commas"})
		add(r.Terms.Uses > 0, "_uses", caveat{Type: "integer", Attenuation: "decreasing", Description: "number of requests"})
		add(r.Terms.Bytes > 0, "_bytes", caveat{Type: "integer", Attenuation: "decreasing", Description: "number of bytes of answers"})
		add(r.Terms.Host, "_host", caveat{Type: "string", Description: "the host that the token is bound to"})
		add(r.Terms.Path, "_path", caveat{Type: "string", Description: "the path that the token is bound to"})
		add(r.Terms.Request, "_request", caveat{Type: "string", Description: "what of the request the token is bound to"})
	}
	return words
}

// encode writes JSON for programs that people read too.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding a description of what is for sale: %w", err)
	}
	return b.Bytes(), nil
}
