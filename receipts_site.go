package caddyl402

import (
	"reflect"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// siteOf names the site block that a directive stands in, or returns false. The states that a Helper
// hands on are shared by all sites, and which site it works for is not exported, so the address of
// the site's tokens is its name. With a release of Caddy that keeps them elsewhere each directive
// brings a route of its own along, which costs nothing but lines in the JSON.
func siteOf(h httpcaddyfile.Helper) (site uintptr, ok bool) {
	block := reflect.ValueOf(h).FieldByName("parentBlock")
	if block.Kind() != reflect.Struct {
		return 0, false
	}
	segments := block.FieldByName("Segments")
	if segments.Kind() != reflect.Slice {
		return 0, false
	}
	return segments.Pointer(), true
}
