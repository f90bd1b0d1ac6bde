// Package keyring holds the master keys that tokens are made and checked with. Looking a key up
// is one atomic load and one map access; storage is touched only at start, on rotation, by a
// slow poll and for key ids that are not known.
package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-l402/caddy-l402/l402"
)

var (
	// ErrNoKeys says that there is no key to mint with and none could be made.
	ErrNoKeys = errors.New("no master key")
	// ErrFixed says that the keys come from the configuration and cannot be changed here.
	ErrFixed = errors.New("the keys come from `secret` in the configuration: change them there")
	// ErrUnknown says that no key has this id.
	ErrUnknown = errors.New("no master key with this id")
	// ErrNewest says that the key that mints cannot be retired.
	ErrNewest = errors.New("this key mints new tokens: rotate first")
)

// Key is one master key with its facts.
type Key struct {
	ID      l402.KeyID
	Created time.Time
	master  l402.MasterKey
}

// Keyring is a set of master keys over a storage. It is safe for concurrent use.
type Keyring struct {
	storage certmagic.Storage
	logger  *zap.Logger
	fixed   bool

	// Now and Rand can be set before first use.
	Now  func() time.Time
	Rand io.Reader

	current atomic.Pointer[set]

	mu      sync.Mutex // serializes everything that touches storage
	unknown *negatives
	loads   *rate.Limiter
}

// set is an immutable view of the keys.
type set struct {
	byID map[l402.KeyID]*Key
	mint *Key // the newest; nil while there is none
}

// New makes a Keyring over a storage. Nothing is read or written yet.
func New(storage certmagic.Storage, logger *zap.Logger) *Keyring {
	k := &Keyring{
		storage: storage, logger: logger, Now: time.Now, Rand: rand.Reader,
		unknown: newNegatives(4096, 10*time.Second),
		// Anyone can send tokens with made-up key ids. This bounds what they cost the storage.
		loads: rate.NewLimiter(20, 20),
	}
	k.current.Store(&set{})
	return k
}

// NewFixed makes a Keyring of secrets from the configuration; the first one mints, the others
// are only accepted. Each secret must have at least MinSecret bytes.
func NewFixed(secrets []string, logger *zap.Logger) (*Keyring, error) {
	k := &Keyring{logger: logger, fixed: true, Now: time.Now, Rand: rand.Reader}
	keys := &set{byID: make(map[l402.KeyID]*Key, len(secrets))}
	for i, secret := range secrets {
		key, err := fromSecret(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		keys.byID[key.ID] = key
		if i == 0 {
			keys.mint = key
		}
	}
	if keys.mint == nil {
		return nil, ErrNoKeys
	}
	k.current.Store(keys)
	return k, nil
}

// MasterKey gives the key with this id from memory, or nil. It does no I/O.
func (k *Keyring) MasterKey(id l402.KeyID) *l402.MasterKey {
	if key := k.current.Load().byID[id]; key != nil {
		return &key.master
	}
	return nil
}

// Minting gives the key for new tokens: the newest one. Where there is none in memory it loads
// the keys, and where there is none in storage it makes one.
func (k *Keyring) Minting(ctx context.Context) (l402.KeyID, *l402.MasterKey, error) {
	if key := k.current.Load().mint; key != nil {
		return key.ID, &key.master, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.current.Load().mint; key != nil {
		return key.ID, &key.master, nil
	}
	if err := k.load(ctx); err != nil {
		return l402.KeyID{}, nil, fmt.Errorf("%w: %w", ErrNoKeys, err)
	}
	if k.current.Load().mint == nil {
		if _, err := k.generate(ctx); err != nil {
			return l402.KeyID{}, nil, fmt.Errorf("%w: %w", ErrNoKeys, err)
		}
	}
	key := k.current.Load().mint
	return key.ID, &key.master, nil
}

// Find looks for a key that is not in memory, since another instance may just have made it. It
// tells whether the key is there now. Unknown ids are remembered and look-ups are limited, so
// that a flood of made-up ids costs the storage little.
func (k *Keyring) Find(ctx context.Context, id l402.KeyID) bool {
	if k.MasterKey(id) != nil {
		return true
	}
	now := k.Now()
	if k.fixed || k.unknown.has(id, now) || !k.loads.AllowN(now, 1) {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.MasterKey(id) != nil {
		return true
	}
	if k.unknown.has(id, now) {
		return false
	}
	key, err := k.read(ctx, id)
	if err != nil {
		// A passing storage error must not make a good key unknown for a while.
		if errors.Is(err, fs.ErrNotExist) {
			k.unknown.add(id, now)
		}
		return false
	}
	k.add(key)
	return true
}

// Refresh reads all keys from storage again: new ones appear, retired ones go.
func (k *Keyring) Refresh(ctx context.Context) error {
	if k.fixed {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.load(ctx)
}

// Rotate makes a new key, which mints from now on. Older keys are accepted until retired.
func (k *Keyring) Rotate(ctx context.Context) (Key, error) {
	if k.fixed {
		return Key{}, ErrFixed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx); err != nil {
		return Key{}, err
	}
	key, err := k.generate(ctx)
	if err != nil {
		return Key{}, err
	}
	return *key, nil
}

// Retire removes a key: tokens made with it are refused from now on, here at once and by other
// instances at their next Refresh. The key that mints cannot be retired.
func (k *Keyring) Retire(ctx context.Context, id l402.KeyID) error {
	if k.fixed {
		return ErrFixed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx); err != nil {
		return err
	}
	keys := k.current.Load()
	switch {
	case keys.byID[id] == nil:
		return ErrUnknown
	case keys.mint.ID == id:
		return ErrNewest
	}
	if err := k.remove(ctx, id); err != nil {
		return err
	}
	k.unknown.add(id, k.Now())
	return k.load(ctx)
}

// Keys lists the keys in memory, the minting one first, without their secrets.
func (k *Keyring) Keys() []Key {
	keys := k.current.Load()
	list := make([]Key, 0, len(keys.byID))
	for _, key := range keys.byID {
		list = append(list, Key{ID: key.ID, Created: key.Created})
	}
	sort.Slice(list, func(i, j int) bool {
		if minting := keys.mint.ID; list[i].ID == minting || list[j].ID == minting {
			return list[i].ID == minting
		}
		return list[i].Created.After(list[j].Created)
	})
	return list
}

// Fixed tells whether the keys come from the configuration.
func (k *Keyring) Fixed() bool { return k.fixed }

// add puts a key into a new view. The caller holds mu.
func (k *Keyring) add(key *Key) {
	old := k.current.Load()
	keys := make(map[l402.KeyID]*Key, len(old.byID)+1)
	for id, known := range old.byID {
		keys[id] = known
	}
	keys[key.ID] = key
	k.current.Store(newSet(keys))
}

// newSet makes a view in which the newest key mints; of two made in the same instant it is the
// one with the greater id, so that all instances choose alike.
func newSet(keys map[l402.KeyID]*Key) *set {
	s := &set{byID: keys}
	for _, key := range keys {
		if s.mint == nil || key.Created.After(s.mint.Created) ||
			key.Created.Equal(s.mint.Created) && string(key.ID[:]) > string(s.mint.ID[:]) {
			s.mint = key
		}
	}
	return s
}
