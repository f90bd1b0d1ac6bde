package restpeer

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Fields are where ReadCaddyfile puts what it reads, by the settings' names.
type Fields struct {
	// Kind is the adapter's name, and Example an address for the message that one is missing.
	Kind, Example string
	// Address is the argument after the kind.
	Address *string
	// Texts take one value each, which may be a secret.
	Texts map[string]*string
	// Lists take one value or more, and may occur once.
	Lists map[string]*[]string
	// Flags take no value.
	Flags map[string]*bool
	// Timeout is the setting timeout.
	Timeout *caddy.Duration
}

// ReadCaddyfile reads a wallet's address and its block. Errors give file and line and hold no value
// that may be a secret.
func ReadCaddyfile(d *caddyfile.Dispenser, f Fields) error {
	d.Next() // the wallet's kind
	if !d.NextArg() {
		return d.Errf("address is missing: give the URL of its API, such as %s", f.Example)
	}
	*f.Address = d.Val()
	if d.NextArg() {
		return d.Errf("wallet %s takes one address; the other settings stand in a block", f.Kind)
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := f.read(d, name); err != nil {
			return err
		}
	}
	return nil
}

func (f Fields) read(d *caddyfile.Dispenser, name string) error {
	if text := f.Texts[name]; text != nil {
		// ArgErr would repeat the word at hand, which may be a secret.
		if !d.AllArgs(text) {
			return d.Errf("%s takes one value", name)
		}
		return nil
	}
	if list := f.Lists[name]; list != nil {
		if *list = d.RemainingArgs(); len(*list) == 0 {
			return d.Errf("%s takes one value or more", name)
		}
		return nil
	}
	if flag := f.Flags[name]; flag != nil {
		if d.CountRemainingArgs() != 0 {
			return d.Errf("%s takes no value", name)
		}
		*flag = true
		return nil
	}
	if name != "timeout" {
		return d.Errf("unknown setting %q of wallet %s: use %s", name, f.Kind, f.names())
	}
	var value string
	if !d.AllArgs(&value) {
		return d.Errf("%s takes one value", name)
	}
	timeout, err := caddy.ParseDuration(value)
	if err != nil || timeout <= 0 {
		return d.Errf("timeout %q is not a duration such as 10s", value)
	}
	*f.Timeout = caddy.Duration(timeout)
	return nil
}

func (f Fields) names() string {
	names := []string{"timeout"}
	names = slices.AppendSeq(names, maps.Keys(f.Texts))
	names = slices.AppendSeq(names, maps.Keys(f.Lists))
	names = slices.AppendSeq(names, maps.Keys(f.Flags))
	slices.Sort(names)
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
