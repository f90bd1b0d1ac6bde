package failover

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestModule(t *testing.T) {
	info, err := caddy.GetModule("l402.wallets.failover")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.New().(*Group); !ok {
		t.Errorf("the module is a %T", info.New())
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for in, want := range map[string]string{
		"failover":                "has 0 wallets",
		"failover one":            "has 1 wallets",
		"failover a a":            `"a" is named twice`,
		"failover a {x.y}":        "placeholders",
		`failover a ""`:           "wallet 2 is empty",
		"failover a b {\n x 1\n}": "remove 'x'",
		"failover " + strings.Join(strings.Split("abcdefghijklmnopq", ""), " "): "has 17 wallets",
	} {
		var g Group
		if err := g.UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", in, err, want)
		}
	}
	var g Group
	if err := g.UnmarshalCaddyfile(caddyfile.NewTestDispenser("failover node backup")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(g.Members(), []string{"node", "backup"}) || g.Validate() != nil {
		t.Error(g.Wallets)
	}
}

func TestBind(t *testing.T) {
	healthy := new(atomic.Bool)
	a, b := asMember("a", newDouble("a"), healthy), asMember("b", newDouble("b"), healthy)
	elsewhere, same := b, b
	elsewhere.Network, same.ID = wallets.Mainnet, a.ID
	for want, members := range map[string][]wallets.Member{
		`"a" is for regtest and wallet "b" for mainnet`: {a, elsewhere},
		`"a" and "b" are the same wallet`:               {a, same},
		"got 1 wallets for 2 names":                     {a},
	} {
		g := Group{Wallets: []string{"a", "b"}}
		if err := g.Bind(members); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	g, turned := Group{Wallets: []string{"a", "b"}}, Group{Wallets: []string{"b", "a"}}
	if _, err := g.Open(wallettest.NewEnv(t)); !errors.Is(err, errUnbound) {
		t.Error(err)
	}
	if g.Network() != "" {
		t.Error(g.Network())
	}
	if err := errors.Join(g.Bind([]wallets.Member{a, b}), turned.Bind([]wallets.Member{b, a})); err != nil {
		t.Fatal(err)
	}
	if g.Identity() == turned.Identity() || g.Network() != wallets.Regtest {
		t.Error(g.Identity(), turned.Identity(), g.Network())
	}
}
