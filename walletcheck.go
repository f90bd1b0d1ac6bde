package caddyl402

import (
	"errors"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/internal/walletcheck"
)

// LendStorage gives the declared wallets to a command that tries them out. They have Caddy's
// storage until giveBack, which closes them; no settlement is listened for. The app must be
// provisioned and not started.
func (a *App) LendStorage() (list []walletcheck.Declared, giveBack func() error) {
	hosts := make(map[*cashier.Cashier]*cashier.Host)
	for name, w := range a.open {
		d := walletcheck.Declared{
			Name: name, Adapter: adapterOf(w.guest), Network: w.guest.Network(), Default: name == a.DefaultWallet,
		}
		if w.cashier != nil {
			d.Wallet = w.cashier.Wallet()
			if hosts[w.cashier] == nil { // two names may stand for one wallet
				host := a.host(name, w.guest)
				host.Quiet, host.Settled, host.Called = true, nil, nil
				hosts[w.cashier] = host
				w.cashier.Attach(host)
			}
		}
		list = append(list, d)
	}
	return list, func() error {
		var errs []error
		for c, host := range hosts {
			errs = append(errs, c.Close())
			c.Detach(host)
		}
		return errors.Join(errs...)
	}
}
