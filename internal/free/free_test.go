package free

import (
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
	if err := Withdraw(t.Context(), storage, "a", "svc"); err != nil {
		t.Fatal(err)
	}
	if err := Withdraw(t.Context(), storage, "", ""); err != nil {
		t.Fatal(err)
	}
	share()
	if s := b.Take("alice", daily, start); !s.Allowed {
		t.Fatalf("after the other instance is gone: %+v", s)
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
