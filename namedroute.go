package caddyl402

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
)

// everything is a matcher that every request matches. Of the handlers of a named route that have no
// matcher at all, Caddy 2.11 keeps only the first one: without this one a gate behind another
// directive would be gone, and what it guards would be free.
func everything() caddy.ModuleMap {
	return caddy.ModuleMap{"path": json.RawMessage(`["*"]`)}
}
