package lnbits

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestCaddyfile(t *testing.T) {
	var a Account
	err := a.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`lnbits https://lnbits.example/base {
		key {env.LNBITS_KEY}
		ca /etc/ca.pem
		network signet
		timeout 3s
		private_api
	}`))
	if err != nil || a.Address != "https://lnbits.example/base" || a.Key != "{env.LNBITS_KEY}" || a.CA != "/etc/ca.pem" ||
		a.NetworkName != "signet" || time.Duration(a.Timeout) != 3*time.Second || !a.PrivateAPI || a.Insecure {
		t.Errorf("got %+v, %v", a, err)
	}
	a = Account{}
	err = a.UnmarshalCaddyfile(caddyfile.NewTestDispenser("lnbits http://a {\n key_file /p\n insecure\n}"))
	if err != nil || a.KeyFile != "/p" || !a.Insecure || a.PrivateAPI {
		t.Errorf("got %+v, %v", a, err)
	}
	for in, text := range map[string]string{
		"lnbits":                               "such as https://lnbits.example.com",
		"lnbits http://a {\n password k}":      `unknown setting "password" of wallet lnbits`,
		"lnbits http://a {\n private_api yes}": "private_api takes no value",
	} {
		if err := new(Account).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

func TestProvision(t *testing.T) {
	t.Setenv("LNBITS_KEY", invoiceKey)
	a := &Account{Address: "http://127.0.0.1:5000", Key: "{env.LNBITS_KEY}", NetworkName: "testnet"}
	if _, err := a.Open(wallettest.NewEnv(t)); err == nil || !strings.Contains(err.Error(), "provisioned") {
		t.Errorf("opening before Provision: %v", err)
	}
	if err := a.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if a.Network() != wallets.Testnet || !strings.Contains(a.Identity(), invoiceKey) {
		t.Errorf("network %s", a.Network())
	}
	err := (&Account{Address: "http://203.0.113.1", Key: invoiceKey}).Provision(caddy.Context{})
	if err == nil || !strings.Contains(err.Error(), "wallet lnbits: the key would travel in clear text") ||
		strings.Contains(err.Error(), invoiceKey) {
		t.Errorf("plain connection to a public address: %v", err)
	}
	info := new(Account).CaddyModule()
	if _, ok := info.New().(*Account); !ok || info.ID != "l402.wallets.lnbits" {
		t.Errorf("module %s", info.ID)
	}
}

func TestReconfigure(t *testing.T) {
	s := newServer(t)
	w := s.open(t, wallettest.NewEnv(t), invoiceKey, true)
	w.Reconfigure(&Account{}) // not provisioned: nothing to take over
	if w.peer.Network() != wallets.Regtest || !w.private.Load() {
		t.Error("an empty configuration was taken over")
	}
	a := &Account{Address: s.URL, Key: invoiceKey, NetworkName: "signet"}
	if err := a.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w.Reconfigure(a)
	if w.peer.Network() != wallets.Signet || w.private.Load() {
		t.Error("the settings were not taken over")
	}
}
