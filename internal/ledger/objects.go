package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

// objects is the only way from the ledger to the storage. It relies on Store, Load, Delete and
// List of uniquely named objects and on nothing else; it never asks Exists or Stat, which some
// back ends answer wrongly. It is safe for concurrent use.
type objects struct {
	keyspace
	storage atomic.Pointer[certmagic.Storage]
	timeout time.Duration
	// writes counts the Store and Delete calls, for Stats.
	writes atomic.Int64
	// odd says that the back end seems to call a missing folder an error of its own kind. It
	// only saves time: no such error is ever taken for an answer.
	odd atomic.Bool
}

func newObjects(s certmagic.Storage, prefix string, timeout time.Duration) *objects {
	o := &objects{keyspace: keyspace{prefix: prefix}, timeout: timeout}
	o.storage.Store(&s)
	return o
}

func (o *objects) back() certmagic.Storage { return *o.storage.Load() }

// tries is how often a call is repeated: some back ends fail now and then, and listings fail
// while others write.
const tries = 8

// retry repeats call while it fails for a reason that may pass.
func (o *objects) retry(ctx context.Context, call func(context.Context) error) error {
	return o.attempts(ctx, tries, call)
}

func (o *objects) attempts(ctx context.Context, n int, call func(context.Context) error) error {
	var err error
	for i := range n {
		if i > 0 && !pause(ctx, jitter(time.Duration(1<<i)*time.Millisecond)) {
			break
		}
		opCtx, cancel := context.WithTimeout(ctx, o.timeout)
		err = call(opCtx)
		cancel()
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// pause waits for d; it returns false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter spreads d between its half and its one and a half, so that instances do not march in step.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

// storeOnce writes an object with a single call. An error does not mean that nothing was written.
func (o *objects) storeOnce(ctx context.Context, key string, value []byte) error {
	if !o.owns(key) {
		return fmt.Errorf("storing %q: %w", key, errForeignKey)
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	o.writes.Add(1)
	if err := o.back().Store(ctx, key, value); err != nil {
		return fmt.Errorf("storing %s: %w", key, err)
	}
	return nil
}

// store writes an object. Writing the same bytes under the same name again is harmless, so it is
// repeated on errors.
func (o *objects) store(ctx context.Context, key string, value []byte) error {
	return o.retry(ctx, func(ctx context.Context) error { return o.storeOnce(ctx, key, value) })
}

// remove deletes one object, of which the full name must be the ledger's own.
func (o *objects) remove(ctx context.Context, key string) error {
	if !o.owns(key) {
		return fmt.Errorf("deleting %q: %w", key, errForeignKey)
	}
	err := o.retry(ctx, func(ctx context.Context) error {
		o.writes.Add(1)
		return o.back().Delete(ctx, key)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	return nil
}

// load reads an object. Its error wraps fs.ErrNotExist where there is none.
func (o *objects) load(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	err := o.retry(ctx, func(ctx context.Context) (err error) {
		value, err = o.back().Load(ctx, key)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", key, err)
	}
	if len(value) > maxObject {
		return nil, fmt.Errorf("loading %s: %w: %d bytes", key, ErrTooLarge, len(value))
	}
	return value, nil
}

// list names the ledger's objects below folder, at any depth and in no order. A missing folder is
// empty. It tolerates back ends that list by string prefix, that show temporary files and
// folders, that put a slash before each key or that know no recursive listing.
func (o *objects) list(ctx context.Context, folder string) ([]string, error) {
	return o.listTries(ctx, folder, tries)
}

// listMissing lists a folder that may well not be there. Where the back end calls that an error
// it does not insist.
func (o *objects) listMissing(ctx context.Context, folder string) ([]string, error) {
	if o.odd.Load() {
		return o.listTries(ctx, folder, 1)
	}
	return o.list(ctx, folder)
}

func (o *objects) listTries(ctx context.Context, folder string, n int) ([]string, error) {
	found := make(map[string]struct{})
	if err := o.walk(ctx, folder, found, n, 5); err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(found))
	for key := range found {
		keys = append(keys, key)
	}
	return keys, nil
}

func (o *objects) walk(ctx context.Context, folder string, found map[string]struct{}, n, depth int) error {
	keys, err := o.listOnce(ctx, folder, n)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing %s: %w", folder, err)
	}
	var folders []string
	parents := make(map[string]struct{})
	for _, key := range keys {
		key = strings.TrimPrefix(key, "/")
		rest, ok := strings.CutPrefix(key, folder+"/")
		if !ok || rest == "" {
			continue // a sibling that shares the prefix as a string
		}
		for dir := key; ; {
			i := strings.LastIndexByte(dir, '/')
			if dir = dir[:i]; len(dir) <= len(folder) {
				break
			}
			if _, ok := parents[dir]; ok {
				break
			}
			parents[dir] = struct{}{}
		}
		if o.owns(key) {
			found[key] = struct{}{}
		} else if key = strings.TrimSuffix(key, "/"); o.mayBeFolder(key) {
			folders = append(folders, key)
		}
	}
	if depth == 0 {
		return nil
	}
	for _, dir := range folders {
		if _, walked := parents[dir]; walked {
			continue // the listing was recursive
		}
		if err := o.walk(ctx, dir, found, tries, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// mayBeFolder tells the ledger's own folders from temporary files and from folders of others, so
// that none of those is walked.
func (o *objects) mayBeFolder(key string) bool {
	rel, ok := strings.CutPrefix(key, o.prefix+"/")
	if !ok {
		return false
	}
	p := strings.Split(rel, "/")
	switch p[0] {
	case areaLedger:
		return len(p) == 2 && isHex(p[1], incLen) || len(p) == 3 && isHex(p[1], incLen) && isDate(p[2])
	case areaUses:
		return len(p) == 2 && isHex(p[1], 2) || len(p) == 3 && isHex(p[1], 2) && isHex(p[2], 2)
	case areaDurable:
		return len(p) == 2 && isKind(p[1]) || len(p) == 3 && isKind(p[1]) && isHex(p[2], 2)
	}
	return false
}

func (o *objects) listOnce(ctx context.Context, folder string, n int) ([]string, error) {
	var keys []string
	err := o.attempts(ctx, n, func(ctx context.Context) (err error) {
		keys, err = o.back().List(ctx, folder, true)
		if isMissing(err) {
			keys, err = o.confirmMissing(ctx, folder, keys, err)
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
			return err
		}
		// Recursion may be what the back end cannot do.
		if errors.Is(err, errChanging) {
			return err
		}
		flat, err2 := o.back().List(ctx, folder, false)
		if isMissing(err2) {
			flat, err2 = o.confirmMissing(ctx, folder, flat, err2)
		}
		if err2 == nil || isMissing(err2) {
			keys = flat
			return err2
		}
		return err
	})
	return keys, err
}

// errChanging says that a listing broke off because something in the folder went away.
var errChanging = errors.New("the folder changed while it was listed")

// confirmMissing tells a missing folder from one in which something went away while it was
// listed: back ends on a file system call both fs.ErrNotExist. To take the second for the first
// would turn all that is stored into nothing.
func (o *objects) confirmMissing(ctx context.Context, folder string, keys []string, err error) ([]string, error) {
	if len(keys) > 0 {
		return nil, errChanging
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		if path := filepath.ToSlash(at.Path); path != folder && !strings.HasSuffix(path, "/"+folder) {
			return nil, errChanging
		}
		return nil, err
	}
	keys, err = o.back().List(ctx, folder, true)
	if isMissing(err) && len(keys) > 0 {
		return nil, errChanging
	}
	return keys, err
}

// listArea lists a whole area. Where the listing fails it makes the area exist and asks again:
// some back ends call a missing folder an error of their own kind.
func (o *objects) listArea(ctx context.Context, area string) ([]string, error) {
	keys, err := o.listTries(ctx, o.area(area), 3)
	if err == nil || ctx.Err() != nil {
		return keys, err
	}
	marked := o.storeOnce(ctx, o.mark(area), []byte("this folder is in use\n"))
	keys, err = o.list(ctx, o.area(area))
	if err == nil && marked == nil {
		o.odd.Store(true)
	}
	return keys, err
}

// listIn lists a folder of an area. Where that fails it takes the folder's part of the whole area.
func (o *objects) listIn(ctx context.Context, area, folder string) ([]string, error) {
	keys, err := o.listMissing(ctx, folder)
	if err == nil || ctx.Err() != nil {
		return keys, err
	}
	if keys, err = o.listArea(ctx, area); err != nil {
		return nil, err
	}
	kept := keys[:0]
	for _, key := range keys {
		if strings.HasPrefix(key, folder+"/") {
			kept = append(kept, key)
		}
	}
	return kept, nil
}
