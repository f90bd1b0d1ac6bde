package eclair

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var channel = strings.Repeat("ab", 32)

func TestCaddyfile(t *testing.T) {
	var n Node
	err := n.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`eclair https://eclair.example:8080 {
		password {env.ECLAIR_PASSWORD}
		ca /etc/ca.pem
		network signet
		timeout 3s
		private_channels a b
	}`))
	if err != nil || n.Address != "https://eclair.example:8080" || n.Password != "{env.ECLAIR_PASSWORD}" || n.CA != "/etc/ca.pem" ||
		n.NetworkName != "signet" || time.Duration(n.Timeout) != 3*time.Second || n.Insecure ||
		!slices.Equal(n.PrivateChannels, []string{"a", "b"}) {
		t.Errorf("got %+v, %v", n, err)
	}
	n = Node{}
	err = n.UnmarshalCaddyfile(caddyfile.NewTestDispenser("eclair http://a {\n password_file /p\n insecure\n}"))
	if err != nil || n.PasswordFile != "/p" || !n.Insecure {
		t.Errorf("got %+v, %v", n, err)
	}
	for in, text := range map[string]string{
		"eclair":                     "such as http://127.0.0.1:8080",
		"eclair http://a {\n key k}": `unknown setting "key" of wallet eclair`,
		"eclair http://a {\n private_channels\n}": "private_channels takes one value or more",
	} {
		if err := new(Node).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

func TestProvision(t *testing.T) {
	t.Setenv("ECLAIR_PASSWORD", password)
	n := &Node{Address: "http://127.0.0.1:8080", Password: "{env.ECLAIR_PASSWORD}", NetworkName: "testnet"}
	if _, err := n.Open(wallettest.NewEnv(t)); err == nil || !strings.Contains(err.Error(), "provisioned") {
		t.Errorf("opening before Provision: %v", err)
	}
	if err := n.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if n.Network() != wallets.Testnet || !strings.Contains(n.Identity(), password) {
		t.Errorf("network %s", n.Network())
	}
	for text, bad := range map[string]*Node{
		"wallet eclair: the password would travel in clear text": {Address: "http://203.0.113.1", Password: password},
		"private_channels: number 2 is not a channel id":         {Address: n.Address, Password: password, PrivateChannels: []string{channel, "1x2x3"}},
	} {
		err := bad.Provision(caddy.Context{})
		if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), password) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
	info := new(Node).CaddyModule()
	if _, ok := info.New().(*Node); !ok || info.ID != "l402.wallets.eclair" {
		t.Errorf("module %s", info.ID)
	}
}

func TestReconfigure(t *testing.T) {
	n := newNode(t)
	w := n.open(t, wallettest.NewEnv(t), channel)
	w.Reconfigure(&Node{}) // not provisioned: nothing to take over
	if w.peer.Network() != wallets.Regtest || *w.channels.Load() != channel {
		t.Error("an empty configuration was taken over")
	}
	g := &Node{Address: n.URL, Password: password, NetworkName: "signet"}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w.Reconfigure(g)
	if w.peer.Network() != wallets.Signet || *w.channels.Load() != "" {
		t.Error("the settings were not taken over")
	}
}
