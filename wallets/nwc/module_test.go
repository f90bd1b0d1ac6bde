package nwc

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

const someURI = "nostr+walletconnect://" + somePubkey + "?relay=wss%3A%2F%2Frelay.example&secret=" + someSecret

func TestCaddyfile(t *testing.T) {
	var g Guest
	if err := g.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`nwc {env.NWC} {
		relay wss://a.example wss://b.example
		relay {env.RELAY}
		network signet
		timeout 7s
	}`)); err != nil {
		t.Fatal(err)
	}
	if g.URI != "{env.NWC}" || strings.Join(g.Relays, " ") != "wss://a.example wss://b.example {env.RELAY}" ||
		g.NetworkName != "signet" || time.Duration(g.Timeout) != 7*time.Second {
		t.Errorf("got %+v", g)
	}
	for text, want := range map[string]string{
		"nwc":                                    "uri is missing",
		"nwc " + someURI + " " + someSecret:      "one connection URI",
		"nwc x {\n relay\n}":                     "relay takes",
		"nwc x {\n network\n}":                   "network takes",
		"nwc x {\n network a b\n}":               "network takes",
		"nwc x {\n network a\n network a\n}":     "given twice",
		"nwc x {\n timeout\n}":                   "timeout takes",
		"nwc x {\n timeout soon\n}":              "timeout is not",
		"nwc x {\n timeout -1s\n}":               "timeout is not",
		"nwc x {\n secret " + someSecret + "\n}": "unknown setting",
		"nwc x {\n " + someSecret + "\n}":        "unknown setting",
	} {
		var g Guest
		err := g.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), someSecret) {
			t.Errorf("%q: the error holds the secret: %v", text, err)
		}
	}
}

func TestProvision(t *testing.T) {
	t.Setenv("TEST_NWC", " "+someURI+"\n")
	t.Setenv("TEST_BLANK", "  ")
	g := &Guest{URI: "{env.TEST_NWC}", Relays: []string{"wss://other.example", "wss://RELAY.example/"}}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if g.Network() != wallets.Mainnet || len(g.connection.Relays) != 2 {
		t.Errorf("network %s, relays %v", g.Network(), g.connection.Relays)
	}
	same := &Guest{URI: "nostr+walletconnect:" + somePubkey + "?secret=" + someSecret + "&relay=wss://other.example&relay=wss://relay.example", Timeout: 5}
	if err := same.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if g.Identity() != same.Identity() || g.Identity() == "" {
		t.Error("one wallet with the same relays has two identities")
	}
	other := &Guest{URI: strings.Replace(someURI, "secret=7", "secret=6", 1)}
	if err := other.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if g.Identity() == other.Identity() {
		t.Error("two keys have one identity")
	}
	for name, c := range map[string]struct {
		g    Guest
		want string
	}{
		"no URI":              {Guest{}, "uri is missing"},
		"an unknown variable": {Guest{URI: "{env.TEST_NOT_SET_ANYWHERE}"}, "uri"},
		"an empty variable":   {Guest{URI: "{env.TEST_BLANK}"}, "uri is empty"},
		"a bad URI":           {Guest{URI: someURI + "&secret=" + someSecret}, "secret is given twice"},
		"a bad relay":         {Guest{URI: someURI, Relays: []string{"https://" + someSecret}}, "relay does not begin"},
		"an empty relay":      {Guest{URI: someURI, Relays: []string{"{env.TEST_BLANK}"}}, "relay is empty"},
		"a bad network":       {Guest{URI: someURI, NetworkName: "moon"}, "network"},
		"a negative time-out": {Guest{URI: someURI, Timeout: -1}, "timeout"},
		"a long time-out":     {Guest{URI: someURI, Timeout: caddy.Duration(time.Hour)}, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.g.Provision(caddy.Context{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "wallet nwc: ") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), someSecret) {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
	if _, err := new(Guest).Open(wallettest.NewEnv(t)); err == nil {
		t.Error("a guest that was not provisioned could be opened")
	}
}

func TestReconfigure(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	if _, err := w.CreateInvoice(t.Context(), ask()); err != nil {
		t.Fatal(err)
	}
	g := &Guest{URI: s.uri(), NetworkName: "signet"}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w.Reconfigure(g)
	w.Reconfigure(nil)
	if _, err := w.CreateInvoice(t.Context(), ask()); err == nil || !strings.Contains(err.Error(), "network") {
		t.Errorf("got %v, want a refusal of the network", err)
	}
	if got := w.opts.Load().timeout; got != DefaultTimeout {
		t.Errorf("time-out is %s, want the default", got)
	}
}
