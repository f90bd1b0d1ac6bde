package cln

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln/clntest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// gateMethods are the commands that a rune for the gate allows.
var gateMethods = []string{"invoice", "listinvoices", "waitanyinvoice"}

// open opens a wallet on the guest, after change.
func open(t testing.TB, env wallets.Env, guest *Node, change func(*Node)) *Client {
	t.Helper()
	guest.NetworkName, guest.Timeout = "regtest", caddy.Duration(30*time.Second)
	if change != nil {
		change(guest)
	}
	if err := guest.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w, err := guest.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	c := w.(*Client)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return c
}

func openSocket(t testing.TB, env wallets.Env, node *clntest.Node) *Client {
	t.Helper()
	return open(t, env, &Node{Address: node.ServeSocket(t)}, nil)
}

func openREST(t testing.TB, env wallets.Env, node *clntest.Node, runeText string) *Client {
	t.Helper()
	cert, pem, _ := clntest.NewCertificate(t)
	return open(t, env, &Node{Address: node.ServeREST(t, cert), Rune: runeText, CA: pem}, nil)
}

const noCancel = "Core Lightning deletes invoices and knows no canceled ones"

func TestConformanceSocket(t *testing.T) {
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest,
		Cannot: map[wallettest.Ability]string{
			wallettest.Cancel:       noCancel,
			wallettest.Unauthorized: "the socket knows no credential",
		},
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			node := clntest.New(t, wallets.Regtest)
			return subject(openSocket(t, env, node), node)
		},
	})
}

func TestConformanceREST(t *testing.T) {
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest,
		Cannot:  map[wallettest.Ability]string{wallettest.Cancel: noCancel},
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			node := clntest.New(t, wallets.Regtest)
			text := node.Rune(append([]string{"xpay", "listpays"}, gateMethods...)...)
			s := subject(openREST(t, env, node, text), node)
			s.Secrets = []string{text}
			return s
		},
	})
}

func subject(c *Client, node *clntest.Node) *wallettest.Subject {
	return &wallettest.Subject{
		Wallet: c, Pay: node.Pay, Expire: node.Expire, Payable: node.Payable,
		Fault: func(_ testing.TB, f wallettest.Fault) { node.Inflict(f) },
	}
}
