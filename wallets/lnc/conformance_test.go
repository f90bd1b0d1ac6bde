package lnc

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// allRights are what all methods of the wallet take.
var allRights = append(append([]string(nil), lndtest.PayerRights...), lndtest.InvoiceRights...)

// guest makes the Session for a peer.
func (p *peer) guest(t testing.TB) *Session {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "mailbox.pem")
	if err := os.WriteFile(ca, p.mail.cert.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Session{
		PairingPhrase: p.phrase, Mailbox: p.mail.address, MailboxCA: ca,
		NetworkName: "regtest", Timeout: caddy.Duration(15 * time.Second),
	}
	if err := s.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// open makes a wallet for a peer, which waits longer for its connection than usual.
func (p *peer) open(t testing.TB, env wallets.Env) *Wallet {
	t.Helper()
	w, err := p.guest(t).Open(env)
	if err != nil {
		t.Fatal(err)
	}
	wallet := w.(*Wallet)
	wallet.session.patience = 25 * time.Second
	t.Cleanup(func() { _ = wallet.Close() })
	return wallet
}

func TestConformance(t *testing.T) {
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest,
		// A first pairing computes scrypt on both sides, which the race detector slows down.
		Patience: 40 * time.Second,
		// The library for the mailbox never stops one of the two tickers of a connection.
		LeakExempt: []string{"github.com/lightninglabs/lightning-node-connect/gbn.(*IntervalAwareForceTicker).start.func1"},
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			p := newPeer(t, allRights)
			return &wallettest.Subject{
				Wallet: p.open(t, env),
				Pay:    p.node.Pay, Expire: p.node.Expire, Cancel: p.node.Cancel, Payable: p.node.Payable,
				Fault: func(_ testing.TB, f wallettest.Fault) {
					p.node.Inflict(f)
					if f.Kind == wallettest.Disconnect {
						p.hangUp()
					}
				},
				Secrets: []string{p.phrase, string(p.macaroon), hex.EncodeToString(p.macaroon)},
			}
		},
	})
}
