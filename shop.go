package caddyl402

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/caddy-l402/caddy-l402/internal/discovery"
)

// shop is what the routes of one server sell and where they tell of it, in the order in which
// requests meet them. It is made once, from routes that never change, and read by all requests.
type shop struct {
	server *caddyhttp.Server
	signs  []sign
}

// sign is a handler of ours at its place, or the end for requests that get that far.
type sign struct {
	place
	gate     *Handler
	manifest *Manifest
}

// place is what is known of the requests that come to a handler.
type place struct {
	hosts   []caddyhttp.MatchHost // all of them match
	not     []caddyhttp.MatchHost // none of them matches
	paths   []string              // patterns of the path as the client wrote it; nil for any
	methods []string              // nil for any

	prefix string // what was stripped from the path on the way
	blind  bool   // the path was rewritten, so that further matchers do not see what clients write
}

// maxDepth bounds routes within routes: named ones can invoke themselves.
const maxDepth = 32

func newShop(server *caddyhttp.Server) *shop {
	s := &shop{server: server}
	var p place
	for _, route := range server.Routes {
		p = s.walkRoute(route, p, 0)
		if !route.Terminal {
			continue
		}
		for _, set := range setsOf(route) {
			if hosts, only := onlyHosts(set); only {
				s.signs = append(s.signs, sign{place: place{hosts: hosts}})
			}
		}
	}
	return s
}

// walk looks through routes. Of a group a request gets to one route at most.
func (s *shop) walk(routes caddyhttp.RouteList, p place, depth int) {
	if depth > maxDepth {
		return
	}
	taken := map[string][]caddyhttp.MatchHost{} // by hosts alone, of each group
	full := map[string]bool{}
	for _, route := range routes {
		if full[route.Group] {
			continue
		}
		here := p
		here.not = slices.Concat(p.not, taken[route.Group])
		after := s.walkRoute(route, here, depth)
		p.prefix, p.blind = after.prefix, after.blind
		if route.Group == "" {
			continue
		}
		for _, set := range setsOf(route) {
			hosts, only := onlyHosts(set)
			switch {
			case only && len(hosts) == 0:
				full[route.Group] = true
			case only && len(hosts) == 1:
				taken[route.Group] = append(taken[route.Group], hosts[0])
			}
		}
	}
}

// walkRoute looks through a route. It returns what a request is like behind it.
func (s *shop) walkRoute(route caddyhttp.Route, p place, depth int) place {
	if len(route.MatcherSets) == 0 {
		return s.walkHandlers(route.Handlers, p, depth)
	}
	for _, set := range route.MatcherSets {
		if here, ok := p.enter(set); ok {
			s.walkHandlers(route.Handlers, here, depth)
		}
	}
	return p
}

func (s *shop) walkHandlers(handlers []caddyhttp.MiddlewareHandler, p place, depth int) place {
	for _, handler := range handlers {
		switch h := handler.(type) {
		case *Handler:
			s.signs = append(s.signs, sign{place: p, gate: h})
		case *Manifest:
			s.signs = append(s.signs, sign{place: p, manifest: h})
		case *caddyhttp.Subroute:
			s.walk(h.Routes, p, depth+1)
		case *caddyhttp.Invoke:
			if named := s.server.NamedRoutes[h.Name]; named != nil {
				s.walk(caddyhttp.RouteList{*named}, p, depth+1)
			}
		case *rewrite.Rewrite:
			p = p.rewritten(h)
		}
	}
	return p
}

// setsOf are the alternatives by which requests get into a route.
func setsOf(route caddyhttp.Route) caddyhttp.MatcherSets {
	if len(route.MatcherSets) == 0 {
		return caddyhttp.MatcherSets{nil}
	}
	return route.MatcherSets
}

// onlyHosts gives the host matchers of a set, and whether there is nothing else in it.
func onlyHosts(set caddyhttp.MatcherSet) (hosts []caddyhttp.MatchHost, only bool) {
	for _, matcher := range set {
		m, ok := matcher.(*caddyhttp.MatchHost)
		if !ok {
			return nil, false
		}
		hosts = append(hosts, *m)
	}
	return hosts, true
}

// enter is the place behind a set of matchers, or false where no request gets there.
func (p place) enter(set caddyhttp.MatcherSet) (place, bool) {
	for _, matcher := range set {
		switch m := matcher.(type) {
		case *caddyhttp.MatchHost:
			p.hosts = append(slices.Clip(p.hosts), *m)
		case *caddyhttp.MatchMethod:
			if p.methods = common(p.methods, *m); len(p.methods) == 0 {
				return p, false
			}
		case *caddyhttp.MatchPath:
			patterns, known := p.outside(*m)
			if !known {
				continue
			}
			if p.paths = within(p.paths, patterns); len(p.paths) == 0 {
				return p, false
			}
		}
	}
	return p, true
}

