package cashu

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

const words = "half depart obvious quality work element tank gorilla view sugar picture humble"

// provision makes a Mint for a double, after change.
func provision(t testing.TB, url string, change func(*Mint)) *Mint {
	t.Helper()
	m := &Mint{MintURL: url, NetworkName: "regtest", Timeout: caddy.Duration(5 * time.Second)}
	if change != nil {
		change(m)
	}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return m
}

// open opens a wallet that works quickly.
func open(t testing.TB, env wallets.Env, m *Mint) *Wallet {
	t.Helper()
	opened, err := m.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	w := opened.(*Wallet)
	w.every = 50 * time.Millisecond
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return w
}

// fund puts ecash into a wallet's purse.
func fund(t testing.TB, w *Wallet, double *minttest.Mint, amounts ...uint64) {
	t.Helper()
	p, err := w.Purse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Receive(t.Context(), double.Token(t, amounts...), terms); err != nil {
		t.Fatal(err)
	}
}

// inflict plays a fault of the suite at every path. The keys stay, since a wallet asks for those
// rarely.
func inflict(t testing.TB, double *minttest.Mint, f wallettest.Fault) {
	t.Helper()
	double.Repair()
	kinds := map[wallettest.Ability]minttest.Kind{
		wallettest.Slow: minttest.Slow, wallettest.Hang: minttest.Hang, wallettest.Garbage: minttest.Garbage,
		wallettest.Huge: minttest.Huge, wallettest.Disconnect: minttest.Truncate,
		wallettest.ServerError: minttest.Unavailable, wallettest.WrongAmount: minttest.WrongAmount,
		wallettest.WrongNetwork: minttest.WrongNetwork, wallettest.DuplicateHash: minttest.SameInvoice,
	}
	kind, ok := kinds[f.Kind]
	switch {
	case f.Kind == wallettest.None:
		return
	case !ok:
		t.Fatalf("the double cannot play %s", f.Kind)
	}
	double.Break(minttest.Fault{Kind: kind, Delay: f.Delay})
	if f.Kind == wallettest.Disconnect {
		double.Cut()
	}
}

func conformance(t *testing.T, o minttest.Options, cannot map[wallettest.Ability]string) {
	all := map[wallettest.Ability]string{
		wallettest.Preimage:     "a mint does not tell the preimages of its invoices",
		wallettest.Cancel:       "mint quotes cannot be canceled",
		wallettest.WrongHash:    "a mint quote names no payment hash beside the invoice",
		wallettest.Unauthorized: "a mint knows no credentials",
		wallettest.Order:        "what is paid is asked for one invoice after the other",
	}
	for ability, reason := range cannot {
		all[ability] = reason
	}
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest, Cannot: all,
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			double := minttest.New(t, o)
			w := open(t, env, provision(t, double.URL, func(m *Mint) { m.Unit, m.Seed = o.Unit, words }))
			var ahead atomic.Int64
			w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			if strings.Contains(t.Name(), "outgoing") {
				fund(t, w, double, 1024, 1024, 64, 8192, 16384)
			}
			return &wallettest.Subject{
				Wallet: w,
				Pay:    func(t testing.TB, invoice string) { double.Pay(t, invoice) },
				// The mint does not tell of expiry, so the wallet's clock decides.
				Expire: func(testing.TB, string) { ahead.Store(int64(time.Hour + time.Minute)) },
				Payable: func(t testing.TB, amount lnwire.MilliSatoshi) string {
					if o.Unit == "msat" {
						return double.Invoice(t, uint64(amount))
					}
					return double.Invoice(t, uint64(amount/1000))
				},
				Fault:   func(t testing.TB, f wallettest.Fault) { inflict(t, double, f) },
				Secrets: []string{words, fmt.Sprintf("%.30s", words)},
			}
		},
	})
}

func TestConformanceSocket(t *testing.T) {
	conformance(t, minttest.Options{Unit: "sat", Socket: true, Description: true, FeePPK: 100, FeeReserve: 2},
		map[wallettest.Ability]string{wallettest.Millisatoshi: "the mint is one of satoshis"})
}

func TestConformancePolling(t *testing.T) {
	conformance(t, minttest.Options{Unit: "msat"},
		map[wallettest.Ability]string{wallettest.Memo: "the mint's invoices have no description of ours"})
}
