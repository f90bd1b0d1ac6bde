package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/certmagic"
)

// Behavior says in which ways a Memory storage misbehaves. Each is known from a real back end.
type Behavior struct {
	// StringPrefix lists by string prefix: "a" also lists "ab/c".
	StringPrefix bool
	// NoRecursion lists one level whatever is asked for.
	NoRecursion bool
	// NoFolders never lists folders, only objects.
	NoFolders bool
	// MissingIsEmpty lists a missing folder as empty instead of fs.ErrNotExist.
	MissingIsEmpty bool
	// MissingIsOddError lists a missing folder with an error of its own kind.
	MissingIsOddError bool
	// LeadingSlash puts a slash before every listed key.
	LeadingSlash bool
	// TemporaryNames shows temporary files and folders of others in listings.
	TemporaryNames bool
	// ListFlakes fails every n-th listing.
	ListFlakes int
	// ListVanishes breaks off every n-th listing because an object went away meanwhile, which
	// looks like a missing folder: as certmagic.FileStorage does it, with the path of the object,
	// or, every other time, without telling.
	ListVanishes int
	// FailEvery fails every n-th call of any kind, one more or less: at a steady count, callers
	// that take turns would meet it in step, and one of them at each try.
	FailEvery int
	// ApplyThenFail makes FailEvery's writes happen although they return an error.
	ApplyThenFail bool
	// LockDoesNothing grants every lock at once.
	LockDoesNothing bool
	// LockFails refuses every lock.
	LockFails bool
}

// Memory is a certmagic.Storage in memory that misbehaves on demand. Besides, it keeps watch:
// deleting anything but a stored object or a name that looks like one, and asking Exists or Stat,
// count as violations. It is safe for concurrent use.
type Memory struct {
	Behavior Behavior
	// ReadOnly and Full fail all writes while they are set; Down fails all calls.
	ReadOnly, Full, Down atomic.Bool
	// BeforeStore, if set, runs before each Store; its error becomes the call's.
	BeforeStore func(key string) error

	mu         sync.Mutex
	objects    map[string][]byte
	locks      map[string]chan struct{}
	untilFault int
	faults     int
	lists      atomic.Int64
	violations []string
	stores     atomic.Int64
}

// NewMemory makes an empty storage.
func NewMemory(b Behavior) *Memory {
	return &Memory{Behavior: b, objects: make(map[string][]byte), locks: make(map[string]chan struct{})}
}

// The errors of a misbehaving storage.
var (
	ErrInjected = errors.New("injected failure")
	errReadOnly = errors.New("read-only file system")
	errFull     = errors.New("no space left on device")
	errOdd      = errors.New("NoSuchKey: the specified key does not exist")
)

// Violations lists what was done to the storage that must not be done.
func (m *Memory) Violations() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.violations...)
}

func (m *Memory) violate(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.violations = append(m.violations, fmt.Sprintf(format, args...))
}

// Stores counts the successful calls of Store.
func (m *Memory) Stores() int64 { return m.stores.Load() }

