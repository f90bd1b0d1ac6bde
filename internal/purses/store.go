package purses

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/books"
	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// store keeps a purse's values in the ledger's storage. fence, where there is one, says whether this
// process may still write.
type store struct {
	books *books.Books
	fence func() error
}

func (s store) ledger() (*ledger.Ledger, error) {
	if l := s.books.Ledger(); l != nil {
		return l, nil
	}
	return nil, errNoBook
}

func (s store) writing() (*ledger.Ledger, error) {
	if s.fence != nil {
		if err := s.fence(); err != nil {
			return nil, err
		}
	}
	return s.ledger()
}

// PutDurable implements purse.Store.
func (s store) PutDurable(ctx context.Context, kind, id string, value []byte) error {
	l, err := s.writing()
	if err != nil {
		return err
	}
	return l.PutDurable(ctx, kind, id, value)
}

// GetDurable implements purse.Store.
func (s store) GetDurable(ctx context.Context, kind, id string) ([]byte, error) {
	l, err := s.ledger()
	if err != nil {
		return nil, err
	}
	d, err := l.GetDurable(ctx, kind, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", purse.ErrNotFound, err)
	}
	return d.Value, err
}

// ListDurable implements purse.Store.
func (s store) ListDurable(ctx context.Context, kind string) ([]purse.Durable, error) {
	l, err := s.ledger()
	if err != nil {
		return nil, err
	}
	list, err := l.ListDurable(ctx, kind)
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
	l, err := s.writing()
	if err != nil {
		return err
	}
	return l.DeleteDurable(ctx, kind, id)
}

const (
	// lockTimeout bounds the wait for a lock of the storage.
	lockTimeout   = 5 * time.Second
	unlockTimeout = 10 * time.Second
)

// lock excludes the other processes on the storage.
func (h *House) lock(ctx context.Context, name string) (unlock func(), err error) {
	storage := h.storage()
	if storage == nil {
		return nil, errNoBook
	}
	name = "l402-" + name
	wait, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	if err := storage.Lock(wait, name); err != nil {
		return nil, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		if err := storage.Unlock(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			// The lock ends by itself when nobody renews it.
			h.logger().Debug("a lock of the storage was not given back")
		}
	}, nil
}

// Guard: what a purse wants.
var _ purse.Store = store{}
