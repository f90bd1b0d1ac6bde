package netrc

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/caddy-l402/caddy-l402/internal/private"
)

const (
	// maxFile bounds what is read.
	maxFile = 4 << 20
	// lockPoll is how often a lock is tried that another process holds, and lockWait how long.
	lockPoll, lockWait = 50 * time.Millisecond, 10 * time.Second
)

// Check tells whether Update would take an entry for this host, so that nothing is bought that
// cannot be kept. A file that does not exist is empty.
func Check(path, host string) error {
	text, err := read(resolve(path))
	if err == nil {
		if _, err = Line(host, "x"); err == nil {
			err = check(parse(text), host)
		}
	}
	return named(path, err)
}

// Update puts an entry into a file. The file is replaced by a complete new one that only its owner
// can read; where path is a symbolic link, that is the file behind it.
func Update(ctx context.Context, path, host, credential string) error {
	return named(path, update(ctx, resolve(path), host, credential))
}

func update(ctx context.Context, path, host, credential string) error {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if held, err := lock.TryLockContext(ctx, lockPoll); err != nil || !held {
		return fmt.Errorf("locking it: %w", errors.Join(err, ctx.Err()))
	}
	defer lock.Close()
	text, err := read(path)
	if err != nil {
		return err
	}
	if text, err = Set(text, host, credential); err != nil {
		return err
	}
	return private.Replace(path, []byte(text))
}

func named(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w %s: %w", ErrFile, path, private.Bare(err))
}

func resolve(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return path
}

func read(path string) (string, error) {
	text, err := private.Read(path, maxFile)
	return string(text), err
}
