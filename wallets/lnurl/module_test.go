package lnurl

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl/lnurltest"
)

func TestCaddyfile(t *testing.T) {
	d := caddyfile.NewTestDispenser(`lnurl shop@x.example {
		network signet
		timeout 3s
		comment "from the gate"
		allow_private
		ca /some/ca.pem
		proxy socks5://127.0.0.1:9050
	}`)
	var p Payee
	if err := p.UnmarshalCaddyfile(d); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"address":"shop@x.example","network":"signet","timeout":3000000000,"comment":"from the gate",` +
		`"allow_private":true,"ca":"/some/ca.pem","proxy":"socks5://127.0.0.1:9050"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for text, says := range map[string]string{
		"lnurl":                             "address is missing",
		"lnurl a@b c@d":                     "one address",
		"lnurl a@b {\nnetwork\n}":           "network takes one value",
		"lnurl a@b {\ncomment two words\n}": "quotes",
		"lnurl a@b {\nproxy socks5://u:hunter2@h x\n}": "proxy takes one value",
		"lnurl a@b {\ntimeout soon\n}":                 "such as 10s",
		"lnurl a@b {\ntimeout -1s\n}":                  "such as 10s",
		"lnurl a@b {\ntimeout\n}":                      "timeout takes one value",
		"lnurl a@b {\nallow_private yes\n}":            "takes no value",
		"lnurl a@b {\nca x\nca y\n}":                   "twice",
		"lnurl a@b {\nmacaroon x\n}":                   "unknown setting",
	} {
		err := new(Payee).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want something about %q", text, err, says)
		}
	}
}

func TestProvisionRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		payee Payee
		says  string
	}{
		"no address":       {Payee{}, "address is missing"},
		"network":          {Payee{Address: "a@x.example", NetworkName: "liquid"}, "network"},
		"env network":      {Payee{Address: "a@x.example", NetworkName: "{env.LNURL_TEST_NOT_SET}"}, "network"},
		"timeout":          {Payee{Address: "a@x.example", Timeout: caddy.Duration(time.Hour)}, "timeout"},
		"negative timeout": {Payee{Address: "a@x.example", Timeout: -1}, "timeout"},
		"comment":          {Payee{Address: "a@x.example", Comment: strings.Repeat("x", maxComment+1)}, "comment"},
		"comment no UTF-8": {Payee{Address: "a@x.example", Comment: "\xff"}, "comment"},
		"no ca file":       {Payee{Address: "a@x.example", CA: "/does/not/exist"}, "ca"},
		"empty ca file":    {Payee{Address: "a@x.example", CA: empty}, "no certificate"},
		"broken PEM":       {Payee{Address: "a@x.example", CA: "-----BEGIN CERTIFICATE-----\nx"}, "no certificate"},
		"ca of lines":      {Payee{Address: "a@x.example", CA: "a\nb"}, "neither"},
		"proxy":            {Payee{Address: "a@x.example", Proxy: "http://u:hunter2@x"}, "proxy"},
		"proxy with path":  {Payee{Address: "a@x.example", Proxy: "socks5://x/y"}, "proxy"},
	} {
		err := c.payee.Provision(caddy.Context{})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "wallet lnurl: ") ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want something about %q", name, err, c.says)
		}
		if _, err := c.payee.Open(newEnv(t)); err == nil {
			t.Errorf("%s: opened all the same", name)
		}
	}
}

func TestPlaceholdersOfTheConfiguration(t *testing.T) {
	t.Setenv("LNURL_TEST_ADDRESS", "shop@x.example")
	p := provisioned(t, &Payee{Address: "{env.LNURL_TEST_ADDRESS}"})
	if p.IsTemplate() || p.set.target.name != "shop@x.example" {
		t.Errorf("%+v", p.set)
	}
	same, err := p.Fill(func(string) (string, error) { t.Error("asked"); return "", nil })
	if err != nil || same != wallets.Guest(p) {
		t.Errorf("%v, %v", same, err)
	}
}

func TestIdentity(t *testing.T) {
	base := Payee{Address: "shop@x.example"}
	id := provisioned(t, &base).Identity()
	for name, c := range map[string]struct {
		payee Payee
		same  bool
	}{
		"again":         {Payee{Address: "shop@x.example"}, true},
		"other form":    {Payee{Address: "https://X.example/.well-known/lnurlp/shop"}, true},
		"comment":       {Payee{Address: "shop@x.example", Comment: "c"}, true},
		"timeout":       {Payee{Address: "shop@x.example", Timeout: 7}, true},
		"user":          {Payee{Address: "other@x.example"}, false},
		"host":          {Payee{Address: "shop@y.example"}, false},
		"allow_private": {Payee{Address: "shop@x.example", AllowPrivate: true}, false},
		"proxy":         {Payee{Address: "shop@x.example", Proxy: "socks5://h"}, false},
	} {
		if got := provisioned(t, &c.payee).Identity(); (got == id) != c.same {
			t.Errorf("%s: %q and %q", name, got, id)
		}
	}
}

