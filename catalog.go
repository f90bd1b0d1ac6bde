package caddyl402

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/discovery"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// maxPages bounds the documents that a server keeps. Their number depends on the configuration and
// not on what clients ask for, so this is for very large ones.
const maxPages = 4096

// shops are the shops by server, made when a request first needs one: then all routes stand.
type shops struct{ byServer sync.Map }

// front is a shop with the documents that were asked for.
type front struct {
	*shop
	mu    sync.Mutex
	pages map[string]*page // by counter and kind
}

// shopOf finds the shop of the server that has the request.
func (a *App) shopOf(r *http.Request) *front {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil
	}
	if known, ok := a.shops.byServer.Load(server); ok {
		return known.(*front)
	}
	made, _ := a.shops.byServer.LoadOrStore(server, &front{shop: newShop(server), pages: make(map[string]*page)})
	return made.(*front)
}

// described is where the request's host has its manifest and its text; both are empty where it has none.
func (a *App) described(r *http.Request) (manifest, guide string) {
	if s := a.shopOf(r); s != nil {
		if c := s.counter(r); c != nil {
			return c.path, c.guide
		}
	}
	return "", ""
}

// page gives a document, which is made once.
func (f *front) page(c *counter, kind document) (*page, error) {
	key := fmt.Sprintf("%d/%s", kind, c.key)
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.pages[key]; known != nil {
		return known, nil
	}
	body, err := render(c.catalog(), kind)
	if err != nil {
		return nil, err
	}
	if len(f.pages) >= maxPages {
		clear(f.pages)
	}
	age := defaultMaxAge
	if c.settings != nil && c.settings.MaxAge > 0 {
		age = time.Duration(c.settings.MaxAge)
	}
	f.pages[key] = newPage(body, kind, age)
	return f.pages[key], nil
}

func render(c *discovery.Catalog, kind document) ([]byte, error) {
	switch kind {
	case manifestDocument:
		return c.Manifest()
	case servicesDocument:
		return c.Services()
	case openAPIDocument:
		return c.OpenAPI()
	}
	return c.Text(func(msat uint64) string { return pricing.Format(lnwire.MilliSatoshi(msat)) }), nil
}

// catalog is the counter for those that write documents.
func (c *counter) catalog() *discovery.Catalog {
	catalog := &discovery.Catalog{Provider: discovery.Provider{Name: c.host}, ManifestPath: c.path, TextPath: c.guide}
	if m := c.settings; m != nil {
		p := &catalog.Provider
		p.Description, p.URI, p.NodePubkey, p.Contact = m.Description, m.URI, m.NodePubkey, m.Contact
		setNonzero(&p.Name, m.ProviderName)
		catalog.OpenAPIPath, catalog.Base = m.OpenAPI, m.base
	}
	for _, sign := range c.gates {
		if route := sign.gate.listing(sign.place); route.Methods == nil || len(route.Methods) > 0 {
			catalog.Routes = append(catalog.Routes, route)
		}
	}
	return catalog
}

func setNonzero(field *string, value string) {
	if value != "" {
		*field = value
	}
}

// Catalogs gives what each named host of the configuration sells, by the host's name; the empty name
// stands for hosts that the configuration does not name. It is for an app that is provisioned and
// need not run.
func (a *App) Catalogs() (map[string]*discovery.Catalog, error) {
	list, err := a.allShops()
	if err != nil {
		return nil, err
	}
	catalogs := make(map[string]*discovery.Catalog)
	for _, s := range list {
		for _, host := range s.hosts() {
			// A wildcard stands for one label, so any word does.
			if c := s.counter(requestTo(strings.ReplaceAll(host, "*", "any"))); c != nil && catalogs[host] == nil {
				catalogs[host] = c.catalog()
			}
		}
	}
	return catalogs, nil
}

// CatalogOf gives what one host sells, named by the configuration or not; nil where that is nothing
// that clients may learn of. It is for the same apps as Catalogs.
func (a *App) CatalogOf(host string) (*discovery.Catalog, error) {
	list, err := a.allShops()
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if c := s.counter(requestTo(host)); c != nil {
			return c.catalog(), nil
		}
	}
	return nil, nil
}

// allShops are those of all servers, in the order of the servers' names.
func (a *App) allShops() ([]*shop, error) {
	module, err := a.ctx.App("http")
	if err != nil {
		return nil, fmt.Errorf("getting the http app: %w", err)
	}
	servers := module.(*caddyhttp.App).Servers
	var list []*shop
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		list = append(list, newShop(servers[name]))
	}
	return list, nil
}

// hosts are those that a shop's routes name, and the empty one.
func (s *shop) hosts() []string {
	list := []string{""}
	for _, sign := range s.signs {
		for _, hosts := range sign.hosts {
			for _, host := range hosts {
				if !strings.Contains(host, "{") && !slices.Contains(list, host) {
					list = append(list, host)
				}
			}
		}
	}
	return list
}

// requestTo is a request that host matchers can look at.
func requestTo(host string) *http.Request {
	ctx := context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	return (&http.Request{Method: http.MethodGet, Host: host}).WithContext(ctx)
}
