package lnd

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestModule(t *testing.T) {
	info, err := caddy.GetModule("l402.wallets.lnd")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.New().(*Node); !ok {
		t.Errorf("the module is a %T", info.New())
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Node
	}{
		{"the shortest", "lnd 127.0.0.1:10009", Node{Address: "127.0.0.1:10009"}},
		{"all", `lnd node.onion:10009 {
			macaroon /run/invoice.macaroon
			macaroon_hex {env.MAC}
			tls_cert system
			tls_cert_hex 3082
			proxy socks5://127.0.0.1:9050
			network signet
			timeout 1m30s
			private
		}`, Node{
			Address: "node.onion:10009", Macaroon: "/run/invoice.macaroon", MacaroonHex: "{env.MAC}",
			TLSCert: "system", TLSCertHex: "3082", Proxy: "socks5://127.0.0.1:9050", NetworkName: "signet",
			Timeout: caddy.Duration(90 * time.Second), Private: true,
		}},
		{"days", "lnd a:1 {\n timeout 1d\n}", Node{Address: "a:1", Timeout: caddy.Duration(24 * time.Hour)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n Node
			if err := n.UnmarshalCaddyfile(caddyfile.NewTestDispenser(c.in)); err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(&n)
			want, _ := json.Marshal(&c.want)
			if string(got) != string(want) {
				t.Errorf("got %s, want %s", got, want)
			}
			// The JSON is the same configuration.
			var back Node
			if err := caddy.StrictUnmarshalJSON(got, &back); err != nil {
				t.Errorf("reading the JSON back: %v", err)
			}
		})
	}
}

func TestUnmarshalCaddyfileRefuses(t *testing.T) {
	const secret = "0201036c6e64deadbeef"
	for _, c := range []struct{ name, in, want string }{
		{"no address", "lnd", "address is missing"},
		{"no address but a block", "lnd {\n private\n}", "address is missing"},
		{"two addresses", "lnd a:1 b:2", "argument"},
		{"unknown setting", "lnd a:1 {\n macaron x\n}", `unknown setting "macaron"`},
		{"twice", "lnd a:1 {\n network regtest\n network signet\n}", "network is given twice"},
		{"private twice", "lnd a:1 {\n private\n private\n}", "private is given twice"},
		{"no value", "lnd a:1 {\n macaroon\n}", "macaroon takes one value"},
		{"two values", "lnd a:1 {\n macaroon_hex " + secret + " " + secret + "\n}", "macaroon_hex takes one value"},
		{"value for private", "lnd a:1 {\n private yes\n}", "private takes no value"},
		{"timeout without unit", "lnd a:1 {\n timeout 10\n}", `timeout "10" is not a duration`},
		{"timeout zero", "lnd a:1 {\n timeout 0s\n}", "is not a duration such as"},
		{"timeout negative", "lnd a:1 {\n timeout -1s\n}", "is not a duration such as"},
		{"timeout missing", "lnd a:1 {\n timeout\n}", "timeout takes one value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := new(Node).UnmarshalCaddyfile(caddyfile.NewTestDispenser(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
}

func FuzzUnmarshalCaddyfile(f *testing.F) {
	f.Add("lnd 127.0.0.1:10009 {\n macaroon a\n tls_cert system\n timeout 1s\n private\n}")
	f.Add("lnd")
	f.Add("lnd a {\n proxy socks5://u:p@h:1\n}")
	f.Fuzz(func(_ *testing.T, in string) {
		n := new(Node)
		if n.UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)) == nil {
			// Must not panic either, whatever it says.
			_ = n.Provision(caddy.Context{})
		}
	})
}

// sound is a configuration that Provision takes; the files do not exist.
func sound() Node {
	return Node{Address: "127.0.0.1:10009", Macaroon: "/nowhere/invoice.macaroon", TLSCert: "/nowhere/tls.cert"}
}

