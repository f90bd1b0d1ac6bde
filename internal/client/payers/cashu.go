package payers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/client/localpurse"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// purseWait is how long another process may have the purse: it may be paying.
const purseWait = 2 * time.Minute

// openCashu opens the ecash of a mint in the user's own purse. Servers that ask for ecash get it, and
// Lightning invoices are paid by the mint.
func openCashu(ctx context.Context, spec Spec) (*Opened, error) {
	folder := localpurse.DefaultPath()
	want := localpurse.Spec{Mint: spec.Address}
	for name := range spec.Settings {
		value := spec.Settings.Get(name)
		switch name {
		case "purse":
			folder = value
		case "unit":
			want.Unit = value
		case "network":
			network, err := wallets.ParseNetwork(value)
			if err != nil {
				return nil, err
			}
			want.Network = network
		default:
			return nil, fmt.Errorf("it has no setting %.40q: use purse, unit or network", name)
		}
	}
	if folder == "" {
		return nil, errors.New("its setting purse is empty: name a folder, or leave it out")
	}
	waiting, cancel := context.WithTimeout(ctx, purseWait)
	defer cancel()
	f, err := localpurse.Open(waiting, folder)
	if err != nil {
		return nil, err
	}
	if want, err = f.Find(ctx, want); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	m, err := f.Mint(ctx, want)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Opened{
		Wallet: client.Wallet{Payer: m, Network: m.Spec.Network}, Ecash: m,
		Closer: closerFunc(func() error { return errors.Join(m.Close(), f.Close()) }),
		Name:   "the ecash of " + m.Spec.Mint,
	}, nil
}
