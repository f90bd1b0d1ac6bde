package books

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

// downStorage can be out of order.
type downStorage struct {
	*certmagic.FileStorage
	down *atomic.Bool
	Name string
}

var errDown = errors.New("storage is down")

func (s *downStorage) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.FileStorage.List(ctx, path, recursive)
}

func (s *downStorage) Store(ctx context.Context, key string, value []byte) error {
	if s.down.Load() {
		return errDown
	}
	return s.FileStorage.Store(ctx, key, value)
}

func reserve(t *testing.T, l *ledger.Ledger) (*ledger.Reservation, error) {
	t.Helper()
	return l.Reserve(t.Context(), ledger.UseRequest{
		Hash: [32]byte{1}, Limit: ledger.Amount{Uses: 5}, Cost: ledger.Amount{Uses: 1}, ValidUntil: time.Now().Add(time.Hour),
	})
}

func TestConfigurationsShareTheLedgerOfAStorage(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	first := &Host{Storage: &certmagic.FileStorage{Path: dir}, Logger: zap.NewNop()}
	second := &Host{Storage: &certmagic.FileStorage{Path: dir}, Logger: zap.NewNop()}
	b := For(first.Storage)
	if For(second.Storage) != b || For(&certmagic.FileStorage{Path: t.TempDir()}) == b {
		t.Fatal("books do not follow the storage")
	}
	if err := b.Attach(first); err != nil {
		t.Fatal(err)
	}
	l := b.Ledger()
	if err := b.Attach(second); err != nil || b.Ledger() != l {
		t.Fatal("a second configuration opened the ledger anew", err)
	}
	if err := b.Detach(first); err != nil || b.Ledger() != l {
		t.Fatal("the first one closed it", err)
	}
	held, err := reserve(t, l)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = held.Commit(context.Background()) })
	if err := b.Detach(second); err != nil || b.Ledger() != nil {
		t.Fatal("the last one did not close it", err)
	}
	if err := b.Detach(second); err != nil {
		t.Fatal("a second time:", err)
	}
	// What was spent while it closed is spent.
	third := &Host{Storage: &certmagic.FileStorage{Path: dir}, Logger: zap.NewNop()}
	if err := b.Attach(third); err != nil {
		t.Fatal(err)
	}
	again, err := reserve(t, b.Ledger())
	if err != nil || again.Remaining().Uses != 3 {
		t.Errorf("%+v, %v", again, err)
	}
	again.Release()
	if err := b.Detach(third); err != nil {
		t.Fatal(err)
	}
}

func TestAStorageThatComesBack(t *testing.T) {
	defer goleak.VerifyNone(t)
	down := new(atomic.Bool)
	down.Store(true)
	storage := &downStorage{&certmagic.FileStorage{Path: t.TempDir()}, down, "a"}
	b := For(storage)
	host := &Host{Storage: storage, Logger: zap.NewNop()}
	if err := b.Attach(host); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	if b.Ledger() != nil {
		t.Fatal("open without storage")
	}
	down.Store(false)
	for range 500 {
		if b.Ledger() != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if b.Ledger() == nil {
		t.Fatal("it was not opened when the storage came back")
	}
	if err := b.Detach(host); err != nil {
		t.Fatal(err)
	}
}

func TestDetachWhileItIsTried(t *testing.T) {
	defer goleak.VerifyNone(t)
	down := new(atomic.Bool)
	down.Store(true)
	storage := &downStorage{&certmagic.FileStorage{Path: t.TempDir()}, down, "b"}
	b := For(storage)
	host := &Host{Storage: storage, Logger: zap.NewNop()}
	if err := b.Attach(host); err == nil {
		t.Fatal("no error")
	}
	if err := b.Detach(host); err != nil {
		t.Fatal(err)
	}
}
