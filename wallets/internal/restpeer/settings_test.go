package restpeer

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

const secret = "a secret & a half"

func raw(change func(*Raw)) Raw {
	r := Raw{Address: "http://127.0.0.1:1", SecretName: "password", Secret: secret}
	if change != nil {
		change(&r)
	}
	return r
}

func TestResolve(t *testing.T) {
	t.Setenv("RESTPEER_TEST", secret)
	for _, tt := range []struct {
		name   string
		change func(*Raw)
		want   string // in the error; none if empty
	}{
		{"plain to loopback", nil, ""},
		{"plain to loopback, IPv6", func(r *Raw) { r.Address = "http://[::1]:1" }, ""},
		{"plain to a private address", func(r *Raw) { r.Address = "http://192.168.1.2:1" }, ""},
		{"plain to a carrier's address", func(r *Raw) { r.Address = "http://100.64.0.1" }, ""},
		{"plain to the local link", func(r *Raw) { r.Address = "http://[fe80::1]" }, ""},
		{"plain to a name", func(r *Raw) { r.Address = "http://node.internal:1" }, ""},
		{"https to anywhere", func(r *Raw) { r.Address = "https://203.0.113.1/base" }, ""},
		{"placeholder", func(r *Raw) { r.Secret = "{env.RESTPEER_TEST}" }, ""},
		{"all settings", func(r *Raw) {
			r.Address, r.CA, r.Network, r.Timeout = "https://a", "/ca.pem", "signet", caddy.Duration(time.Second)
		}, ""},
		{"insecure", func(r *Raw) { r.Address, r.Insecure = "http://203.0.113.1", true }, ""},

		{"no address", func(r *Raw) { r.Address = "" }, "address is missing: give the URL of its API, such as http://example"},
		{"no URL", func(r *Raw) { r.Address = "127.0.0.1:1" }, "address"},
		{"user in the URL", func(r *Raw) { r.Address = "http://:" + secret + "@127.0.0.1" }, "address"},
		{"no secret", func(r *Raw) { r.Secret = "" }, "password is missing"},
		{"two secrets", func(r *Raw) { r.SecretFile = "/x" }, "password and password_file are both set"},
		{"line in the secret", func(r *Raw) { r.Secret = "a\nb" }, "password: it holds line breaks"},
		{"empty placeholder", func(r *Raw) { r.Secret = "{env.RESTPEER_NONE}" }, "password"},
		{"unknown placeholder", func(r *Raw) { r.Secret = "{no.such}" }, "password"},
		{"network", func(r *Raw) { r.Network = "moon" }, "network: unknown network"},
		{"negative timeout", func(r *Raw) { r.Timeout = -1 }, "timeout"},
		{"long timeout", func(r *Raw) { r.Timeout = caddy.Duration(time.Hour) }, "timeout"},
		{"ca without TLS", func(r *Raw) { r.CA = "/ca.pem" }, "ca is for https"},
		{"bad ca", func(r *Raw) { r.Address, r.CA = "https://a", "a\nb" }, "ca is neither"},
		{"plain to a public address", func(r *Raw) { r.Address = "http://203.0.113.1" }, "use https, or set insecure"},
		{"plain to a public address, IPv6", func(r *Raw) { r.Address = "http://[2001:db8::1]" }, "use https, or set insecure"},
		{"plain to a mapped public address", func(r *Raw) { r.Address = "http://[::ffff:203.0.113.1]" }, "use https"},
		{"insecure with TLS", func(r *Raw) { r.Address, r.Insecure = "https://a", true }, "insecure is for addresses"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := Resolve("kind", "http://example", raw(tt.change))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "" && (!set.Ready() || !strings.HasPrefix(set.Identity(), "kind\x00")):
				t.Errorf("settings are incomplete: %q", set.Identity())
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), secret):
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	base, err := Resolve("kind", "", raw(nil))
	if err != nil {
		t.Fatal(err)
	}
	same, err := Resolve("kind", "", raw(func(r *Raw) { r.Timeout, r.Network = caddy.Duration(time.Second), "regtest" }))
	if err != nil || same.Identity() != base.Identity() {
		t.Errorf("what can change is part of the identity: %v", err)
	}
	for name, change := range map[string]func(*Raw){
		"address": func(r *Raw) { r.Address += "1" },
		"secret":  func(r *Raw) { r.Secret += "1" },
		"ca":      func(r *Raw) { r.Address, r.CA = "https://127.0.0.1:1", "/ca" },
		"policy":  func(r *Raw) { r.Insecure = true },
	} {
		if other, err := Resolve("kind", "", raw(change)); err != nil || other.Identity() == base.Identity() {
			t.Errorf("%s is no part of the identity: %v", name, err)
		}
	}
}

