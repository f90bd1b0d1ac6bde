package wallets_test

import (
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil/bech32"

	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// issue makes an invoice.
func issue(t testing.TB, n *wallettest.Node, terms wallettest.Terms) *wallettest.Issued {
	t.Helper()
	out, err := n.Issue(terms)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// withPrefix puts another human-readable part before the data, with a right checksum. The
// signature is then another's, as the payee is recovered from it.
func withPrefix(t testing.TB, invoice, hrp string) string {
	t.Helper()
	_, data, err := bech32.DecodeNoLimit(invoice)
	if err != nil {
		t.Fatal(err)
	}
	out, err := bech32.Encode(hrp, data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var epoch = time.Unix(1_750_000_000, 0)
