package phoenixd

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

func TestCaddyfile(t *testing.T) {
	var p Daemon
	err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`phoenixd https://phoenix.example:9740 {
		password {env.PHOENIXD_PASSWORD}
		ca /etc/ca.pem
		network signet
		timeout 3s
	}`))
	want := Daemon{
		Address: "https://phoenix.example:9740", Password: "{env.PHOENIXD_PASSWORD}", CA: "/etc/ca.pem",
		NetworkName: "signet", Timeout: caddy.Duration(3 * time.Second),
	}
	if err != nil || p.Address != want.Address || p.Password != want.Password || p.CA != want.CA ||
		p.NetworkName != want.NetworkName || p.Timeout != want.Timeout || p.Insecure {
		t.Errorf("got %+v, %v", p, err)
	}
	p = Daemon{}
	err = p.UnmarshalCaddyfile(caddyfile.NewTestDispenser("phoenixd http://a {\n password_file /p\n insecure\n}"))
	if err != nil || p.PasswordFile != "/p" || !p.Insecure {
		t.Errorf("got %+v, %v", p, err)
	}
	for in, text := range map[string]string{
		"phoenixd":                     "such as http://127.0.0.1:9740",
		"phoenixd http://a {\n key k}": `unknown setting "key" of wallet phoenixd`,
	} {
		if err := new(Daemon).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

func TestProvision(t *testing.T) {
	t.Setenv("PHOENIXD_PASSWORD", limitedPassword)
	p := &Daemon{Address: "http://127.0.0.1:9740", Password: "{env.PHOENIXD_PASSWORD}", NetworkName: "testnet"}
	if _, err := p.Open(wallettest.NewEnv(t)); err == nil || !strings.Contains(err.Error(), "provisioned") {
		t.Errorf("opening before Provision: %v", err)
	}
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if p.Network() != wallets.Testnet || !strings.Contains(p.Identity(), limitedPassword) {
		t.Errorf("network %s", p.Network())
	}
	err := (&Daemon{Address: "http://203.0.113.1:9740", Password: limitedPassword}).Provision(caddy.Context{})
	if err == nil || !strings.Contains(err.Error(), "wallet phoenixd: the password would travel in clear text") ||
		strings.Contains(err.Error(), limitedPassword) {
		t.Errorf("plain connection to a public address: %v", err)
	}
	info := new(Daemon).CaddyModule()
	if _, ok := info.New().(*Daemon); !ok || info.ID != "l402.wallets.phoenixd" {
		t.Errorf("module %s", info.ID)
	}
	if b, err := json.Marshal(p); err != nil || strings.Contains(string(b), limitedPassword) {
		t.Errorf("the configuration shows what its placeholder stands for: %s, %v", b, err)
	}
}

func TestReconfigure(t *testing.T) {
	p := newDaemon(t)
	w := p.open(t, wallettest.NewEnv(t), limitedPassword)
	w.Reconfigure(&Daemon{}) // not provisioned: nothing to take over
	if w.peer.Network() != wallets.Regtest {
		t.Error("an empty configuration was taken over")
	}
	g := &Daemon{Address: p.URL, Password: limitedPassword, NetworkName: "signet"}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w.Reconfigure(g)
	if w.peer.Network() != wallets.Signet {
		t.Error("the network was not taken over")
	}
}