// TestDialPolicy has a name stand for a public address, which only dialing brings out.
func TestDialPolicy(t *testing.T) {
	if err := checkAddress("203.0.113.1:80"); err == nil || !strings.Contains(err.Error(), "insecure") {
		t.Errorf("a public address: %v", err)
	}
	for _, good := range []string{"127.0.0.1:80", "[::1]:80", "10.0.0.1:1", "[::ffff:10.0.0.1]:1", "[fe80::1%lo]:1"} {
		if err := checkAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if checkAddress("nonsense") == nil || checkAddress("name:80") == nil {
		t.Error("what is no address was taken for a trusted one")
	}
	set, err := Resolve("kind", "", raw(func(r *Raw) { r.Address = "http://localhost:1" }))
	if err != nil {
		t.Fatal(err)
	}
	// The policy is on after parsing, whatever the URL's host; a literal gets through to it here.
	set.base.Host = "203.0.113.1:80"
	c, err := New(Config{Name: "x", Authorize: func(h http.Header, s string) { h.Set("X", s) }, Logger: zap.NewNop}, set)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Do(t.Context(), httpjson.Request{Path: "a"})
	if !errors.Is(err, wallets.ErrUnavailable) || !errors.Is(err, httpjson.ErrNotSent) || !strings.Contains(err.Error(), "use https") {
		t.Errorf("calling a public address in clear text: %v", err)
	}
	if _, err := c.dial(t.Context(), "ws"); !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), "use https") {
		t.Errorf("opening a websocket in clear text: %v", err)
	}
}

func TestNotProvisioned(t *testing.T) {
	if _, err := New(Config{}, Settings{}); err == nil || !strings.Contains(err.Error(), "provisioned") {
		t.Errorf("got %v", err)
	}
}

// fields are all kinds of settings.
func fields() (Fields, func() [5]any) {
	var address, password string
	var list []string
	var flag bool
	var timeout caddy.Duration
	return Fields{
		Kind: "kind", Example: "http://example", Address: &address,
		Texts: map[string]*string{"password": &password}, Lists: map[string]*[]string{"list": &list},
		Flags: map[string]*bool{"flag": &flag}, Timeout: &timeout,
	}, func() [5]any { return [5]any{address, password, strings.Join(list, "+"), flag, time.Duration(timeout)} }
}

func TestReadCaddyfile(t *testing.T) {
	f, got := fields()
	err := ReadCaddyfile(caddyfile.NewTestDispenser("kind http://a {\n password p\n list x y\n flag\n timeout 3s\n}"), f)
	if want := [5]any{"http://a", "p", "x+y", true, 3 * time.Second}; err != nil || got() != want {
		t.Errorf("got %v, %v", got(), err)
	}
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "kind", "address is missing: give the URL of its API, such as http://example"},
		{"two addresses", "kind a sssecret", "takes one address"},
		{"unknown", "kind a {\n nothing\n}", `unknown setting "nothing" of wallet kind: use flag, list, password or timeout`},
		{"twice", "kind a {\n flag\n flag\n}", "flag is given twice"},
		{"no value", "kind a {\n password\n}", "password takes one value"},
		{"two values", "kind a {\n password sssecret b\n}", "password takes one value"},
		{"empty list", "kind a {\n list\n}", "list takes one value or more"},
		{"flag with value", "kind a {\n flag yes\n}", "flag takes no value"},
		{"no timeout", "kind a {\n timeout\n}", "timeout takes one value"},
		{"bad timeout", "kind a {\n timeout soon\n}", "such as 10s"},
		{"zero timeout", "kind a {\n timeout 0s\n}", "such as 10s"},
	} {
		f, _ := fields()
		err := ReadCaddyfile(caddyfile.NewTestDispenser(tt.in), f)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "sssecret") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("http://127.0.0.1:9740", "regtest", "/ca.pem", false)
	f.Add("https://[::1]/a?b#c", "", "-----BEGIN", true)
	f.Fuzz(func(t *testing.T, address, network, ca string, insecure bool) {
		set, err := Resolve("kind", "", Raw{
			Address: address, SecretName: "password", Secret: secret, CA: ca, Network: network, Insecure: insecure,
		})
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds the secret: %v", err)
			}
			return
		}
		// Whatever is taken, a public address is not spoken to in clear text.
		ip := net.ParseIP(set.base.Hostname())
		if set.base.Scheme == "http" && !insecure && ip != nil && ip.IsGlobalUnicast() && !ip.IsPrivate() && !shared.Contains(addr(ip)) {
			t.Errorf("%q was taken", address)
		}
	})
}
