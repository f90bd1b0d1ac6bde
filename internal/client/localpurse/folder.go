// Package localpurse keeps a user's own ecash in a folder, for one process at a time: the seed, the
// records of a purse for each mint and unit, and ecash that was given away and may have to be taken
// back. Whoever can read the folder has the money, so that only its owner may.
package localpurse

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/gofrs/flock"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/private"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// lockPoll is how often a lock is tried that another process holds.
const lockPoll = 50 * time.Millisecond

// maxValue bounds a stored value, in bytes.
const maxValue = 1 << 20

// suffix ends the names of values; others are left alone.
const suffix = ".value"

// ErrFolder is wrapped by every error about the folder itself.
var ErrFolder = errors.New("purse")

// Folder is a folder with ecash that this process has to itself until Close. It implements
// wallets.Vault and is safe for concurrent use.
type Folder struct {
	path string
	lock *flock.Flock
}

// DefaultPath is the folder that is used where the user names none: l402/purse in Caddy's data
// folder.
func DefaultPath() string { return filepath.Join(caddy.AppDataDir(), "l402", "purse") }

// Open makes the folder if it is not there and waits, until ctx ends, for other processes to leave
// it. It refuses one that others can read.
func Open(ctx context.Context, path string) (*Folder, error) {
	f := &Folder{path: path}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, f.fail("making", err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, f.fail("opening", err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, f.fail("opening", errors.New("others can read it, and it holds money: chmod 700 it"))
	}
	f.lock = flock.New(filepath.Join(path, "lock"), flock.SetPermissions(0o600))
	ok, err := f.lock.TryLockContext(ctx, lockPoll)
	if err == nil && !ok {
		err = errors.New("another process holds it")
	}
	if err != nil {
		return nil, f.fail("locking", err)
	}
	return f, nil
}

// Close lets other processes in. The second call does nothing.
func (f *Folder) Close() error { return f.lock.Close() }

// Path is where the folder is.
func (f *Folder) Path() string { return f.path }

func (f *Folder) fail(step string, err error) error {
	return fmt.Errorf("%s %w %s: %w", step, ErrFolder, f.path, private.Bare(err))
}

// file is where a value lies; kinds are letters and digits, ids any text.
func (f *Folder) file(kind, id string) (string, error) {
	if kind == "" || len(kind) > 32 || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || id == "" || len(id) > 80 {
		return "", fmt.Errorf("%w: bad name %q for a stored value", fs.ErrInvalid, kind)
	}
	return filepath.Join(f.path, kind, hex.EncodeToString([]byte(id))+suffix), nil
}

// PutDurable implements wallets.Vault.
func (f *Folder) PutDurable(_ context.Context, kind, id string, value []byte) error {
	name, err := f.file(kind, id)
	if err == nil && len(value) > maxValue {
		err = fmt.Errorf("%d bytes are too many", len(value))
	}
	if err == nil {
		err = replace(name, value)
	}
	if err != nil {
		return f.fail("writing to", err)
	}
	return nil
}

// replace writes a file, and makes its folder.
func replace(name string, value []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return private.Replace(name, value)
}

// GetDurable implements wallets.Vault.
func (f *Folder) GetDurable(_ context.Context, kind, id string) ([]byte, error) {
	name, err := f.file(kind, id)
	if err != nil {
		return nil, f.fail("reading", err)
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.fail("reading", fs.ErrNotExist)
	}
	if err != nil {
		return nil, f.fail("reading", err)
	}
	return b, nil
}

// ListDurable implements wallets.Vault.
func (f *Folder) ListDurable(ctx context.Context, kind string) ([]wallets.Durable, error) {
	if _, err := f.file(kind, "x"); err != nil {
		return nil, f.fail("listing", err)
	}
	entries, err := os.ReadDir(filepath.Join(f.path, kind))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, f.fail("listing", err)
	}
	var out []wallets.Durable
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		id, err := hex.DecodeString(name)
		if !ok || err != nil {
			continue
		}
		value, err := f.GetDurable(ctx, kind, string(id))
		if err != nil {
			return nil, err
		}
		out = append(out, wallets.Durable{ID: string(id), Value: value})
	}
	return out, nil
}

// DeleteDurable implements wallets.Vault.
func (f *Folder) DeleteDurable(_ context.Context, kind, id string) error {
	name, err := f.file(kind, id)
	if err == nil {
		err = private.Remove(name)
	}
	if err != nil {
		return f.fail("deleting from", err)
	}
	return nil
}

// Lock implements wallets.Vault: the folder is this process's alone in any case.
func (f *Folder) Lock(context.Context, string) (unlock func(), err error) { return func() {}, nil }

// Instance implements wallets.Vault: there is one.
func (f *Folder) Instance() string { return "" }

// Logger implements wallets.Env; a command says what matters by itself.
func (f *Folder) Logger() *zap.Logger { return zap.NewNop() }

// Load implements wallets.Env.
func (f *Folder) Load(ctx context.Context, name string) ([]byte, error) {
	return f.GetDurable(ctx, "env", name)
}

// Store implements wallets.Env.
func (f *Folder) Store(ctx context.Context, name string, value []byte) error {
	return f.PutDurable(ctx, "env", name, value)
}

// Interface guards.
var _ wallets.Vault = (*Folder)(nil)
