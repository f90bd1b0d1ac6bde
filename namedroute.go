package caddyl402

import (
	"encoding/json"
	"reflect"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// inNamedRoute tells whether a directive stands in a named route, such as &(name). It is not
// exported; with a release of Caddy that keeps it elsewhere the answer is yes.
func inNamedRoute(h httpcaddyfile.Helper) bool {
	block := reflect.ValueOf(h).FieldByName("parentBlock")
	if block.Kind() != reflect.Struct {
		return true
	}
	named := block.FieldByName("IsNamedRoute")
	return named.Kind() != reflect.Bool || named.Bool()
}

// everything is a matcher that every request matches. Of the handlers of a named route that have no
// matcher at all, Caddy 2.11 keeps only the first one: without this one a gate behind another
// directive would be gone, and what it guards would be free.
func everything() caddy.ModuleMap {
	return caddy.ModuleMap{"path": json.RawMessage(`["*"]`)}
}
