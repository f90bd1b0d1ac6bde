package receipts

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
)

const (
	folder = "l402/receipts"
	suffix = ".key"

	// refreshAfter is how old what is known of the keys of other instances may be.
	refreshAfter = 2 * time.Second
	// opTimeout bounds what one call does in storage.
	opTimeout = 5 * time.Second
)

// key is one private key.
type key struct {
	id      string // half of the SHA-256 of the public key, in hex
	created time.Time
	private ed25519.PrivateKey
}

// stored is the form of a key in storage.
type stored struct {
	Created time.Time `json:"created"`
	Seed    string    `json:"seed"` // 32 bytes in hex (RFC 8032)
}

// Signer signs receipts with the keys in a storage. It is safe for concurrent use.
type Signer struct {
	storage certmagic.Storage
	logger  *zap.Logger

	// Now and Rand can be set before first use.
	Now  func() time.Time
	Rand io.Reader

	current atomic.Pointer[[]*key] // newest first; never nil

	mu     sync.Mutex // serializes what touches storage
	loaded time.Time
}

// New makes a Signer over a storage. Nothing is read or written yet.
func New(storage certmagic.Storage, logger *zap.Logger) *Signer {
	s := &Signer{storage: storage, logger: logger, Now: time.Now, Rand: rand.Reader}
	s.current.Store(new([]*key))
	return s
}

// Sign gives the compact JWS of a receipt. Where there is no key yet it makes one. Errors wrap
// ErrUnavailable where the storage is the reason.
func (s *Signer) Sign(ctx context.Context, r *Receipt) (string, error) {
	keys := *s.current.Load()
	if len(keys) == 0 {
		var err error
		if keys, err = s.first(ctx); err != nil {
			return "", fmt.Errorf("signing a receipt: %w: %w", ErrUnavailable, err)
		}
	}
	return keys[0].sign(r)
}

// JWKS gives the public keys of all instances as a JWK set. The set is empty while no receipt was
// ever signed. Errors wrap ErrUnavailable.
func (s *Signer) JWKS(ctx context.Context) ([]byte, error) {
	if err := s.refresh(ctx); err != nil && len(*s.current.Load()) == 0 {
		return nil, fmt.Errorf("listing receipt keys: %w: %w", ErrUnavailable, err)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range *s.current.Load() {
		set.Keys = append(set.Keys, k.public())
	}
	data, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("listing receipt keys: %w", err)
	}
	return data, nil
}

// first gives the keys when none is in memory, and makes one where none is in storage.
func (s *Signer) first(ctx context.Context) ([]*key, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if keys := *s.current.Load(); len(keys) > 0 {
		return keys, nil
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if len(*s.current.Load()) == 0 {
		if err := s.generate(ctx); err != nil {
			return nil, err
		}
	}
	return *s.current.Load(), nil
}

// refresh looks for keys of other instances, unless somebody just did.
func (s *Signer) refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.Now(); !s.loaded.IsZero() && now.Sub(s.loaded) < refreshAfter && !now.Before(s.loaded) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return s.load(ctx)
}

// load reads all keys. A passing error changes nothing; a damaged object is reported and left out,
// since waiting cannot mend it. Keys in memory stay even where they are listed no more: what they
// signed must go on to be checkable. The caller holds mu.
func (s *Signer) load(ctx context.Context) error {
	names, err := s.storage.List(ctx, folder, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listing %s: %w", folder, err)
	}
	keys := slices.Clone(*s.current.Load())
	for _, name := range names {
		id, ok := strings.CutSuffix(path.Base(name), suffix)
		if !ok || !isKeyID(id) || slices.ContainsFunc(keys, func(k *key) bool { return k.id == id }) {
			continue
		}
		k, err := s.read(ctx, id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case errors.Is(err, errDamaged):
			s.logger.Error("receipt key is damaged; receipts signed with it cannot be checked any more",
				zap.String("object", keyName(id)))
		case err != nil:
			return err
		default:
			keys = append(keys, k)
		}
	}
	s.keep(keys)
	s.loaded = s.Now()
	return nil
}

// keep makes keys the current ones, in an order that all instances agree on.
func (s *Signer) keep(keys []*key) {
	slices.SortFunc(keys, func(a, b *key) int {
		return cmp.Or(b.created.Compare(a.created), cmp.Compare(a.id, b.id))
	})
	s.current.Store(&keys)
}

func (s *Signer) read(ctx context.Context, id string) (*key, error) {
	data, err := s.storage.Load(ctx, keyName(id))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", keyName(id), err)
	}
	k, err := decode(data)
	if err != nil || k.id != id {
		return nil, fmt.Errorf("reading %s: %w", keyName(id), errDamaged)
	}
	return k, nil
}

// decode reads a key. Its error has no reason in it, which might quote the secret.
func decode(data []byte) (*key, error) {
	var from stored
	if err := json.Unmarshal(data, &from); err != nil {
		return nil, errDamaged
	}
	seed, err := hex.DecodeString(from.Seed)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errDamaged
	}
	return newKey(seed, from.Created), nil
}

func newKey(seed []byte, created time.Time) *key {
	k := &key{created: created, private: ed25519.NewKeyFromSeed(seed)}
	sum := sha256.Sum256(k.private.Public().(ed25519.PublicKey))
	k.id = hex.EncodeToString(sum[:16])
	return k
}

// generate makes a key and stores it before anything is signed with it. The caller holds mu.
func (s *Signer) generate(ctx context.Context) error {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(s.Rand, seed); err != nil {
		return fmt.Errorf("making a receipt key: %w", err)
	}
	k := newKey(seed, s.Now().UTC())
	data, err := json.Marshal(stored{k.created, hex.EncodeToString(seed)})
	if err != nil {
		return fmt.Errorf("making a receipt key: %w", err)
	}
	if err := s.storage.Store(ctx, keyName(k.id), data); err != nil {
		return fmt.Errorf("writing a new receipt key: %w", err)
	}
	s.keep(append(slices.Clone(*s.current.Load()), k))
	s.logger.Info("made a key for receipts", zap.String("key_id", k.id))
	return nil
}

func keyName(id string) string { return folder + "/" + id + suffix }

// isKeyID tells whether an object's name is a key's; temporary files and strangers are none.
func isKeyID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}
