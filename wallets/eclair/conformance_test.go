package eclair

import (
	"encoding/base64"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestConformance(t *testing.T) {
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest,
		Cannot: map[wallettest.Ability]string{
			wallettest.Cancel: "Eclair deletes invoices and knows no canceled ones",
		},
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			n := newNode(t)
			return &wallettest.Subject{
				Wallet:  n.open(t, env),
				Pay:     n.receive,
				Expire:  n.expire,
				Payable: n.foreign,
				Fault:   n.Inflict,
				Secrets: []string{password, base64.StdEncoding.EncodeToString([]byte(":" + password))},
			}
		},
	})
}
