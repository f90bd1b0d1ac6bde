package caddyl402

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/purses"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// purseFacts is a purse that this instance looks after: one with ecash that payers sent, or that of a
// wallet.
type purseFacts struct {
	purses.Info
	// Wallet is the name of the wallet whose purse it is, or empty.
	Wallet string
}

// purseWallet is a wallet that keeps its money in a purse.
type purseWallet interface {
	Purse(ctx context.Context) (*purse.Purse, error)
}

// openPurses is allPurses for a person who asks: it waits for the purses of a server that has just
// started, since one that is not open yet would seem to be lost.
func (a *App) openPurses(ctx context.Context) ([]purseFacts, error) {
	if a.till != nil {
		ctx, cancel := context.WithTimeout(ctx, openPatience)
		defer cancel()
		if err := a.till.house.Ready(ctx); err != nil {
			return nil, adminError(http.StatusServiceUnavailable, fmt.Errorf("%w: the storage does not work yet, or the "+
				"seat of an instance that died is still its own; ask again in half a minute", err))
		}
	}
	return a.allPurses(), nil
}

// openPatience bounds how long a person waits for the purses to be open.
const openPatience = 20 * time.Second

// pursePatience bounds the opening of a wallet's purse.
const pursePatience = 5 * time.Second

// house has the purses of the storage.
func (a *App) house() *purses.House { return purses.For(a.ctx.Storage()) }

// mints are the mints whose ecash is taken, and units what it is in.
func (a *App) mints() []string {
	if a.till == nil {
		return nil
	}
	return a.till.mints
}

func (a *App) units() []string { return []string{a.till.unit} }

// ecashNetwork is the chain of the mints' invoices.
func (a *App) ecashNetwork() wallets.Network {
	if w := a.open[a.DefaultWallet]; w != nil {
		return w.guest.Network()
	}
	return wallets.Mainnet
}

// allPurses lists the purses that this instance looks after. A wallet's purse that cannot be opened is
// left out.
func (a *App) allPurses() []purseFacts {
	house := a.house()
	var out []purseFacts
	for _, info := range house.All() {
		out = append(out, purseFacts{Info: info})
	}
	seen := make(map[*purse.Purse]bool) // two names may stand for one wallet
	for _, name := range slices.Sorted(maps.Keys(a.open)) {
		w := a.open[name]
		if w.cashier == nil {
			continue
		}
		with, ok := w.cashier.Wallet().(purseWallet)
		if !ok {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), pursePatience)
		p, err := with.Purse(ctx)
		cancel()
		if err != nil || seen[p] {
			continue
		}
		seen[p] = true
		out = append(out, purseFacts{Wallet: name, Info: purses.Info{
			Key: purses.Key{Mint: p.MintURL(), Unit: p.Unit()}, Own: true, Named: true,
			Balance: p.Balance(), Purse: p, Store: house.Store(),
		}})
	}
	return out
}

// id names the purse in the storage, and group what only one instance redeems at a time.
func (p *purseFacts) id() string {
	if p.Wallet != "" {
		return purseID("wallet", p.Mint, p.Unit, p.Wallet, instanceID())
	}
	return purseID("seat", p.Mint, p.Unit, p.Name, fmt.Sprint(p.Seat))
}

func (p *purseFacts) group() string { return purseID(p.Mint, p.Unit, p.Name, p.Wallet) }

// lockStorage excludes the other instances on the storage, and whoever else in this one asks for the
// name, until unlock is called.
func (a *App) lockStorage(ctx context.Context, name string) (unlock func(), err error) {
	storage := a.ctx.Storage()
	name = "l402-cashu-" + name
	if err := storage.Lock(ctx, name); err != nil {
		return nil, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pursePatience)
		defer cancel()
		if err := storage.Unlock(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			// It ends by itself when nobody renews it.
			a.logger.Debug("a lock of the storage was not given back")
		}
	}, nil
}
