package caddyl402

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// discovery gives the description of the route, making it where there is none.
func (h *Handler) discovery() *Discovery {
	if h.Discovery == nil {
		h.Discovery = new(Discovery)
	}
	return h.Discovery
}

func (h *Handler) parseHidden(d *caddyfile.Dispenser) error {
	h.discovery().Hidden = true
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func (h *Handler) parsePaths(d *caddyfile.Dispenser) error {
	if err := words(d, &h.discovery().Paths); err != nil {
		return err
	}
	if err := h.Discovery.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseInputSchema reads a JSON Schema from the line itself or from a file, whose content becomes
// part of the configuration.
func (h *Handler) parseInputSchema(d *caddyfile.Dispenser) error {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	schema := []byte(text)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		var err error
		if schema, err = readBounded(text, maxDescribed); err != nil {
			return d.Errf("input_schema: it is neither a JSON object nor a file that can be read: %v", err)
		}
	}
	if err := checkSchema(schema); err != nil {
		return d.WrapErr(err)
	}
	h.discovery().InputSchema = json.RawMessage(schema)
	return nil
}

func (h *Handler) parseExample(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 || len(args) > 3 {
		return d.Err("expected `example <method> <path> [<JSON body>]`, such as `example GET /weather?city=Bern`")
	}
	example := Example{Method: strings.ToUpper(args[0]), Path: args[1]}
	if len(args) == 3 {
		example.Body = json.RawMessage(args[2])
	}
	if err := example.check(); err != nil {
		return d.Errf("example %s %s: %v", args[0], args[1], err)
	}
	h.discovery().Examples = append(h.discovery().Examples, example)
	return nil
}

func (h *Handler) parseManifest(d *caddyfile.Dispenser) error {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	if text != "off" {
		return d.Errf("manifest %q: only `manifest off` means something; without it there is a manifest", text)
	}
	h.NoManifest = true
	return nil
}

// spell notes how the paths of a matcher are written, where Caddy forgets it.
func (h *Handler) spell(matcher caddy.ModuleMap) {
	var paths []string
	if h.Discovery != nil && len(h.Discovery.Paths) > 0 || json.Unmarshal(matcher["path"], &paths) != nil {
		return
	}
	for _, path := range paths {
		if strings.ToLower(path) != path && !strings.ContainsAny(path, "{}") {
			h.discovery().Spelled = append(h.discovery().Spelled, path)
		}
	}
}
