package free

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

var (
	start = time.Unix(1_800_000_000, 0)
	daily = Allowance{3, 24 * time.Hour}
)

func TestAllowanceAndWindow(t *testing.T) {
	c := New(10)
	for i := range 3 {
		s := c.Take("alice", daily, start.Add(time.Duration(i)*time.Hour))
		if !s.Allowed || s.Remaining != 2-i || s.Limit != 3 || s.Reset != time.Duration(24-i)*time.Hour {
			t.Fatalf("request %d: %+v", i, s)
		}
	}
	if s := c.Take("alice", daily, start.Add(23*time.Hour)); s.Allowed || s.Remaining != 0 || s.Reset != time.Hour {
		t.Fatalf("fourth request: %+v", s)
	}
	if s := c.Take("bob", daily, start); !s.Allowed {
		t.Fatalf("another client: %+v", s)
	}
	if s := c.Take("alice", daily, start.Add(24*time.Hour)); !s.Allowed || s.Remaining != 2 {
		t.Fatalf("in the next window: %+v", s)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := New(100)
	for i := range 10_000 {
		c.Take(fmt.Sprint(i), daily, start)
	}
	if c.Len() != 100 || len(c.changed) > 100 {
		t.Fatalf("%d clients, %d changes", c.Len(), len(c.changed))
	}
}

func TestInstancesShare(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	a, b := New(10), New(10)
	share := func() {
		for name, c := range map[string]*Counter{"a": a, "b": b} {
			if err := c.Share(t.Context(), storage, name, "svc", start); err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]*Counter{"a": a, "b": b} {
			if err := c.Share(t.Context(), storage, name, "svc", start); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.Take("alice", daily, start)
	b.Take("alice", daily, start)
	share()
	if s := a.Take("alice", daily, start); !s.Allowed || s.Remaining != 0 {
		t.Fatalf("third request: %+v", s)
	}
	share()
	if s := b.Take("alice", daily, start); s.Allowed {
		t.Fatalf("fourth request, on the other instance: %+v", s)
	}
}

func TestInstancesThatEndedAreCleanedUp(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	share := func(c *Counter, instance string, now time.Time) {
		if err := c.Share(t.Context(), storage, instance, "svc", now); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxInstances + 10 { // as many starts of a server
		c := New(10)
		c.Take("alice", daily, start)
		share(c, fmt.Sprint("old", i), start)
	}
	later := start.Add(72 * time.Hour)
	a, b := New(10), New(10)
	a.Take("bob", daily, later)
	b.Take("bob", daily, later)
	for range 2 {
		share(a, "a", later)
		share(b, "b", later)
	}
	if names, err := storage.List(t.Context(), folder+"/svc", false); err != nil || len(names) != 2 {
		t.Errorf("%d objects, %v", len(names), err)
	}
	a.Take("bob", daily, later)
	share(a, "a", later)
	share(b, "b", later)
	if s := b.Take("bob", daily, later); s.Allowed {
		t.Error("instances that live are not heard:", s)
	}
}

// failingStorage fails to store once.
type failingStorage struct {
	certmagic.FileStorage
	failed bool
}

func (s *failingStorage) Store(ctx context.Context, key string, value []byte) error {
	if !s.failed {
		s.failed = true
		return errors.New("full")
	}
	return s.FileStorage.Store(ctx, key, value)
}

func TestWhatCouldNotBeToldIsToldLater(t *testing.T) {
	storage := &failingStorage{FileStorage: certmagic.FileStorage{Path: t.TempDir()}}
	a, b := New(10), New(10)
	for range 3 {
		a.Take("alice", daily, start)
	}
	if err := a.Share(t.Context(), storage, "a", "svc", start); err == nil {
		t.Fatal("no error")
	}
	if err := a.Share(t.Context(), storage, "a", "svc", start); err != nil {
		t.Fatal(err)
	}
	if err := b.Share(t.Context(), storage, "b", "svc", start); err != nil {
		t.Fatal(err)
	}
	if s := b.Take("alice", daily, start); s.Allowed {
		t.Errorf("the other instance does not know: %+v", s)
	}
}

func TestNothingNewWritesNothing(t *testing.T) {
	c := New(10)
	c.Take("alice", daily, start)
	if c.encode() == nil || c.encode() != nil {
		t.Error("written twice, or not at all")
	}
}

func FuzzDecode(f *testing.F) {
	c := New(10)
	c.Take("alice", daily, start)
	f.Add(c.encode())
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, n := range decode(data, start) {
			if n.n < 0 || n.since.After(start.Add(time.Minute)) {
				t.Fatal(n)
			}
		}
	})
}
