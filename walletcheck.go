package caddyl402

import (
	"errors"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/books"
	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/internal/walletcheck"
)

// LendStorage gives the declared wallets to a command that tries them out. They have Caddy's
// storage until giveBack, which closes them; no settlement is listened for. The app must be
// provisioned and not started.
func (a *App) LendStorage() (list []walletcheck.Declared, giveBack func() error) {
	hosts := make(map[*cashier.Cashier]*cashier.Host)
	// The ledger is opened for the wallets that keep money in it and for no others: this process
	// becomes one of its instances then.
	lender := &books.Host{Storage: a.ctx.Storage(), Logger: a.logger.Named("ledger"), Instance: instanceID()}
	attach := sync.OnceFunc(func() {
		if err := a.books.Attach(lender); err != nil {
			a.logger.Warn("storage does not work", zap.Error(err))
		}
	})
	for name, w := range a.open {
		d := walletcheck.Declared{
			Name: name, Adapter: adapterOf(w.guest), Network: w.guest.Network(), Default: name == a.DefaultWallet,
		}
		if w.cashier != nil {
			d.Wallet = w.cashier.Wallet()
			if hosts[w.cashier] == nil { // two names may stand for one wallet
				host := a.host(name, w.guest)
				host.Quiet, host.Settled, host.Called = true, nil, nil
				host.Strongroom = func() cashier.Strongroom {
					attach()
					return a.strongroom()
				}
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
		return errors.Join(append(errs, a.books.Detach(lender))...)
	}
}
