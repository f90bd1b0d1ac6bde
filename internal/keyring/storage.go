package keyring

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/l402"
)

// folder is where the keys lie in storage, one object each, named <key id in hex>.key.
const (
	folder = "l402/keys"
	suffix = ".key"
)

// stored is the form of a key in storage.
type stored struct {
	Created time.Time `json:"created"`
	Master  string    `json:"master"` // 32 bytes in hex
}

func keyName(id l402.KeyID) string {
	return folder + "/" + hex.EncodeToString(id[:]) + suffix
}

// parseName reads the key id in an object's name; temporary files and strangers have none.
func parseName(name string) (id l402.KeyID, ok bool) {
	base, found := strings.CutSuffix(path.Base(name), suffix)
	if !found || len(base) != 2*len(id) || strings.ToLower(base) != base {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(base))
	return id, err == nil
}

// load reads all keys. The caller holds mu. A key object that cannot be read fails the load, so
// that a passing storage error never makes paid tokens unknown; a damaged one is reported and
// left out, since waiting cannot mend it.
func (k *Keyring) load(ctx context.Context) error {
	names, err := k.list(ctx)
	if err != nil {
		return err
	}
	keys := make(map[l402.KeyID]*Key, len(names))
	old := k.current.Load()
	for _, name := range names {
		id, ok := parseName(name)
		if !ok {
			continue
		}
		if known := old.byID[id]; known != nil {
			keys[id] = known
			continue
		}
		key, err := k.read(ctx, id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // retired between List and now
		case errors.Is(err, errDamaged):
			k.logger.Error("master key is damaged; tokens made with it are refused",
				zap.String("object", keyName(id)), zap.Error(err))
		case err != nil:
			return err
		default:
			keys[id] = key
		}
	}
	// Some storages list nothing while they are out of order. Forgetting every key would
	// refuse all paid tokens and mint a needless new one, so an empty listing is believed
	// only if the objects themselves are gone too.
	if len(keys) == 0 && len(old.byID) > 0 {
		for id, key := range old.byID {
			if _, err := k.storage.Load(ctx, keyName(id)); !errors.Is(err, fs.ErrNotExist) {
				keys[id] = key
			}
		}
	}
	k.current.Store(newSet(keys))
	return nil
}

// list names the objects in the keys' folder. A missing folder is an empty one. But FileStorage
// also calls it missing when any file vanishes while it looks, such as a temporary one, so a
// missing folder is believed only when it is missing several times.
func (k *Keyring) list(ctx context.Context) (names []string, err error) {
	for range 3 {
		if names, err = k.storage.List(ctx, folder, false); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing master keys: %w", err)
	}
	return names, nil
}

// errDamaged says that an object is there and is no key.
var errDamaged = errors.New("malformed key object")

func (k *Keyring) read(ctx context.Context, id l402.KeyID) (*Key, error) {
	data, err := k.storage.Load(ctx, keyName(id))
	if err != nil {
		return nil, fmt.Errorf("reading master key %x: %w", id, err)
	}
	key, err := decode(id, data)
	if err != nil {
		return nil, fmt.Errorf("reading master key %x: %w", id, err)
	}
	return key, nil
}

func decode(id l402.KeyID, data []byte) (*Key, error) {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, errDamaged // without the reason: it may quote the secret
	}
	key := &Key{ID: id, Created: s.Created}
	if len(s.Master) != 2*len(key.master) {
		return nil, errDamaged
	}
	if _, err := hex.Decode(key.master[:], []byte(s.Master)); err != nil {
		return nil, errDamaged
	}
	return key, nil
}

// generate makes a key, writes it and makes it the minting one. The caller holds mu.
func (k *Keyring) generate(ctx context.Context) (*Key, error) {
	key := &Key{Created: k.Now().UTC()}
	// A clock that went back must not leave an older key minting after a rotation.
	if mint := k.current.Load().mint; mint != nil && !key.Created.After(mint.Created) {
		key.Created = mint.Created.Add(time.Nanosecond)
	}
	for _, part := range [][]byte{key.ID[:], key.master[:]} {
		if _, err := io.ReadFull(k.Rand, part); err != nil {
			return nil, fmt.Errorf("making a master key: %w", err)
		}
	}
	data, err := json.Marshal(stored{key.Created, hex.EncodeToString(key.master[:])})
	if err != nil {
		return nil, fmt.Errorf("making a master key: %w", err)
	}
	if err := k.storage.Store(ctx, keyName(key.ID), data); err != nil {
		return nil, fmt.Errorf("writing a new master key to storage: %w", err)
	}
	k.add(key)
	k.logger.Info("made a new master key", zap.String("key_id", hex.EncodeToString(key.ID[:])))
	return key, nil
}

// remove deletes a key's object. Deleting the empty name would wipe a whole storage; a key's
// name never is empty, since it is built from an id of fixed length.
func (k *Keyring) remove(ctx context.Context, id l402.KeyID) error {
	if err := k.storage.Delete(ctx, keyName(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("retiring master key %x: %w", id, err)
	}
	return nil
}
