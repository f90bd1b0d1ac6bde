package lnurl

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnurl/lnurltest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// open opens a wallet for a server's user, after change.
func open(t testing.TB, env wallets.Env, server *lnurltest.Server, change func(*Payee)) *Wallet {
	t.Helper()
	p := &Payee{
		Address: server.URL("shop"), NetworkName: "regtest", AllowPrivate: true,
		Timeout: caddy.Duration(5 * time.Second),
	}
	if server.CA() != "" {
		p.CA = server.CA()
	}
	if change != nil {
		change(p)
	}
	return openPayee(t, env, p)
}

func openPayee(t testing.TB, env wallets.Env, p *Payee) *Wallet {
	t.Helper()
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	opened, err := p.Open(env)
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

// secretWord stands in the address as the words do by which some servers know their users.
const secretWord = "k-0123456789secret"

func conformance(t *testing.T, o lnurltest.Options, cannot map[wallettest.Ability]string) {
	all := map[wallettest.Ability]string{
		wallettest.Memo:      "the description of LNURL's invoices is the payee's metadata",
		wallettest.Cancel:    "LNURL knows no canceled invoices",
		wallettest.WrongHash: "the callback's answer names no payment hash beside the invoice",
	}
	for ability, reason := range cannot {
		all[ability] = reason
	}
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest, Cannot: all, MinAmount: lnwire.MilliSatoshi(o.Min),
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			server := lnurltest.New(t, wallets.Regtest, o)
			w := open(t, env, server, func(p *Payee) { p.Address += "?key=" + secretWord })
			var ahead atomic.Int64
			w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			return &wallettest.Subject{
				Wallet: w,
				Pay:    func(t testing.TB, invoice string) { server.Pay(t, invoice) },
				// The server does not tell of expiry, so the wallet's clock decides.
				Expire:  func(testing.TB, string) { ahead.Store(int64(2 * time.Hour)) },
				Fault:   func(_ testing.TB, f wallettest.Fault) { server.Inflict(f) },
				Secrets: []string{secretWord},
			}
		},
	})
}

func TestConformance(t *testing.T) {
	conformance(t, lnurltest.Options{}, nil)
}

func TestConformanceRandomVerifyNoPreimage(t *testing.T) {
	conformance(t, lnurltest.Options{Verify: lnurltest.VerifyRandom, NoPreimage: true, Min: 1500},
		map[wallettest.Ability]string{wallettest.Preimage: "the server does not tell preimages"})
}

func TestConformanceWithoutVerify(t *testing.T) {
	conformance(t, lnurltest.Options{Verify: lnurltest.VerifyNone},
		map[wallettest.Ability]string{
			wallettest.Lookup:   "the server does not have LUD-21",
			wallettest.Preimage: "without look-up there is no preimage",
		})
}
