package keyring

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-l402/caddy-l402/l402"
)

// faulty is a storage whose faults tests choose.
type faulty struct {
	certmagic.Storage
	loads   atomic.Int64
	stores  atomic.Int64
	failing atomic.Bool
	empty   atomic.Bool
}

var errStorage = errors.New("storage is out of order")

func (f *faulty) Load(ctx context.Context, key string) ([]byte, error) {
	f.loads.Add(1)
	if f.failing.Load() {
		return nil, errStorage
	}
	return f.Storage.Load(ctx, key)
}

func (f *faulty) Store(ctx context.Context, key string, value []byte) error {
	f.stores.Add(1)
	if f.failing.Load() {
		return errStorage
	}
	return f.Storage.Store(ctx, key, value)
}

func (f *faulty) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	if f.failing.Load() {
		return nil, errStorage
	}
	if f.empty.Load() {
		return nil, nil
	}
	return f.Storage.List(ctx, path, recursive)
}

func newStorage(t *testing.T) *faulty {
	return &faulty{Storage: &certmagic.FileStorage{Path: t.TempDir()}}
}

func newRing(storage certmagic.Storage) *Keyring { return New(storage, zap.NewNop()) }

func TestFirstKeyIsMadeOnceAndKept(t *testing.T) {
	storage := newStorage(t)
	ring := newRing(storage)
	var wg sync.WaitGroup
	var ids sync.Map
	for range 20 {
		wg.Go(func() {
			id, key, err := ring.Minting(t.Context())
			if err != nil || *key == (l402.MasterKey{}) {
				t.Error(err)
			}
			ids.Store(id, nil)
		})
	}
	wg.Wait()
	if n := storage.stores.Load(); n != 1 {
		t.Errorf("%d keys were written", n)
	}
	id, key, _ := ring.Minting(t.Context())
	again := newRing(storage)
	sameID, sameKey, err := again.Minting(t.Context())
	if err != nil || sameID != id || *sameKey != *key {
		t.Error("another process has another key", err)
	}
}

