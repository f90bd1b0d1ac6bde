package phoenixd

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
			wallettest.Millisatoshi: "phoenixd takes amounts in satoshi only",
			wallettest.Memo:         "phoenixd takes no more than 128 characters; TestMemo has the shorter ones",
			wallettest.Cancel:       "phoenixd has no call that cancels an invoice",
		},
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			p := newDaemon(t)
			return &wallettest.Subject{
				Wallet:  p.open(t, env, fullPassword),
				Pay:     p.receive,
				Expire:  p.expire,
				Payable: p.foreign,
				Fault:   p.Inflict,
				Secrets: []string{fullPassword, base64.StdEncoding.EncodeToString([]byte(":" + fullPassword))},
			}
		},
	})
}
