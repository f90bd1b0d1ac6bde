package ledgertest

import (
	"context"
	"sync/atomic"

	"github.com/caddyserver/certmagic"
)

// Cut is a storage that can be taken away.
type Cut struct {
	certmagic.Storage
	Off atomic.Bool
}

// Store implements certmagic.Storage.
func (c *Cut) Store(ctx context.Context, key string, value []byte) error {
	if c.Off.Load() {
		return ErrInjected
	}
	return c.Storage.Store(ctx, key, value)
}

// Load implements certmagic.Storage.
func (c *Cut) Load(ctx context.Context, key string) ([]byte, error) {
	if c.Off.Load() {
		return nil, ErrInjected
	}
	return c.Storage.Load(ctx, key)
}

// Delete implements certmagic.Storage.
func (c *Cut) Delete(ctx context.Context, key string) error {
	if c.Off.Load() {
		return ErrInjected
	}
	return c.Storage.Delete(ctx, key)
}

// List implements certmagic.Storage.
func (c *Cut) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	if c.Off.Load() {
		return nil, ErrInjected
	}
	return c.Storage.List(ctx, folder, recursive)
}

var _ certmagic.Storage = (*Cut)(nil)