// Keys lists all objects in order.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]string, 0, len(m.objects))
	for k := range m.objects {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// Change replaces the bytes of an object by what edit returns, or deletes it when that is nil.
func (m *Memory) Change(key string, edit func([]byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := edit(m.objects[key]); b != nil {
		m.objects[key] = b
	} else {
		delete(m.objects, key)
	}
}

func (m *Memory) fails(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.Down.Load() || m.Behavior.FailEvery > 0 && m.turn() {
		return ErrInjected
	}
	return nil
}

// turn counts a call and tells whether it is one that fails.
func (m *Memory) turn() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.untilFault--; m.untilFault > 0 {
		return false
	}
	m.faults++
	m.untilFault = max(m.Behavior.FailEvery+[...]int{0, 1, -1, 1}[m.faults%4], 2)
	return true
}

func (m *Memory) write(ctx context.Context, apply func()) error {
	err := m.fails(ctx)
	switch {
	case err != nil:
	case m.ReadOnly.Load():
		err = errReadOnly
	case m.Full.Load():
		err = errFull
	}
	if err == nil || m.Behavior.ApplyThenFail && errors.Is(err, ErrInjected) && !m.Down.Load() {
		m.mu.Lock()
		apply()
		m.mu.Unlock()
	}
	return err
}

// Store implements certmagic.Storage.
func (m *Memory) Store(ctx context.Context, key string, value []byte) error {
	if m.BeforeStore != nil {
		if err := m.BeforeStore(key); err != nil {
			return err
		}
	}
	if strings.Contains(key, "..") || strings.HasPrefix(key, "/") || strings.HasSuffix(key, "/") || strings.ToLower(key) != key {
		m.violate("Store(%q)", key)
	}
	err := m.write(ctx, func() { m.objects[key] = append([]byte{}, value...) })
	if err == nil {
		m.stores.Add(1)
	}
	return err
}

// Load implements certmagic.Storage.
func (m *Memory) Load(ctx context.Context, key string) ([]byte, error) {
	if err := m.fails(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.objects[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return append([]byte{}, b...), nil
}

// Delete implements certmagic.Storage, folders and all, as the cruelest back ends do.
func (m *Memory) Delete(ctx context.Context, key string) error {
	return m.write(ctx, func() {
		if i := strings.LastIndexByte(key, '.'); i < 0 || strings.Contains(key[i:], "/") {
			m.violations = append(m.violations, fmt.Sprintf("Delete(%q)", key))
		}
		for k := range m.objects {
			if key == "" || k == key || strings.HasPrefix(k, key+"/") {
				if k != key {
					m.violations = append(m.violations, fmt.Sprintf("Delete(%q) took %q", key, k))
				}
				delete(m.objects, k)
			}
		}
	})
}

// Exists implements certmagic.Storage: it says yes to everything.
func (m *Memory) Exists(context.Context, string) bool {
	m.violate("Exists was asked")
	return true
}

// Stat implements certmagic.Storage: it knows nothing.
func (m *Memory) Stat(context.Context, string) (certmagic.KeyInfo, error) {
	m.violate("Stat was asked")
	return certmagic.KeyInfo{}, ErrInjected
}

// List implements certmagic.Storage.
func (m *Memory) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	if err := m.fails(ctx); err != nil {
		return nil, err
	}
	if n := m.Behavior.ListFlakes; n > 0 && m.lists.Add(1)%int64(n) == 0 {
		return nil, ErrInjected
	}
	if n := m.Behavior.ListVanishes; n > 0 {
		switch c := m.lists.Add(1); {
		case c%int64(2*n) == 0:
			return nil, fs.ErrNotExist
		case c%int64(n) == 0:
			return nil, &fs.PathError{Op: "lstat", Path: "/data/" + folder + "/2718281828", Err: fs.ErrNotExist}
		}
	}
	b := m.Behavior
	recursive = recursive && !b.NoRecursion
	seen := make(map[string]bool)
	m.mu.Lock()
	for k := range m.objects {
		if !strings.HasPrefix(k, folder+"/") && (!b.StringPrefix || !strings.HasPrefix(k, folder)) {
			continue
		}
		seen[k] = seen[k] || recursive || !strings.Contains(strings.TrimPrefix(k, folder+"/"), "/")
		for i, c := range k {
			if c != '/' || i <= len(folder) || b.NoFolders {
				continue
			}
			seen[k[:i]] = recursive || !strings.Contains(k[len(folder)+1:i], "/")
		}
	}
	m.mu.Unlock()
	var keys []string
	for k, show := range seen {
		if show {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		switch {
		case b.MissingIsOddError:
			return nil, errOdd
		case b.MissingIsEmpty:
			return nil, nil
		}
		return nil, fs.ErrNotExist
	}
	if b.TemporaryNames {
		keys = append(keys, folder+"/2718281828", folder+"/.tmp-0001.claim", folder+"/others/thing.seg", folder)
	}
	if b.LeadingSlash {
		for i := range keys {
			keys[i] = "/" + keys[i]
		}
	}
	sort.Strings(keys)
	return keys, nil
}

// Lock implements certmagic.Storage.
func (m *Memory) Lock(ctx context.Context, name string) error {
	if err := m.fails(ctx); err != nil {
		return err
	}
	if m.Behavior.LockFails {
		return ErrInjected
	}
	for !m.Behavior.LockDoesNothing {
		m.mu.Lock()
		held, ok := m.locks[name]
		if !ok {
			m.locks[name] = make(chan struct{})
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Unlock implements certmagic.Storage.
func (m *Memory) Unlock(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held, ok := m.locks[name]; ok {
		close(held)
		delete(m.locks, name)
		return nil
	}
	if m.Behavior.LockDoesNothing {
		return nil
	}
	return fs.ErrNotExist
}

var _ certmagic.Storage = (*Memory)(nil)