func TestReconfigure(t *testing.T) {
	server := newServer(t, lnurltest.Options{Comment: 50})
	w := open(t, newEnv(t), server, nil)
	w.Reconfigure(provisioned(t, &Payee{Address: "a@x.example", Comment: "new words", Timeout: caddy.Duration(time.Minute)}))
	mustInvoice(t, w)
	if calls, _ := callback(server); calls[0].Query.Get("comment") != "new words" {
		t.Errorf("sent %v", calls[0].Query)
	}
	if w.timeout != time.Minute {
		t.Errorf("timeout %s", w.timeout)
	}
}

func TestPermissions(t *testing.T) {
	server := newServer(t, lnurltest.Options{Comment: 50, Min: 1000, Max: 5_000_500})
	w := open(t, newEnv(t), server, nil)
	words, err := w.Permissions(t.Context())
	if got := strings.Join(words, "; "); err != nil || !strings.Contains(got, "1 sat to 5000.500 sat") || strings.Contains(got, "LUD-21") {
		t.Errorf("%q, %v", got, err)
	}
	mustInvoice(t, w)
	words, err = w.Permissions(t.Context())
	if got := strings.Join(words, "; "); err != nil || !strings.Contains(got, "look up invoices (LUD-21)") {
		t.Errorf("%q, %v", got, err)
	}
	w = open(t, newEnv(t), newServer(t, lnurltest.Options{Verify: lnurltest.VerifyNone}), nil)
	mustInvoice(t, w)
	words, err = w.Permissions(t.Context())
	if got := strings.Join(words, "; "); err != nil || !strings.Contains(got, "no look-up") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCertificates(t *testing.T) {
	server := newServer(t, lnurltest.Options{})
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte(server.CA()), 0o600); err != nil {
		t.Fatal(err)
	}
	mustInvoice(t, open(t, newEnv(t), server, func(p *Payee) { p.CA = path }))
	_, err := invoice(open(t, newEnv(t), server, func(p *Payee) { p.CA = "" }), usual)
	wantErr(t, err, wallets.ErrUnavailable, "certificate")
	plain := newServer(t, lnurltest.Options{Plain: true})
	mustInvoice(t, open(t, newEnv(t), plain, nil))
}

// TestOnion has a proxy that knows the onion name, and no other way to it.
func TestOnion(t *testing.T) {
	server := newServer(t, lnurltest.Options{Plain: true, Name: "abcdefgh.onion"})
	proxy, asked := socks(t, server.Host())
	// Plain http and a private address are allowed here, since the onion network encrypts and
	// the address is the proxy's matter.
	w := openPayee(t, newEnv(t), &Payee{
		Address: "lnurlp://" + strings.TrimPrefix(server.URL("shop"), "http://"), NetworkName: "regtest",
		Proxy: "socks5://" + proxy,
	})
	inv := mustInvoice(t, w)
	server.Pay(t, inv.PaymentRequest)
	wantState(t, w, inv.PaymentHash, wallets.StateSettled)
	if names := asked(); len(names) == 0 || names[0] != "abcdefgh.onion" {
		t.Errorf("the proxy was asked for %v", names)
	}
	// Other names do not go through the proxy, which would resolve them unseen.
	server.Change(func(_ string, a map[string]any) {
		if a["callback"] != nil {
			a["callback"] = "https://127.0.0.1/"
		}
	})
	wantErr(t, w.Ping(t.Context()), wallets.ErrBadAnswer, "not on the public internet")
}

// socks is a SOCKS5 server (RFC 1928) that leads every name to one address.
func socks(t *testing.T, to string) (address string, asked func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var names []string
	var wg sync.WaitGroup
	wg.Go(func() { // ends when the listener is closed
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { // ends with the connection
				defer conn.Close()
				in := bufio.NewReader(conn)
				head := make([]byte, 3)
				_, _ = io.ReadFull(in, head)
				_, _ = conn.Write([]byte{5, 0})
				request := make([]byte, 5)
				if _, err := io.ReadFull(in, request); err != nil || request[3] != 3 {
					t.Errorf("the proxy was asked %v", request)
					return
				}
				name := make([]byte, request[4])
				_, _ = io.ReadFull(in, name)
				var port uint16
				_ = binary.Read(in, binary.BigEndian, &port)
				mu.Lock()
				names = append(names, string(name))
				mu.Unlock()
				target, err := net.Dial("tcp", to)
				if err != nil {
					t.Error(err)
					return
				}
				defer target.Close()
				_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
				wg.Go(func() { _, _ = io.Copy(target, in); target.Close() }) // ends with either side
				_, _ = io.Copy(conn, target)
			})
		}
	})
	t.Cleanup(func() { listener.Close(); wg.Wait() })
	return listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return names
	}
}
