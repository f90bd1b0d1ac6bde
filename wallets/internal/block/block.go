// Package block reads the block of a wallet in a Caddyfile. Its errors name the setting and never
// repeat a value that may be a secret, as the dispenser's own would.
package block

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Each calls read for each line of the block, with the setting's name, and refuses a setting that
// is given twice.
func Each(d *caddyfile.Dispenser, read func(name string) error) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := read(name); err != nil {
			return err
		}
	}
	return nil
}

// Text reads a setting of one value.
func Text(d *caddyfile.Dispenser, name string, into *string) error {
	// ArgErr would repeat the word at hand, which may be a secret.
	if !d.AllArgs(into) {
		return d.Errf("%s takes one value", name)
	}
	return nil
}

// Timeout reads a duration greater than zero.
func Timeout(d *caddyfile.Dispenser, name string, into *caddy.Duration) error {
	var value string
	if err := Text(d, name, &value); err != nil {
		return err
	}
	timeout, err := caddy.ParseDuration(value)
	if err != nil || timeout <= 0 {
		return d.Errf("%s %q is not a duration such as 10s", name, value)
	}
	*into = caddy.Duration(timeout)
	return nil
}

// Flag reads a setting without a value.
func Flag(d *caddyfile.Dispenser, name string, into *bool) error {
	if d.CountRemainingArgs() != 0 {
		return d.Errf("%s takes no value", name)
	}
	*into = true
	return nil
}
