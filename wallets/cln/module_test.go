package cln

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

func read(text string) (*Node, error) {
	n := new(Node)
	d := caddyfile.NewTestDispenser(text)
	if err := n.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return n, n.Provision(caddy.Context{})
}

func TestCaddyfile(t *testing.T) {
	t.Setenv("CLN_TEST_RUNE", documented)
	n, err := read(`cln https://localhost:3010 {
		rune {env.CLN_TEST_RUNE}
		ca /etc/cln/ca.pem
		network regtest
		timeout 3s
		private
	}`)
	if err != nil {
		t.Fatal(err)
	}
	want := Options{Network: wallets.Regtest, Timeout: 3 * time.Second, Private: true}
	if n.Options() != want || n.Network() != wallets.Regtest || n.set.base.Host != "localhost:3010" {
		t.Errorf("got %+v", n.Options())
	}
	if !strings.Contains(n.Identity(), documented) {
		t.Error("the identity does not tell runes apart")
	}
	b, err := json.Marshal(n)
	if err != nil || strings.Contains(string(b), documented) {
		t.Errorf("the configuration holds the secret itself: %s, %v", b, err)
	}
	for text, path := range map[string]string{
		"cln /run/cln/lightning-rpc":           "/run/cln/lightning-rpc",
		"cln unix//run/cln/lightning-rpc":      "/run/cln/lightning-rpc",
		"cln unix:/run/cln/lightning-rpc":      "/run/cln/lightning-rpc",
		"cln unix:///run/cln/../lightning-rpc": "/run/lightning-rpc",
	} {
		n, err := read(text)
		if err != nil || n.set.socket != path || n.Network() != wallets.Mainnet {
			t.Errorf("%s: got %q, %v", text, n.set.socket, err)
		}
	}
}

func TestCaddyfileRefuses(t *testing.T) {
	const secret = "c2VjcmV0LXJ1bmU"
	for name, tt := range map[string]struct{ text, want string }{
		"no address":       {"cln", "address is missing"},
		"two addresses":    {"cln /a /b", "wrong argument count"},
		"relative path":    {"cln lightning-rpc", "absolute path"},
		"host and port":    {"cln 127.0.0.1:3010", "https://"},
		"other scheme":     {"cln ftp://h", "https://"},
		"long path":        {"cln /" + strings.Repeat("x", 120), "107"},
		"password in URL":  {"cln https://u:" + secret + "@h", "user name or password"},
		"rune in query":    {"cln https://h/?rune=" + secret, "'?'"},
		"no rune":          {"cln https://h", "rune is missing"},
		"two runes":        {"cln https://h {\n rune " + documented + "\n rune_file /b\n}", "both set"},
		"bad rune":         {"cln https://h {\n rune " + secret + "\n}", "not a rune"},
		"rune of words":    {"cln https://h {\n rune a " + secret + "\n}", "one value"},
		"rune twice":       {"cln https://h {\n rune " + secret + "\n rune " + secret + "\n}", "twice"},
		"rune for socket":  {"cln /a {\n rune " + secret + "\n}", "socket"},
		"ca for socket":    {"cln /a {\n ca /b\n}", "socket"},
		"ca for http":      {"cln http://h {\n rune " + documented + "\n ca /b\n}", "https"},
		"bad ca":           {"cln https://h {\n rune " + documented + "\n ca \"-----BEGIN X\"\n}", "ca"},
		"unknown network":  {"cln /a {\n network moon\n}", "network"},
		"bad timeout":      {"cln /a {\n timeout soon\n}", "timeout"},
		"negative timeout": {"cln /a {\n timeout -1s\n}", "timeout"},
		"long timeout":     {"cln /a {\n timeout 1h\n}", "timeout"},
		"timeout of words": {"cln /a {\n timeout 1s 2s\n}", "one value"},
		"private value":    {"cln /a {\n private yes\n}", "no value"},
		"unknown setting":  {"cln /a {\n macaroon x\n}", "unknown setting"},
		"empty variable":   {"cln https://h {\n rune {env.CLN_TEST_NOT_SET}\n}", "rune"},
	} {
		_, err := read(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
}

func TestOpenUnprovisioned(t *testing.T) {
	if _, err := new(Node).Open(wallettest.NewEnv(t)); err == nil {
		t.Error("a wallet without settings was opened")
	}
}

func TestIdentities(t *testing.T) {
	seen := make(map[string]string)
	for _, text := range []string{
		"cln /a", "cln /b", "cln https://h {\n rune " + documented + "\n}", "cln https://h {\n rune_file /a\n}",
		"cln https://h {\n rune_file /b\n}", "cln https://h {\n rune_file /a\n ca /b\n}",
	} {
		n, err := read(text)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[n.Identity()]; ok {
			t.Errorf("%q and %q are one", text, other)
		}
		seen[n.Identity()] = text
	}
	a, _ := read("cln /a {\n timeout 1s\n}")
	b, _ := read("cln /a {\n private\n}")
	if a.Identity() != b.Identity() {
		t.Error("settings that can change make another wallet")
	}
}

func FuzzCaddyfile(f *testing.F) {
	f.Add("cln /a {\n timeout 1s\n}")
	f.Add("cln https://h {\n rune x\n}")
	f.Fuzz(func(t *testing.T, text string) {
		d := caddyfile.NewTestDispenser(text)
		n := new(Node)
		if n.UnmarshalCaddyfile(d) != nil || n.Provision(caddy.Context{}) != nil {
			return
		}
		if (n.set.socket == "") == (n.set.base == nil) {
			t.Errorf("%q names neither or both of socket and URL", text)
		}
	})
}
