package lnurl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// patternName is where the pattern is stored. Addresses without one are in lists by the
	// first byte of their hash: 256 objects at most, since there is no way to delete one.
	patternName = "verify-pattern"
	listName    = "verify-%02x"
	// maxListed is how many addresses a list keeps; the oldest is dropped. It makes room for
	// 16,384 at a payee.
	maxListed = 64
	// maxStored bounds an address in storage, in bytes.
	maxStored = 512
	// storeTimeout bounds what a slow storage can add to a look-up.
	storeTimeout = 2 * time.Second

	// What unpaid invoices may cause to be stored, for each payee.
	writesPerSecond = 1
	writesAtOnce    = 32
)

// listed is an address in storage.
type listed struct {
	Hash    string `json:"hash"`
	Address string `json:"address"`
}

// storedPattern is the pattern in storage.
type storedPattern struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

func nameOfList(hash lntypes.Hash) string { return fmt.Sprintf(listName, hash[0]) }

// addressOf finds the verify address of an invoice: in memory, by the pattern, in storage.
func (w *Wallet) addressOf(ctx context.Context, hash lntypes.Hash, entry *pending) (string, error) {
	if entry != nil {
		if address := entry.address(hash); address != "" {
			return address, nil
		}
		return "", fmt.Errorf("%w: the payee's server gave no address for it (LUD-21)", wallets.ErrLookupUnsupported)
	}
	if p := w.confirmedPattern(); p != nil {
		return p.address(hash), nil
	}
	list, err := w.loadList(ctx, hash)
	if err != nil {
		return "", err
	}
	for _, l := range list {
		if l.Hash == hash.String() {
			return w.storedAddress(l.Address)
		}
	}
	p, err := w.loadPattern(ctx)
	if err != nil {
		return "", err
	}
	if p != nil {
		return w.storedAddress(p.address(hash))
	}
	w.mu.Lock()
	verifies := w.known.verifies
	w.mu.Unlock()
	if verifies {
		return "", wallets.ErrNotFound
	}
	return "", fmt.Errorf("%w: no address is known that would tell (LUD-21)", wallets.ErrLookupUnsupported)
}

func (w *Wallet) confirmedPattern() *pattern {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.known.confirmed {
		return nil
	}
	return w.known.pattern
}

// storedAddress checks an address from storage as one from the server, since the settings may have
// changed and storage may be shared.
func (w *Wallet) storedAddress(text string) (string, error) {
	u, err := w.rules.parse(text)
	if err != nil {
		return "", fmt.Errorf("%w: the stored address: %w", wallets.ErrUnavailable, err)
	}
	return u.String(), nil
}

// load reads a stored value into v and tells whether there is one.
func (w *Wallet) load(ctx context.Context, name string, v any) (bool, error) {
	data, err := w.env.Load(ctx, name)
	switch {
	case err == nil && json.Unmarshal(data, v) != nil:
		// Written by something else; it will be written anew.
		return false, nil
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	return false, fmt.Errorf("%w: %w", wallets.ErrUnavailable, err)
}

func (w *Wallet) loadList(ctx context.Context, hash lntypes.Hash) ([]listed, error) {
	var list []listed
	_, err := w.load(ctx, nameOfList(hash), &list)
	return list, err
}

// loadPattern reads the stored pattern, if there is one, and learns it where none is known.
func (w *Wallet) loadPattern(ctx context.Context) (*pattern, error) {
	var stored storedPattern
	found, err := w.load(ctx, patternName, &stored)
	if err != nil || !found || stored.Before == "" {
		return nil, err
	}
	p := &pattern{stored.Before, stored.After}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known.stored = *p
	if w.known.pattern == nil {
		w.known.pattern, w.known.confirmed, w.known.verifies = p, true, true
	}
	return p, nil
}

// keep makes sure that the address of an invoice outlives the process. It is called after the
// address gave a valid answer about the invoice. What fails is tried again at the next look-up.
func (w *Wallet) keep(ctx context.Context, hash lntypes.Hash, entry *pending, settled bool) {
	if entry.stored.Load() {
		return
	}
	// A payment pays for what it writes.
	if !w.writes.Allow() && !settled {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := w.store(ctx, hash, entry); err != nil {
		w.env.Logger().Warn("the address for looking a payment up is not stored; after a restart its payer "+
			"needs the preimage", zap.String("payee", w.target.name), zap.Error(err))
		return
	}
	entry.stored.Store(true)
}

func (w *Wallet) store(ctx context.Context, hash lntypes.Hash, entry *pending) error {
	select {
	case w.storing <- struct{}{}:
		defer func() { <-w.storing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	w.mu.Lock()
	p, done := w.known.pattern, false
	followed := entry.pattern != nil && w.known.confirmed && *entry.pattern == *p
	if followed {
		done = w.known.stored == *p
	}
	w.mu.Unlock()
	if done {
		return nil
	}
	if !followed {
		return w.storeAddress(ctx, hash, entry.address(hash))
	}
	data, err := json.Marshal(storedPattern{p.before, p.after})
	if err != nil {
		return err
	}
	if err := w.env.Store(ctx, patternName, data); err != nil {
		return err
	}
	w.mu.Lock()
	w.known.stored = *p
	w.mu.Unlock()
	return nil
}

// storeAddress adds an address to its list. Two instances that do so at the same moment may lose
// one of the two; its payer then needs the preimage after a restart.
func (w *Wallet) storeAddress(ctx context.Context, hash lntypes.Hash, address string) error {
	if len(address) > maxStored {
		return fmt.Errorf("it has %d bytes, more than %d", len(address), maxStored)
	}
	list, err := w.loadList(ctx, hash)
	if err != nil {
		return err
	}
	for _, l := range list {
		if l.Hash == hash.String() {
			return nil
		}
	}
	list = append(list, listed{hash.String(), address})
	if len(list) > maxListed {
		list = list[len(list)-maxListed:]
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return w.env.Store(ctx, nameOfList(hash), data)
}
