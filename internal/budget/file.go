package budget

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/private"
	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxFile bounds a file; an entry takes some 200 bytes.
	maxFile = 16 << 20
	// lockPoll is how often a lock is tried that another process holds.
	lockPoll = 20 * time.Millisecond
	// lockTime bounds the wait for it: nobody holds it for longer than reading and writing takes.
	lockTime = 30 * time.Second
)

// File keeps a Book in a file that only its owner can read, under rules. It is safe for concurrent
// use, also by several processes: writers take turns by a lock on a second file beside it, and the
// file is replaced as a whole and synced before a payment is made.
type File struct {
	// Path is the file, which need not exist yet; its folder is made.
	Path string
	// Rules are what payments must keep to.
	Rules []Rule
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (f *File) now() time.Time {
	if f.Now == nil {
		return time.Now()
	}
	return f.Now()
}

// Reserve notes a payment before it is made. It returns a *Refusal where that is over budget, and an
// error that wraps ErrBook where it cannot be noted: either way it must not be made.
func (f *File) Reserve(ctx context.Context, s Spending) error {
	return f.change(ctx, func(b *Book) error { return b.Reserve(f.Rules, s, f.now()) })
}

// Settle notes that a payment was made and what it cost with its fee, in millisatoshi.
func (f *File) Settle(ctx context.Context, hash lntypes.Hash, cost lnwire.MilliSatoshi) error {
	return f.change(ctx, func(b *Book) error { b.Settle(hash, cost); return nil })
}

// Release takes a payment out of which no money left.
func (f *File) Release(ctx context.Context, hash lntypes.Hash) error {
	return f.change(ctx, func(b *Book) error { b.Release(hash); return nil })
}

// Left tells what the rules still allow at a host.
func (f *File) Left(network wallets.Network, host string) ([]Left, error) {
	book, err := f.load()
	if err != nil {
		return nil, f.fail("reading", err)
	}
	return book.Left(f.Rules, network, host, f.now()), nil
}

func (f *File) fail(step string, err error) error {
	if errors.Is(err, ErrBook) {
		return fmt.Errorf("%s %s: %w; move it away or name another one", step, f.Path, err)
	}
	return fmt.Errorf("%s %w %s: %w", step, ErrBook, f.Path, err)
}

// change edits the Book under the lock. Where edit fails nothing is written.
func (f *File) change(ctx context.Context, edit func(*Book) error) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return f.fail("making the folder of", private.Bare(err))
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	lock := flock.New(f.Path+".lock", flock.SetPermissions(0o600))
	if ok, err := lock.TryLockContext(ctx, lockPoll); err != nil || !ok {
		if err == nil {
			err = errors.New("another process holds it")
		}
		return f.fail("locking", private.Bare(err))
	}
	defer lock.Close()
	book, err := f.load()
	if err != nil {
		return f.fail("reading", err)
	}
	if err := edit(book); err != nil {
		return err
	}
	if err := f.replace(book); err != nil {
		return f.fail("writing", err)
	}
	return nil
}

func (f *File) load() (*Book, error) {
	data, err := private.Read(f.Path, maxFile)
	switch {
	case errors.Is(err, private.ErrTooLarge):
		return nil, fmt.Errorf("%w: begin another one", err)
	case err != nil:
		return nil, err
	case data == nil:
		return new(Book), nil
	}
	return ParseBook(data)
}

// replace puts a complete new file in the place of the old one.
func (f *File) replace(book *Book) error {
	data, err := book.Marshal()
	if err != nil {
		return err
	}
	path := f.Path
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return private.Bare(private.Replace(path, append(data, '\n')))
}
