package cashier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// unlockTimeout bounds the call that gives a lock back.
const unlockTimeout = 10 * time.Second

// Strongroom is where values that stand for money are kept: a *ledger.Ledger.
type Strongroom interface {
	PutDurable(ctx context.Context, kind, id string, value []byte) error
	GetDurable(ctx context.Context, kind, id string) (ledger.Durable, error)
	ListDurable(ctx context.Context, kind string) ([]ledger.Durable, error)
	DeleteDurable(ctx context.Context, kind, id string) error
}

// strongroom is that of the configuration, or an error while it is not open.
func (e *env) strongroom() (Strongroom, error) {
	h := e.host()
	if h.Strongroom == nil {
		return nil, errNoHost
	}
	s := h.Strongroom()
	if s == nil {
		return nil, errors.New("no storage: the ledger is not open")
	}
	return s, nil
}

// PutDurable implements wallets.Vault.
func (e *env) PutDurable(ctx context.Context, kind, id string, value []byte) error {
	s, err := e.strongroom()
	if err != nil {
		return err
	}
	return s.PutDurable(ctx, kind, id, value)
}

// GetDurable implements wallets.Vault.
func (e *env) GetDurable(ctx context.Context, kind, id string) ([]byte, error) {
	s, err := e.strongroom()
	if err != nil {
		return nil, err
	}
	d, err := s.GetDurable(ctx, kind, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return d.Value, err
}

// ListDurable implements wallets.Vault.
func (e *env) ListDurable(ctx context.Context, kind string) ([]wallets.Durable, error) {
	s, err := e.strongroom()
	if err != nil {
		return nil, err
	}
	list, err := s.ListDurable(ctx, kind)
	if err != nil {
		return nil, err
	}
	out := make([]wallets.Durable, len(list))
	for i, d := range list {
		out[i] = wallets.Durable{ID: d.ID, Value: d.Value}
	}
	return out, nil
}

// DeleteDurable implements wallets.Vault.
func (e *env) DeleteDurable(ctx context.Context, kind, id string) error {
	s, err := e.strongroom()
	if err != nil {
		return err
	}
	return s.DeleteDurable(ctx, kind, id)
}

// Lock implements wallets.Vault.
func (e *env) Lock(ctx context.Context, name string) (unlock func(), err error) {
	key, err := e.key(name)
	if err != nil {
		return nil, err
	}
	storage := e.host().Storage
	if storage == nil {
		return nil, errNoHost
	}
	if err := storage.Lock(ctx, key); err != nil {
		return nil, fmt.Errorf("locking %s of the wallet in storage: %w", name, err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), unlockTimeout)
		defer cancel()
		if err := storage.Unlock(ctx, key); err != nil {
			e.Logger().Warn("lock of the wallet cannot be given back", zap.Error(err))
		}
	}, nil
}

// Instance implements wallets.Vault.
func (e *env) Instance() string { return e.host().Instance }

// Guards.
var (
	_ wallets.Vault = (*env)(nil)
	_ Strongroom    = (*ledger.Ledger)(nil)
)
