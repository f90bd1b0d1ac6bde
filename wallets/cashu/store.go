package cashu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// seedName is what generated words are kept under. The wallets at all mints have them in common;
// NUT-13 gives each keyset secrets of its own.
const seedName = "wallets"

// store is a Vault as a purse sees it. It is safe for concurrent use.
type store struct{ vault wallets.Vault }

// PutDurable implements purse.Store.
func (s store) PutDurable(ctx context.Context, kind, id string, value []byte) error {
	return s.vault.PutDurable(ctx, kind, id, value)
}

// GetDurable implements purse.Store.
func (s store) GetDurable(ctx context.Context, kind, id string) ([]byte, error) {
	b, err := s.vault.GetDurable(ctx, kind, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", purse.ErrNotFound, err)
	}
	return b, err
}

// ListDurable implements purse.Store.
func (s store) ListDurable(ctx context.Context, kind string) ([]purse.Durable, error) {
	list, err := s.vault.ListDurable(ctx, kind)
	if err != nil {
		return nil, err
	}
	out := make([]purse.Durable, len(list))
	for i, d := range list {
		out[i] = purse.Durable{ID: d.ID, Value: d.Value}
	}
	return out, nil
}

// DeleteDurable implements purse.Store.
func (s store) DeleteDurable(ctx context.Context, kind, id string) error {
	return s.vault.DeleteDurable(ctx, kind, id)
}

// Purse gives the purse with the wallet's ecash, for what is done with it besides selling. It is
// opened at the first call; errors wrap purse.ErrStore.
func (w *Wallet) Purse(ctx context.Context) (*purse.Purse, error) {
	if p := w.purse.Load(); p != nil {
		return p, nil
	}
	select {
	case w.opening <- struct{}{}:
		defer func() { <-w.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p := w.purse.Load(); p != nil {
		return p, nil
	}
	p, err := w.openPurse(ctx)
	if err != nil {
		return nil, err
	}
	w.purse.Store(p)
	return p, nil
}

func (w *Wallet) openPurse(ctx context.Context) (*purse.Purse, error) {
	words := w.set.seed
	if words == "" {
		var err error
		if words, err = Seed(ctx, w.vault); err != nil {
			return nil, err
		}
	}
	seed, err := ecash.NewSeed(words)
	if err != nil {
		return nil, err
	}
	opts := purse.Options{
		Mint: w.mint, Unit: w.set.unit, Store: store{w.vault}, Seed: seed, Name: w.set.name(),
		Instance: w.vault.Instance(), Network: w.set.network, Grace: grace, Paid: w.settled, Now: w.now,
	}
	if opts.Instance != "" {
		opts.Lock = func(ctx context.Context, name string) (func(), error) { return w.vault.Lock(ctx, name) }
		if err := w.enroll(ctx, opts.Instance); err != nil {
			return nil, err
		}
	}
	return purse.Open(ctx, opts)
}

// instances is the kind of the values that name the servers with records of this purse.
func (w *Wallet) instances() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{w.set.url, w.set.unit, w.set.name()}, "\x00")))
	return "cashuwhere" + hex.EncodeToString(sum[:10])
}

// enroll notes that a server has records of this purse.
func (w *Wallet) enroll(ctx context.Context, instance string) error {
	kind := w.instances()
	_, err := w.vault.GetDurable(ctx, kind, instance)
	if errors.Is(err, fs.ErrNotExist) {
		err = w.vault.PutDurable(ctx, kind, instance, []byte("enrolled"))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", purse.ErrStore, err)
	}
	return nil
}

// elsewhere looks for an invoice that another server made.
func (w *Wallet) elsewhere(ctx context.Context, p *purse.Purse, hash [32]byte) (*purse.Invoice, error) {
	own := w.vault.Instance()
	if own == "" {
		return nil, purse.ErrNotFound
	}
	list, err := w.vault.ListDurable(ctx, w.instances())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", purse.ErrStore, err)
	}
	list = slices.DeleteFunc(list, func(d wallets.Durable) bool { return d.ID == own })
	for _, d := range list {
		inv, err := p.Look(ctx, d.ID, hash)
		if !errors.Is(err, purse.ErrNotFound) {
			return inv, err
		}
	}
	return nil, purse.ErrNotFound
}

// Interface guards.
var _ purse.Store = store{}

// Seed gives the words that the vault keeps for the wallets without a seed of their own, and makes
// them where there are none. Whoever has them has the money.
func Seed(ctx context.Context, vault wallets.Vault) (string, error) {
	unlock, err := vault.Lock(ctx, "cashu-seed")
	if err != nil {
		return "", fmt.Errorf("%w: %w", purse.ErrStore, err)
	}
	defer unlock()
	return purse.LoadSeed(ctx, store{vault}, seedName)
}