func TestTwoInstancesThatStartTogether(t *testing.T) {
	storage := newStorage(t)
	a, b := newRing(storage), newRing(storage)
	// Both find nothing and make a key each.
	if _, err := a.generate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.generate(t.Context()); err != nil {
		t.Fatal(err)
	}
	idA, keyA, _ := a.Minting(t.Context())
	if b.MasterKey(idA) != nil {
		t.Fatal("b knows a's key already")
	}
	if !b.Find(t.Context(), idA) || *b.MasterKey(idA) != *keyA {
		t.Error("b does not find a's key")
	}
	for _, ring := range []*Keyring{a, b} {
		if err := ring.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mintA, _, _ := a.Minting(t.Context())
	mintB, _, _ := b.Minting(t.Context())
	if mintA != mintB {
		t.Error("they do not agree on the key that mints")
	}
}

func TestMadeUpIDsCostLittle(t *testing.T) {
	storage := newStorage(t)
	ring := newRing(storage)
	now := time.Unix(1_800_000_000, 0)
	ring.Now = func() time.Time { return now }
	if _, _, err := ring.Minting(t.Context()); err != nil {
		t.Fatal(err)
	}
	storage.loads.Store(0)
	for range 1000 {
		if ring.Find(t.Context(), l402.KeyID{1}) {
			t.Fatal("found")
		}
	}
	if n := storage.loads.Load(); n != 1 {
		t.Errorf("one unknown id caused %d loads", n)
	}
	for i := range 10_000 {
		ring.Find(t.Context(), l402.KeyID{2, byte(i), byte(i >> 8)})
	}
	if n := storage.loads.Load(); n > 30 {
		t.Errorf("10,000 made-up ids in one instant caused %d loads", n)
	}
	if n := len(ring.unknown.seen); n > 4096 {
		t.Errorf("%d unknown ids are remembered", n)
	}
}

func TestAStorageErrorIsNotAnUnknownKey(t *testing.T) {
	storage := newStorage(t)
	a, b := newRing(storage), newRing(storage)
	id, _, err := a.Minting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	storage.failing.Store(true)
	if b.Find(t.Context(), id) {
		t.Fatal("found without storage")
	}
	storage.failing.Store(false)
	if !b.Find(t.Context(), id) {
		t.Error("a passing error made the key unknown")
	}
}

func TestKeysStayInMemoryWhenStorageFails(t *testing.T) {
	storage := newStorage(t)
	ring := newRing(storage)
	id, _, err := ring.Minting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	storage.failing.Store(true)
	if err := ring.Refresh(t.Context()); !errors.Is(err, errStorage) {
		t.Error(err)
	}
	if ring.MasterKey(id) == nil {
		t.Error("the key is forgotten")
	}
	storage.failing.Store(false)
	storage.empty.Store(true) // some storages list nothing instead of failing
	if err := ring.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	if ring.MasterKey(id) == nil {
		t.Error("an empty listing made the key unknown")
	}
}

func TestNoStorageNoToken(t *testing.T) {
	storage := newStorage(t)
	storage.failing.Store(true)
	ring := newRing(storage)
	if _, _, err := ring.Minting(t.Context()); !errors.Is(err, ErrNoKeys) || !errors.Is(err, errStorage) {
		t.Error(err)
	}
	storage.failing.Store(false)
	if _, _, err := ring.Minting(t.Context()); err != nil {
		t.Error("it does not recover:", err)
	}
}

func TestRotateAndRetire(t *testing.T) {
	storage := newStorage(t)
	a, b := newRing(storage), newRing(storage)
	now := time.Unix(1_800_000_000, 0)
	a.Now = func() time.Time { return now }
	old, _, err := a.Minting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(-time.Hour) // the clock goes back, and still the new key mints
	fresh, err := a.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id, _, _ := a.Minting(t.Context()); id != fresh.ID {
		t.Error("the old key still mints")
	}
	if keys := a.Keys(); len(keys) != 2 || keys[0].ID != fresh.ID || keys[1].master != (l402.MasterKey{}) {
		t.Error("the list is wrong or shows a secret")
	}
	if err := a.Retire(t.Context(), fresh.ID); !errors.Is(err, ErrNewest) {
		t.Error(err)
	}
	if err := a.Retire(t.Context(), l402.KeyID{9}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if err := b.Refresh(t.Context()); err != nil || b.MasterKey(old) == nil {
		t.Fatal("b does not have the old key", err)
	}
	if err := a.Retire(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if a.MasterKey(old) != nil || a.Find(t.Context(), old) {
		t.Error("a retired key is accepted")
	}
	if err := b.Refresh(t.Context()); err != nil || b.MasterKey(old) != nil {
		t.Error("the other instance accepts a retired key", err)
	}
}

func TestDamagedAndForeignObjects(t *testing.T) {
	dir := t.TempDir()
	storage := &certmagic.FileStorage{Path: dir}
	core, logs := observer.New(zapcore.ErrorLevel)
	ring := New(storage, zap.New(core))
	id, _, err := newRing(storage).Minting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"0011223344556677.key":     `{"master":"abcd"}`,
		"1122334455667788.key":     "secretsecretsecret",
		"2233445566778899.key.tmp": "half",
		"README":                   "hello",
		"AABBCCDDEEFF0011.key":     "upper case",
	} {
		if err := os.WriteFile(filepath.Join(dir, "l402", "keys", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := ring.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ring.MasterKey(id) == nil || len(ring.Keys()) != 1 {
		t.Error("strangers disturb the keys")
	}
	if logs.Len() != 2 {
		t.Errorf("%d damaged keys were reported, want 2", logs.Len())
	}
	for _, entry := range logs.All() {
		if text := entry.Message + entry.ContextMap()["error"].(string); strings.Contains(text, "secretsecret") || strings.Contains(text, "abcd") {
			t.Error("a log line shows the content:", text)
		}
	}
}

func TestFixedKeys(t *testing.T) {
	one, two := strings.Repeat("1", 32), strings.Repeat("2", 32)
	ring, err := NewFixed([]string{one, two}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewFixed([]string{two}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	id, key, _ := other.Minting(t.Context())
	if got := ring.MasterKey(id); got == nil || *got != *key {
		t.Error("the second secret is not accepted, or not the same everywhere")
	}
	if mint, _, _ := ring.Minting(t.Context()); mint == id {
		t.Error("the second secret mints")
	}
	if _, err := ring.Rotate(t.Context()); !errors.Is(err, ErrFixed) {
		t.Error(err)
	}
	if err := ring.Retire(t.Context(), id); !errors.Is(err, ErrFixed) {
		t.Error(err)
	}
	if err := ring.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	if ring.Find(t.Context(), l402.KeyID{1}) {
		t.Error("found a key that is not there")
	}
	for _, bad := range [][]string{nil, {"short"}, {one, "short"}} {
		if _, err := NewFixed(bad, zap.NewNop()); err == nil || strings.Contains(err.Error(), "short") && len(bad) > 0 && !strings.Contains(err.Error(), "bytes") {
			t.Errorf("%d secrets: %v", len(bad), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"created":"2026-01-01T00:00:00Z","master":"` + strings.Repeat("ab", 32) + `"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := decode(l402.KeyID{1}, data)
		if (key == nil) != (err != nil) {
			t.Fatal(key, err)
		}
	})
}
