// Package discovery describes what a host sells, so that clients learn of it before they are asked
// to pay: the manifest and the OpenAPI profile of the draft "L402 Discovery Specification", the
// document at /.well-known/l402-services that directories and ngx_l402's clients read, and text for
// language models. It does no I/O: a Catalog comes in and documents go out. None of them binds
// anybody: the amount of the invoice does.
package discovery

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// The places of the documents that have a fixed or customary one.
const (
	ManifestPath = "/.well-known/l402.json"
	ServicesPath = "/.well-known/l402-services"
	OpenAPIPath  = "/openapi.json"
	TextPath     = "/.well-known/l402.txt"
	LLMsPath     = "/llms.txt"
)

// AnyPath is the pattern of a route that its path does not tell apart from others.
const AnyPath = "/*"

// Catalog is what one host sells. It is not changed by its methods, and neither may others while
// they run.
type Catalog struct {
	Provider Provider
	// ManifestPath, OpenAPIPath and TextPath are where the host serves these documents; an empty
	// one is not served.
	ManifestPath, OpenAPIPath, TextPath string
	// Routes are what is for sale, the most specific first.
	Routes []Route
	// Base is the operator's own OpenAPI document, which ours is merged into; it may be nil.
	Base *OpenAPI
}

// Provider is who sells.
type Provider struct {
	// Name is for people. Default: "Paid services".
	Name string
	// Description, URI (of the site), NodePubkey (hex) and Contact may be empty.
	Description, URI, NodePubkey, Contact string
}

// Route is what one gate sells.
type Route struct {
	// Service and Tier are what a token must name, Capabilities what it must carry besides.
	Service      string
	Tier         uint8
	Capabilities []string
	// Title and Description are for people and language models.
	Title, Description string
	// Paths are patterns with "*" for anything, as Caddy's path matcher has them. Default: AnyPath.
	Paths []string
	// Methods are the ones that are charged. Default: all.
	Methods []string
	// PriceMsat is the price in millisatoshi; zero says that it depends on the request.
	PriceMsat uint64
	// LeastMsat and MostMsat are what a payment costs at least and at most where the price
	// depends on the request; zero where that is not known.
	LeastMsat, MostMsat uint64
	// Payment says that challenges are in the Payment scheme too, as far as it has words for them.
	Payment bool
	// Ecash is what ecash the route takes besides Lightning; nil for none.
	Ecash *Ecash
	// NotMoney says that the invoices are of the sandbox.
	NotMoney bool
	// Fiat is the price of all requests where it is in a currency, such as "0.02 USD"; else empty.
	Fiat string
	// Terms are what a payment buys.
	Terms Terms
	// Offers are what else can be had, for clients that ask by name.
	Offers []Offer
	// InputSchema is the JSON Schema of a request's body, or of its query where it has none.
	InputSchema json.RawMessage
	Examples    []Example
	// Limit is how many challenges a client gets, Free how many requests are free; nil for none.
	Limit, Free *Rate
}

// Terms are what a payment buys.
type Terms struct {
	// Text says it in words, such as "valid for 24h, 100 requests".
	Text string
	// ValidSeconds is the life of a token.
	ValidSeconds int64
	// Uses and Bytes are limits; zero is none.
	Uses, Bytes uint64
	// Host, Path and Request tell what a token is bound to besides its service.
	Host, Path, Request bool
}

// Offer is something else that a route sells.
type Offer struct {
	// Name is what a client asks with, in the header X-L402-Offer.
	Name string
	// Tier is what its token opens at most.
	Tier uint8
	// PriceMsat is the price in millisatoshi.
	PriceMsat uint64
	// Terms are what it buys.
	Terms Terms
}

// Ecash is ecash that a route takes as payment (NUT-24).
type Ecash struct {
	// Mints are the addresses of the mints whose ecash is taken, and Unit is what it is in.
	Mints []string
	Unit  string
}

// Rate is a number of events in a window.
type Rate struct {
	Events, WindowSeconds int64
}

// Example is a request that a route answers.
type Example struct {
	// Method and Path, which may have a query, are required.
	Method, Path string
	// Body is JSON; nil for none.
	Body json.RawMessage
}

// resource is one pattern and method of a route.
type resource struct {
	*Route
	path, method string
}

// resources lists what is for sale. Of two routes with one pattern and method the first one counts:
// requests meet it first.
func (c *Catalog) resources() []resource {
	var list []resource
	seen := map[string]bool{}
	for i := range c.Routes {
		route := &c.Routes[i]
		for _, path := range route.paths() {
			for _, method := range route.shown() {
				if key := method + " " + path; !seen[key] {
					seen[key] = true
					list = append(list, resource{route, path, method})
				}
			}
		}
	}
	return list
}

func (r *Route) paths() []string {
	if len(r.Paths) == 0 {
		return []string{AnyPath}
	}
	return r.Paths
}

// shown are the methods to tell of. Where all are charged they are those of the examples, or the one
// that the input suggests.
func (r *Route) shown() []string {
	if len(r.Methods) > 0 {
		return r.Methods
	}
	var methods []string
	for _, example := range r.Examples {
		if !slices.Contains(methods, example.Method) {
			methods = append(methods, example.Method)
		}
	}
	switch {
	case len(methods) > 0:
		return methods
	case len(r.InputSchema) > 0:
		return []string{http.MethodPost}
	}
	return []string{http.MethodGet}
}

// charges tells whether a method is charged.
func (r *Route) charges(method string) bool {
	if method == http.MethodHead && !slices.Contains(r.Methods, method) {
		method = http.MethodGet
	}
	return len(r.Methods) == 0 || slices.Contains(r.Methods, method)
}

// examples are those of the route that belong to a resource.
func (r resource) examples() []Example {
	var list []Example
	for _, example := range r.Examples {
		path, _, _ := strings.Cut(example.Path, "?")
		if example.Method == r.method && Match(r.path, path) {
			list = append(list, example)
		}
	}
	return list
}

// endpoint is a path that can be asked: the resource's own, or an example's where that is a pattern.
func (r resource) endpoint() string {
	if strings.Contains(r.path, "*") {
		for _, example := range r.examples() {
			path, _, _ := strings.Cut(example.Path, "?")
			return path
		}
	}
	return r.path
}

// hasBody tells whether requests of a method carry a body as a rule.
func hasBody(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

func (c *Catalog) name() string {
	if c.Provider.Name == "" {
		return "Paid services"
	}
	return c.Provider.Name
}