func TestProvisionRefuses(t *testing.T) {
	const secret = "s3cr3t-passw0rd"
	t.Setenv("LND_EMPTY", "")
	t.Setenv("LND_BLANK", " \n")
	for _, c := range []struct {
		name   string
		change func(*Node)
		want   string
	}{
		{"no address", func(n *Node) { n.Address = "" }, "address is missing"},
		{"a URL", func(n *Node) { n.Address = "https://node:10009" }, "host:port and nothing else"},
		{"no host", func(n *Node) { n.Address = ":10009" }, "not host:port"},
		{"a port too great", func(n *Node) { n.Address = "node:65536" }, "not host:port"},
		{"port zero", func(n *Node) { n.Address = "node:0" }, "not host:port"},
		{"a named port", func(n *Node) { n.Address = "node:grpc" }, "not host:port"},
		{"too many colons", func(n *Node) { n.Address = "a:b:c" }, "not host:port"},
		{"no macaroon", func(n *Node) { n.Macaroon = "" }, "macaroon is missing"},
		{"two macaroons", func(n *Node) { n.MacaroonHex = secret }, "both set"},
		{"a bad macaroon", func(n *Node) { n.Macaroon, n.MacaroonHex = "", secret }, "macaroon_hex: not a macaroon"},
		{"no certificate", func(n *Node) { n.TLSCert = "" }, "tls_cert is missing"},
		{"two certificates", func(n *Node) { n.TLSCertHex = "30" }, "both set"},
		{"a bad certificate", func(n *Node) { n.TLSCert, n.TLSCertHex = "", "30" }, "tls_cert_hex: not a certificate"},
		{"another kind of proxy", func(n *Node) { n.Proxy = "http://u:" + secret + "@127.0.0.1:9050" }, "proxy is not of the form"},
		{"a proxy without scheme", func(n *Node) { n.Proxy = "127.0.0.1:9050" }, "proxy is not of the form"},
		{"a broken proxy", func(n *Node) { n.Proxy = "socks5://u:" + secret + "@[::1" }, "proxy is not of the form"},
		{"a proxy with a path", func(n *Node) { n.Proxy = "socks5://127.0.0.1:9050/x" }, "proxy is not of the form"},
		{"onion without proxy", func(n *Node) { n.Address = "abc.onion:10009" }, "set proxy"},
		{"unknown network", func(n *Node) { n.NetworkName = "bitcoin" }, `unknown network "bitcoin"`},
		{"timeout too long", func(n *Node) { n.Timeout = caddy.Duration(time.Hour) }, "timeout 1h0m0s"},
		{"timeout negative", func(n *Node) { n.Timeout = -1 }, "timeout"},
		{"unknown placeholder", func(n *Node) { n.Macaroon = "{no.such.thing}" }, "macaroon: unrecognized placeholder"},
		{"unset variable", func(n *Node) { n.Macaroon = "{env.LND_EMPTY}" }, "macaroon: evaluated placeholder"},
		{"blank variable", func(n *Node) { n.Address = "{env.LND_BLANK}" }, "address is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := sound()
			c.change(&n)
			err := n.Provision(caddy.Context{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:10009": "127.0.0.1:10009", "node": "node:10009", "node.example:1": "node.example:1",
		"[::1]:10010": "[::1]:10010", "[::1]": "[::1]:10009", "::1": "[::1]:10009",
	} {
		n := sound()
		n.Address = in
		if err := n.Provision(caddy.Context{}); err != nil || n.set.address != want {
			t.Errorf("%s: got %s, %v; want %s", in, n.set.address, err, want)
		}
	}
}

// TestOpenDoesNothing provisions and opens a wallet whose files are not there and whose node is
// nobody: all that waits for the first call.
func TestOpenDoesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	current := goleak.IgnoreCurrent()
	n := sound()
	if err := n.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w, err := n.Open(wallettest.NewEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines were started", after-before)
	}
	goleak.VerifyNone(t, current)
	if err := w.(*Wallet).Close(); err != nil {
		t.Errorf("closing a wallet that was never used: %v", err)
	}
	if _, err := new(Node).Open(wallettest.NewEnv(t)); err == nil {
		t.Error("a guest that was not provisioned could be opened")
	}
}

func TestPlaceholders(t *testing.T) {
	node := lndtest.New(t, wallets.Regtest)
	mac := hex.EncodeToString(node.Bake(t, lndtest.InvoiceRights))
	t.Setenv("LND_MACAROON", mac+"\n")
	t.Setenv("LND_HOST", "10.0.0.1")
	t.Setenv("LND_NETWORK", "signet")
	n := sound()
	n.Address, n.Macaroon, n.MacaroonHex, n.NetworkName = "{env.LND_HOST}:7", "", "{env.LND_MACAROON}", "{env.LND_NETWORK}"
	if err := n.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if n.set.address != "10.0.0.1:7" || n.Network() != wallets.Signet {
		t.Errorf("got %s and %s", n.set.address, n.Network())
	}
	if got, _ := header(n.set.mac.current); got != mac {
		t.Error("the macaroon is another one")
	}
	// What Caddy may dump is the configuration as written.
	b, err := json.Marshal(&n)
	if err != nil || strings.Contains(string(b), mac) {
		t.Errorf("the JSON holds the secret: %v", err)
	}
	for _, text := range []string{fmt.Sprint(n), fmt.Sprintf("%+v", n.Address)} {
		if strings.Contains(text, mac) {
			t.Error("the printed guest holds the secret")
		}
	}
}

func TestIdentity(t *testing.T) {
	identity := func(change func(*Node)) string {
		n := sound()
		change(&n)
		if err := n.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		return n.Identity()
	}
	base := identity(func(*Node) {})
	for name, c := range map[string]struct {
		change func(*Node)
		same   bool
	}{
		"nothing":      {func(*Node) {}, true},
		"default port": {func(n *Node) { n.Address = "127.0.0.1" }, true},
		"timeout":      {func(n *Node) { n.Timeout = caddy.Duration(time.Second) }, true},
		"private":      {func(n *Node) { n.Private = true }, true},
		"address":      {func(n *Node) { n.Address = "127.0.0.2:10009" }, false},
		"macaroon":     {func(n *Node) { n.Macaroon += "2" }, false},
		"certificate":  {func(n *Node) { n.TLSCert += "2" }, false},
		"proxy":        {func(n *Node) { n.Proxy = "socks5://127.0.0.1:9050" }, false},
		"moved bytes":  {func(n *Node) { n.Macaroon, n.TLSCert = n.Macaroon+"/", "nowhere/tls.cert" }, false},
	} {
		if got := identity(c.change) == base; got != c.same {
			t.Errorf("with another %s the identity is the same: %t, want %t", name, got, c.same)
		}
	}
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(os.Exit))
}
