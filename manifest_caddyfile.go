package caddyl402

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-l402/caddy-l402/internal/discovery"
)

func init() {
	httpcaddyfile.RegisterDirective("l402_manifest", parseManifestDirective)
	// Before the gate, which then need not exempt it: what is put right after forward_auth later
	// stands before what was put there earlier, and this file comes after caddyfile.go.
	httpcaddyfile.RegisterDirectiveOrder("l402_manifest", httpcaddyfile.After, "forward_auth")
}

// parseManifestDirective makes a route without a matcher: the handler itself knows its paths, and
// knows them after a rewrite, too.
func parseManifestDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	var m Manifest
	if err := m.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, &m), nil
}

// UnmarshalCaddyfile reads
//
//	l402_manifest [<path>|off] {
//		provider_name <name>
//		description   <text>
//		uri           <address>
//		node_pubkey   <hex>
//		contact       <text>
//		openapi       <path> [<file>]
//		llms          [<path>]
//		max_age       <duration>
//	}
func (m *Manifest) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		if d.Val() == "off" {
			m.Off = true
		} else {
			m.Path = d.Val()
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := map[string]bool{}
	for d.NextBlock(0) {
		option := d.Val()
		parse, ok := manifestOptions[option]
		if !ok {
			return unknownOption(d, "l402_manifest", optionNames(manifestOptions)...)
		}
		if seen[option] {
			return d.Errf("option %q of l402_manifest is given twice", option)
		}
		seen[option] = true
		if err := parse(m, d); err != nil {
			return err
		}
	}
	if m.Off && len(seen) > 0 {
		return d.Err("`l402_manifest off` has no options: remove them, or remove off")
	}
	return nil
}

// manifestOptions are the lines of the directive's block.
var manifestOptions = map[string]func(*Manifest, *caddyfile.Dispenser) error{
	"provider_name": func(m *Manifest, d *caddyfile.Dispenser) error { return word(d, &m.ProviderName) },
	"description":   func(m *Manifest, d *caddyfile.Dispenser) error { return word(d, &m.Description) },
	"uri":           func(m *Manifest, d *caddyfile.Dispenser) error { return word(d, &m.URI) },
	"node_pubkey":   func(m *Manifest, d *caddyfile.Dispenser) error { return word(d, &m.NodePubkey) },
	"contact":       func(m *Manifest, d *caddyfile.Dispenser) error { return word(d, &m.Contact) },
	"max_age":       func(m *Manifest, d *caddyfile.Dispenser) error { return duration(d, &m.MaxAge) },
	"openapi": func(m *Manifest, d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) < 1 || len(args) > 2 {
			return d.Err("expected `openapi <path> [<file>]`, such as `openapi /openapi.json`")
		}
		m.OpenAPI = args[0]
		if len(args) == 2 {
			m.OpenAPIFile = args[1]
		}
		return nil
	},
	"llms": func(m *Manifest, d *caddyfile.Dispenser) error {
		m.LLMs = discovery.LLMsPath
		if d.NextArg() {
			m.LLMs = d.Val()
		}
		if d.NextArg() {
			return d.ArgErr()
		}
		return nil
	},
}

// manifestKey is where a block of a Caddyfile notes that its site has a manifest.
const manifestKey = "l402.manifest"

// manifestRoute is the route that an l402 directive brings along, or nothing where the block or one
// around it has it already.
func manifestRoute(h httpcaddyfile.Helper) []httpcaddyfile.ConfigValue {
	if site, ok := siteOf(h); ok {
		if known, ok := h.BlockState[manifestKey].(uintptr); ok && known == site {
			return nil
		}
		h.BlockState[manifestKey] = site
	}
	return h.NewRoute(nil, new(Manifest))
}

// Guards.
var _ caddyfile.Unmarshaler = (*Manifest)(nil)
