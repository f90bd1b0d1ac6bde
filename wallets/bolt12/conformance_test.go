package bolt12

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln"
	"github.com/caddy-l402/caddy-l402/wallets/cln/clntest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// TestMain finds goroutines that outlive their wallets.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a wallet for the offer at a node.
func open(t testing.TB, env wallets.Env, offer string, node *cln.Node, fetchTimeout time.Duration) *Wallet {
	t.Helper()
	node.NetworkName, node.Timeout = "regtest", caddy.Duration(30*time.Second)
	g := &Guest{Offer: offer, CLN: node, FetchTimeout: caddy.Duration(fetchTimeout)}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	opened, err := g.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	w := opened.(*Wallet)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return w
}

func overREST(t testing.TB, node *clntest.Node, runeText string) *cln.Node {
	t.Helper()
	cert, pem, _ := clntest.NewCertificate(t)
	return &cln.Node{Address: node.ServeREST(t, cert), Rune: runeText, CA: pem}
}

func cannot(more map[wallettest.Ability]string) map[wallettest.Ability]string {
	out := map[wallettest.Ability]string{
		wallettest.Cancel:    "Core Lightning deletes invoices and knows no canceled ones",
		wallettest.Memo:      "the description is the offer's",
		wallettest.WrongHash: "fetchinvoice names no hash beside the invoice",
	}
	for a, reason := range more {
		out[a] = reason
	}
	return out
}

func subject(w *Wallet, node *clntest.Node, secrets ...string) *wallettest.Subject {
	return &wallettest.Subject{
		Wallet: w, Pay: node.Pay, Expire: node.Expire, Secrets: secrets,
		Fault: func(_ testing.TB, f wallettest.Fault) { node.Inflict(f) },
	}
}

func TestConformanceSocket(t *testing.T) {
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest,
		Cannot:  cannot(map[wallettest.Ability]string{wallettest.Unauthorized: "the socket knows no credential"}),
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			node := clntest.New(t, wallets.Regtest)
			offer := node.AddOffer(t)
			return subject(open(t, env, offer.Text, &cln.Node{Address: node.ServeSocket(t)}, 0), node)
		},
	})
}

func TestConformanceREST(t *testing.T) {
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest,
		Cannot:  cannot(nil),
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			node := clntest.New(t, wallets.Regtest)
			offer := node.AddOffer(t)
			text := node.Rune("fetchinvoice", "listinvoices", "waitanyinvoice")
			return subject(open(t, env, offer.Text, overREST(t, node, text), 0), node, text)
		},
	})
}
