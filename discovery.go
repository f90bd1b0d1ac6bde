package caddyl402

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/discovery"
)

// Discovery is how a route is described to clients that look for what is for sale.
type Discovery struct {
	// Leaves the route out of every description. It is charged for as before.
	Hidden bool `json:"hidden,omitempty"`

	// What the route is, in a few words.
	Title string `json:"title,omitempty"`

	// What a client gets, in sentences for people and language models.
	Description string `json:"description,omitempty"`

	// The paths that clients use, as patterns with "*" for anything. Default: those of the path
	// matchers on the way to the handler. Name them where matchers do not tell them, such as a
	// path_regexp.
	Paths []string `json:"paths,omitempty"`

	// The paths of the matchers as they were written: Caddy's matchers forget upper case, which
	// an upstream may need.
	Spelled []string `json:"spelled,omitempty"`

	// The JSON Schema of a request's body or, for methods without one, of its query.
	InputSchema json.RawMessage `json:"input_schema,omitempty"`

	// Requests that the route answers. They tell which methods it has where it charges for all.
	Examples []Example `json:"examples,omitempty"`
}

// Example is a request that a route answers.
type Example struct {
	// The method. Required.
	Method string `json:"method,omitempty"`

	// The path, perhaps with a query. Required.
	Path string `json:"path,omitempty"`

	// The body, in JSON. Default: none.
	Body json.RawMessage `json:"body,omitempty"`
}

// maxDescribed is the longest that each part of a route's description may be, in bytes.
const maxDescribed = 64 << 10

// check refuses what clients could not use.
func (d *Discovery) check() error {
	if d == nil {
		return nil
	}
	for name, length := range map[string]int{
		"title": len(d.Title), "description": len(d.Description), "input_schema": len(d.InputSchema),
	} {
		if length > maxDescribed {
			return fmt.Errorf("%s of %d bytes: use at most %d", name, length, maxDescribed)
		}
	}
	for _, path := range d.Paths {
		if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "*") || strings.ContainsAny(path, "{}?# \t\r\n") {
			return fmt.Errorf("advertised path %q: it begins with a slash and has neither query nor placeholder", path)
		}
	}
	if err := checkSchema(d.InputSchema); err != nil {
		return err
	}
	for _, example := range d.Examples {
		if err := example.check(); err != nil {
			return fmt.Errorf("example %s %s: %w", example.Method, example.Path, err)
		}
	}
	return nil
}

func checkSchema(schema json.RawMessage) error {
	var object map[string]any
	if len(schema) > 0 && (json.Unmarshal(schema, &object) != nil || object == nil) {
		return errors.New(`input_schema: it is no JSON object, such as {"type":"object","properties":{…}}`)
	}
	return nil
}

func (e *Example) check() error {
	if e.Method == "" || strings.ToUpper(e.Method) != e.Method || strings.ContainsAny(e.Method, " /\t\r\n") {
		return errors.New("begin with a method in capitals, such as GET")
	}
	if _, err := url.ParseRequestURI(e.Path); err != nil || !strings.HasPrefix(e.Path, "/") {
		return errors.New("the path must begin with a slash and be escaped as in a URL")
	}
	if len(e.Body) > 0 && !json.Valid(e.Body) {
		return errors.New("the body is no JSON")
	}
	if len(e.Path)+len(e.Body) > maxDescribed {
		return fmt.Errorf("use at most %d bytes", maxDescribed)
	}
	return nil
}

// checkDiscovery is a step of Provision.
func (h *Handler) checkDiscovery() error { return h.Discovery.check() }

// listed tells whether clients are to learn of the handler.
func (h *Handler) listed() bool {
	return !h.DryRun && (h.Discovery == nil || !h.Discovery.Hidden)
}

// listing describes what the handler sells at a place.
func (h *Handler) listing(at place) discovery.Route {
	route := discovery.Route{
		Service: h.Service, Tier: h.Tier, Capabilities: h.Capabilities,
		Paths: at.paths, Methods: h.listedMethods(at.methods), PriceMsat: uint64(h.price),
		Payment: slices.Contains(h.Schemes, schemePayment), NotMoney: h.notMoney,
		Terms: discovery.Terms{
			Text: h.terms().bought(), ValidSeconds: int64(time.Duration(h.Valid) / time.Second),
			Uses: h.Uses, Bytes: h.Bytes,
			Host: h.Scope != scopeAny, Path: h.Scope == scopePath, Request: h.cashier == nil,
		},
	}
	if h.tariff != nil || h.source != nil {
		least, most := h.span()
		route.PriceMsat, route.LeastMsat, route.MostMsat = 0, uint64(least), uint64(most)
		route.Terms.Request = !h.tariff.same() || route.Terms.Request
		if h.tariff.same() {
			route.Fiat = h.tariff.rows[0].fiat.String()
		}
	}
	for i := range h.choices {
		if c := &h.choices[i]; i > 0 {
			bought := route.Terms
			bought.Text, bought.ValidSeconds, bought.Uses, bought.Bytes = h.boughtAs(c), int64(c.valid/time.Second), c.uses, c.bytes
			route.Offers = append(route.Offers, discovery.Offer{Name: c.name, Tier: c.tier, PriceMsat: uint64(c.price), Terms: bought})
		}
	}
	if h.till != nil {
		route.Ecash = &discovery.Ecash{Mints: h.till.mints, Unit: h.till.unit}
	}
	if !h.Limit.Off {
		route.Limit = rateOf(h.Limit.Events, time.Duration(h.Limit.Window))
	}
	if h.Free != nil {
		route.Free = rateOf(h.Free.Requests, time.Duration(h.Free.Window))
	}
	d := h.Discovery
	if d == nil {
		return route
	}
	route.Title, route.Description, route.InputSchema = d.Title, d.Description, d.InputSchema
	if len(d.Paths) > 0 {
		route.Paths = d.Paths
	} else {
		route.Paths = respell(at.paths, d.Spelled)
	}
	for _, example := range d.Examples {
		route.Examples = append(route.Examples, discovery.Example(example))
	}
	return route
}

// listedMethods are the methods that are both let through by matchers and charged; nil for all.
func (h *Handler) listedMethods(matched []string) []string {
	if len(h.Methods) == 0 {
		return matched
	}
	if matched == nil {
		return h.Methods
	}
	both := []string{}
	for _, method := range matched {
		if h.charges(method) {
			both = append(both, method)
		}
	}
	return both
}

// respell gives patterns the letters that they were written with.
func respell(patterns, spelled []string) []string {
	if len(spelled) == 0 {
		return patterns
	}
	out := make([]string, len(patterns))
	for i, pattern := range patterns {
		out[i] = pattern
		for _, written := range spelled {
			// The part before it comes from a prefix that was stripped on the way.
			if at := len(pattern) - len(written); at >= 0 && strings.EqualFold(pattern[at:], written) {
				out[i] = pattern[:at] + written
				break
			}
		}
	}
	return out
}

func rateOf(events int, window time.Duration) *discovery.Rate {
	return &discovery.Rate{Events: int64(events), WindowSeconds: max(1, int64(window/time.Second))}
}

// announce tells where the manifest is, on an answer that asks for money. It returns the place of the
// manifest and of the text for language models, for the answer's body.
func (h *Handler) announce(w http.ResponseWriter, r *http.Request) (manifest, guide string) {
	manifest, guide = h.app.described(r)
	if manifest != "" {
		w.Header().Add("Link", "<"+manifest+`>; rel="l402-manifest"`)
	}
	return manifest, guide
}
