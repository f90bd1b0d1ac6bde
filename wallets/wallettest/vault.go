package wallettest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// PutDurable implements wallets.Vault.
func (e *Env) PutDurable(ctx context.Context, kind, id string, value []byte) error {
	if err := e.readyDurable(ctx, "storing", kind, id); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(value) > 1<<20 {
		return fmt.Errorf("storing %s: %d bytes", kind, len(value))
	}
	if e.durables[kind] == nil {
		e.durables[kind] = make(map[string][]byte)
	}
	e.durables[kind][id] = bytes.Clone(value)
	e.stores++
	return nil
}

// GetDurable implements wallets.Vault.
func (e *Env) GetDurable(ctx context.Context, kind, id string) ([]byte, error) {
	if err := e.readyDurable(ctx, "reading", kind, id); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.durables[kind][id]
	if !ok {
		return nil, fmt.Errorf("reading %s: %w", kind, fs.ErrNotExist)
	}
	return bytes.Clone(v), nil
}

// ListDurable implements wallets.Vault.
func (e *Env) ListDurable(ctx context.Context, kind string) ([]wallets.Durable, error) {
	if err := e.readyDurable(ctx, "listing", kind, "x"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []wallets.Durable
	for _, id := range slices.Sorted(maps.Keys(e.durables[kind])) {
		out = append(out, wallets.Durable{ID: id, Value: bytes.Clone(e.durables[kind][id])})
	}
	return out, nil
}

// DeleteDurable implements wallets.Vault.
func (e *Env) DeleteDurable(ctx context.Context, kind, id string) error {
	if err := e.readyDurable(ctx, "deleting", kind, id); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.durables[kind], id)
	return nil
}

// Durables is how many durable values of all kinds there are.
func (e *Env) Durables() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, values := range e.durables {
		n += len(values)
	}
	return n
}

// Lock implements wallets.Vault.
func (e *Env) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := e.ready(ctx, "locking", name); err != nil {
		return nil, err
	}
	e.mu.Lock()
	if e.locks[name] == nil {
		e.locks[name] = make(chan struct{}, 1)
	}
	lock := e.locks[name]
	e.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("locking %s: %w", name, ctx.Err())
	}
}

// Instance implements wallets.Vault.
func (e *Env) Instance() string { return "instance" }

// readyDurable holds kinds to letters and digits, as the ledger does.
func (e *Env) readyDurable(ctx context.Context, step, kind, id string) error {
	if len(kind) > 32 || id == "" || len(id) > 80 {
		return fmt.Errorf("%s %q: a kind of up to 32 and an id of up to 80 bytes are needed", step, kind)
	}
	return e.ready(ctx, step, kind)
}
