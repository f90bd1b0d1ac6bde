package lnbits

import (
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// TestConformance runs against a server whose site has no title, since that stands in for an empty
// memo; TestTitle has the other case.
func TestConformance(t *testing.T) {
	for name, private := range map[string]bool{"public": false, "private": true} {
		t.Run(name, func(t *testing.T) {
			wallettest.Run(t, wallettest.Harness{
				Network: wallets.Regtest,
				Cannot: map[wallettest.Ability]string{
					wallettest.Millisatoshi: "LNbits cuts amounts to whole satoshis",
				},
				Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
					s := newServer(t)
					s.knows = private
					return &wallettest.Subject{
						Wallet:  s.open(t, env, adminKey, private),
						Pay:     s.settle,
						Expire:  s.set(func(p *row) { p.expiry = time.Now().Add(-time.Second) }),
						Cancel:  s.set(func(p *row) { p.status = stateFailed }),
						Payable: s.foreign,
						Fault:   s.Inflict,
						Secrets: []string{adminKey},
					}
				},
			})
		})
	}
}