// outside gives the patterns of a matcher as clients write them, unless that cannot be told.
func (p place) outside(patterns []string) (seen []string, known bool) {
	if p.blind {
		return nil, false
	}
	repl := caddy.NewReplacer() // for those that are the same for all requests
	for _, pattern := range patterns {
		pattern = repl.ReplaceKnown(pattern, "")
		switch {
		case strings.ContainsAny(pattern, "{}"):
			return nil, false
		case pattern == "*":
			pattern = discovery.AnyPath
		}
		if p.prefix != "" && !strings.HasPrefix(pattern, "/") {
			return nil, false
		}
		seen = append(seen, p.prefix+pattern)
	}
	return seen, true
}

// within narrows patterns to what fits others too.
func within(outer, inner []string) (both []string) {
	if outer == nil {
		return inner
	}
	for _, i := range inner {
		for _, o := range outer {
			switch {
			case discovery.Match(o, i):
				both = append(both, i)
			case discovery.Match(i, o):
				both = append(both, o)
			case strings.HasPrefix(i, "*") != strings.HasPrefix(o, "*"):
				both = append(both, i) // "*.pdf" in "/docs/*" has no pattern of its own
			}
		}
	}
	return both
}

// common are the methods in both lists; nil is the list of all.
func common(outer, inner []string) []string {
	if outer == nil {
		return inner
	}
	return slices.DeleteFunc(slices.Clone(inner), func(method string) bool { return !slices.Contains(outer, method) })
}

// rewritten is the place behind a rewrite that every request there undergoes.
func (p place) rewritten(by *rewrite.Rewrite) place {
	switch {
	case by.URI != "" && !strings.HasPrefix(by.URI, "?"), by.StripPathSuffix != "",
		len(by.URISubstring) > 0, len(by.PathRegexp) > 0, strings.Contains(by.StripPathPrefix, "{"):
		p.blind = true
	case by.StripPathPrefix != "":
		p.prefix += "/" + strings.Trim(by.StripPathPrefix, "/")
	}
	return p
}

// holds tells whether requests to a host get to the place.
func (p *place) holds(r *http.Request) bool {
	for _, hosts := range p.hosts {
		if matched, err := hosts.MatchWithError(r); err != nil || !matched {
			return false
		}
	}
	for _, hosts := range p.not {
		if matched, err := hosts.MatchWithError(r); err != nil || matched {
			return false
		}
	}
	return true
}

// reaches tells whether requests for a path get to the place.
func (p *place) reaches(path string) bool {
	return p.paths == nil || slices.ContainsFunc(p.paths, func(pattern string) bool { return discovery.Match(pattern, path) })
}

// counter is what one host sells.
type counter struct {
	gates    []sign
	settings *Manifest // nil for none
	// path is where the manifest can be had; it is empty where it cannot.
	path string
	// guide is where the text for language models can be had; it is empty where it cannot.
	guide string
	// host is the name that the configuration has for the host, or empty.
	host string
	// key is the same for requests that get the same documents.
	key string
}

// counter finds what the request's host sells. It is nil where nothing may be told of it.
func (s *shop) counter(r *http.Request) *counter {
	c := new(counter)
	var open []*place // where default documents can be had
	key := make([]byte, 0, 64)
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = strings.Trim(r.Host, "[]")
	}
	for i := range s.signs {
		sign := &s.signs[i]
		if !sign.holds(r) {
			continue
		}
		key = append(strconv.AppendInt(key, int64(i), 36), '.')
		switch {
		case sign.gate != nil:
			if sign.gate.listed() {
				c.gates = append(c.gates, *sign)
			}
			if !sign.gate.NoManifest {
				open = append(open, &sign.place)
			}
		case sign.manifest != nil:
			if sign.manifest.Off {
				return nil
			}
			open = append(open, &sign.place)
			if c.settings == nil || c.settings.plain() {
				c.settings = sign.manifest
			}
		default:
			key = append(key, '!')
		}
		for _, hosts := range sign.hosts {
			if at := slices.IndexFunc(hosts, func(host string) bool { return strings.EqualFold(host, name) }); at >= 0 {
				c.host = strings.ToLower(hosts[at])
			}
		}
		if sign.gate == nil && sign.manifest == nil {
			break
		}
	}
	if len(c.gates) == 0 {
		return nil
	}
	reached := func(path string) bool {
		return slices.ContainsFunc(open, func(p *place) bool { return p.reaches(path) })
	}
	if path := c.settings.path(); reached(path) {
		c.path = path
	}
	if path := c.settings.guide(); reached(path) {
		c.guide = path
	}
	c.key = string(key) + c.host
	return c
}
