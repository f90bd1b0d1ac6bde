// Package books keeps one ledger open for each storage of the process. Configurations come and
// go, and each brings its own storage object, of which the old one stops working when its
// configuration is unloaded; the ledger, with the uses that it holds in memory, stays.
package books

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

// Host is what one configuration lends to the ledger of its storage.
type Host struct {
	Storage certmagic.Storage
	Logger  *zap.Logger
	// Instance is a label of this server; see ledger.Options.
	Instance string
}

const (
	openTimeout = 10 * time.Second
	// reopenAfter is how long to wait after the ledger could not be opened.
	reopenAfter = 2 * time.Second
	// drainFor is how long the last Detach waits for requests that hold uses.
	drainFor     = 3 * time.Second
	closeTimeout = 10 * time.Second
)

// Books are the ledger of one storage, while it can be opened. They are safe for concurrent use.
type Books struct {
	key    string
	ledger atomic.Pointer[ledger.Ledger]

	mu     sync.Mutex // held while opening and closing too
	hosts  []*Host
	cancel context.CancelFunc
	loop   sync.WaitGroup
}

// shelf are the books by storage. Its lock is only for finding them.
var shelf = struct {
	sync.Mutex
	books map[string]*Books
}{books: make(map[string]*Books)}

// For finds the books of a storage. Nothing is read or written until Attach.
func For(storage certmagic.Storage) *Books {
	key := keyOf(storage)
	shelf.Lock()
	defer shelf.Unlock()
	b := shelf.books[key]
	if b == nil {
		b = &Books{key: key}
		shelf.books[key] = b
	}
	return b
}

// keyOf names what a storage object leads to. Two objects with the same settings lead to the
// same data; where the settings do not show, an object is only like itself.
func keyOf(storage certmagic.Storage) string {
	settings, err := json.Marshal(storage)
	if err != nil || string(settings) == "{}" {
		if named, ok := storage.(fmt.Stringer); ok {
			settings = []byte(named.String())
		} else {
			settings = fmt.Appendf(nil, "%p", storage)
		}
	}
	return fmt.Sprintf("%T %x", storage, sha256.Sum256(settings))
}

// Ledger is the ledger, or nil while it is not open.
func (b *Books) Ledger() *ledger.Ledger { return b.ledger.Load() }

// Attach lends a configuration's means to the ledger and opens it if it is not open. Where that
// fails it goes on trying in the background and returns the first error.
func (b *Books) Attach(h *Host) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hosts = append(b.hosts, h)
	if l := b.ledger.Load(); l != nil {
		l.SetLogger(h.Logger)
		return l.SwitchStorage(h.Storage)
	}
	if b.cancel != nil {
		return nil // it is being tried
	}
	err := b.open(context.Background())
	if err != nil {
		ctx, cancel := context.WithCancel(context.Background())
		b.cancel = cancel
		b.loop.Go(func() { b.reopen(ctx) }) // ends when open, or in Detach
	}
	return err
}

// open opens the ledger for the newest host. The caller holds mu.
func (b *Books) open(ctx context.Context) error {
	h := b.hosts[len(b.hosts)-1]
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	l, err := ledger.Open(ctx, ledger.Options{Storage: h.Storage, Logger: h.Logger, Instance: h.Instance})
	if err != nil {
		return err
	}
	b.ledger.Store(l)
	return nil
}

func (b *Books) reopen(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(reopenAfter):
		}
		b.mu.Lock()
		if ctx.Err() != nil || len(b.hosts) == 0 {
			b.mu.Unlock()
			return
		}
		err := b.open(ctx)
		if err == nil {
			b.cancel()
			b.cancel = nil
			b.hosts[len(b.hosts)-1].Logger.Info("the ledger is open; uses are counted again")
		}
		b.mu.Unlock()
		if err == nil {
			return
		}
	}
}

// Detach takes back what Attach lent. The last one closes the ledger, while its storage still
// works: what waits to be written is written, and unspent uses are given back for others.
func (b *Books) Detach(h *Host) error {
	b.mu.Lock()
	i := slices.Index(b.hosts, h)
	if i < 0 {
		b.mu.Unlock()
		return nil
	}
	b.hosts = slices.Delete(b.hosts, i, i+1)
	l := b.ledger.Load()
	if left := len(b.hosts); left > 0 {
		defer b.mu.Unlock()
		if l == nil {
			return nil
		}
		l.SetLogger(b.hosts[left-1].Logger)
		return l.SwitchStorage(b.hosts[left-1].Storage)
	}
	if b.cancel != nil {
		b.cancel()
		b.cancel = nil
	}
	b.mu.Unlock()
	b.loop.Wait()
	if l == nil {
		return nil
	}
	return b.close(l)
}

// close closes the ledger unless a configuration came back for it meanwhile.
func (b *Books) close(l *ledger.Ledger) error {
	for begin := time.Now(); l.Stats().InUse > 0 && time.Since(begin) < drainFor; {
		time.Sleep(10 * time.Millisecond)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.hosts) > 0 {
		return nil
	}
	b.ledger.Store(nil)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		return fmt.Errorf("closing the ledger: %w", err)
	}
	return nil
}
