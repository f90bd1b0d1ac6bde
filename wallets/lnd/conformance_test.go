package lnd

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

// rig is a wallet with its node, files and all.
type rig struct {
	node   *lndtest.Node
	cert   *lndtest.Certificate
	server *lndtest.Server
	dir    string
	guest  *Node
	wallet *Wallet
}

func (r *rig) certPath() string     { return filepath.Join(r.dir, "tls.cert") }
func (r *rig) macaroonPath() string { return filepath.Join(r.dir, "some.macaroon") }

// newRig starts a node and opens a wallet on it that has the rights. change may alter the guest
// before it is provisioned.
func newRig(t testing.TB, env wallets.Env, rights []string, change func(*rig)) *rig {
	t.Helper()
	r := &rig{
		node: lndtest.New(t, wallets.Regtest),
		cert: lndtest.NewCertificate(t, "some.node", time.Now().Add(time.Hour)),
		dir:  t.TempDir(),
	}
	r.server = r.node.Serve(t, r.cert, "")
	write(t, r.certPath(), r.cert.PEM)
	write(t, r.macaroonPath(), r.node.Bake(t, rights))
	r.guest = &Node{
		Address: r.server.Address, Macaroon: r.macaroonPath(), TLSCert: r.certPath(),
		NetworkName: "regtest", Timeout: caddy.Duration(5 * time.Second),
	}
	if change != nil {
		change(r)
	}
	if err := r.guest.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w, err := r.guest.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	r.wallet = w.(*Wallet)
	t.Cleanup(func() {
		if err := r.wallet.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return r
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	wallettest.Run(t, wallettest.Harness{
		Network: wallets.Regtest,
		Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
			rights := append(lndtest.PayerRights, lndtest.InvoiceRights...)
			r := newRig(t, env, rights, nil)
			mac, err := os.ReadFile(r.macaroonPath())
			if err != nil {
				t.Fatal(err)
			}
			return &wallettest.Subject{
				Wallet: r.wallet,
				Pay:    r.node.Pay, Expire: r.node.Expire, Cancel: r.node.Cancel, Payable: r.node.Payable,
				Fault:   func(_ testing.TB, f wallettest.Fault) { r.node.Inflict(f) },
				Secrets: []string{string(mac), hex.EncodeToString(mac)},
			}
		},
	})
}
