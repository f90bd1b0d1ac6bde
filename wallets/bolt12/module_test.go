package bolt12

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func read(text string) (*Guest, error) {
	g := new(Guest)
	d := caddyfile.NewTestDispenser(text)
	if err := g.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return g, g.Provision(caddy.Context{})
}

func TestCaddyfile(t *testing.T) {
	t.Setenv("BOLT12_TEST_OFFER", published)
	g, err := read(`bolt12 {env.BOLT12_TEST_OFFER} {
		cln https://localhost:3010 {
			rune_file /run/secrets/rune
			ca /etc/cln/ca.pem
			timeout 3s
		}
		fetch_timeout 45s
	}`)
	if err != nil {
		t.Fatal(err)
	}
	if g.offer.text != published || g.fetchTimeout() != 45*time.Second || g.Network() != wallets.Mainnet ||
		g.CLN.RuneFile != "/run/secrets/rune" || time.Duration(g.CLN.Timeout) != 3*time.Second {
		t.Errorf("got %+v with %+v", g, g.CLN)
	}
	short, err := read("bolt12 " + published + " {\n cln /run/lightning-rpc\n}")
	if err != nil {
		t.Fatal(err)
	}
	if short.fetchTimeout() != defaultFetchTimeout || short.Identity() == g.Identity() {
		t.Errorf("got %+v", short)
	}
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var again Guest
	if err := json.Unmarshal(b, &again); err != nil || again.Provision(caddy.Context{}) != nil || again.Identity() != g.Identity() {
		t.Errorf("%s is another wallet (%v)", b, err)
	}
}

func TestCaddyfileRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no offer":         {"bolt12", "offer is missing"},
		"two offers":       {"bolt12 a b", "wrong argument count"},
		"no node":          {"bolt12 " + published, "cln is missing"},
		"empty block":      {"bolt12 " + published + " {\n fetch_timeout 3s\n}", "cln is missing"},
		"phoenixd":         {"bolt12 " + published + " {\n phoenixd http://h\n}", "use cln"},
		"two nodes":        {"bolt12 " + published + " {\n cln /a\n cln /b\n}", "twice"},
		"node without it":  {"bolt12 " + published + " {\n cln\n}", "address is missing"},
		"node's setting":   {"bolt12 " + published + " {\n cln /a {\n moon x\n }\n}", "unknown setting"},
		"node's value":     {"bolt12 " + published + " {\n cln relative\n}", "absolute path"},
		"unknown setting":  {"bolt12 " + published + " {\n cln /a\n moon x\n}", "unknown setting"},
		"bad timeout":      {"bolt12 " + published + " {\n cln /a\n fetch_timeout x\n}", "fetch_timeout"},
		"timeout of words": {"bolt12 " + published + " {\n cln /a\n fetch_timeout 1s 2s\n}", "one value"},
		"short timeout":    {"bolt12 " + published + " {\n cln /a\n fetch_timeout 10ms\n}", "fetch_timeout"},
		"long timeout":     {"bolt12 " + published + " {\n cln /a\n fetch_timeout 1h\n}", "fetch_timeout"},
		"bad offer":        {"bolt12 lnbc1 {\n cln /a\n}", "offer"},
		"other network":    {"bolt12 " + published + " {\n cln /a {\n network regtest\n }\n}", "network"},
		"empty variable":   {"bolt12 {env.BOLT12_TEST_NOT_SET} {\n cln /a\n}", "offer"},
	} {
		if _, err := read(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestOpenUnprovisioned(t *testing.T) {
	g := new(Guest)
	if _, err := g.Open(wallettest.NewEnv(t)); err == nil {
		t.Error("a wallet without settings was opened")
	}
	if err := g.Provision(caddy.Context{}); err == nil {
		t.Error("a wallet without offer was provisioned")
	}
	g.Offer = published
	if err := g.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), "cln is missing") {
		t.Errorf("a wallet without node: %v", err)
	}
}
