package limit

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var (
	start = time.Unix(1_800_000_000, 0)
	alice = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("192.0.2.2")
)

func TestAllowThenWait(t *testing.T) {
	l, r := New(10), Rate{3, time.Minute}
	for i := range 3 {
		if wait := l.Allow(alice, r, start); wait != 0 {
			t.Fatalf("event %d has to wait %v", i, wait)
		}
	}
	if wait := l.Allow(alice, r, start); wait < 19*time.Second || wait > 20*time.Second {
		t.Fatalf("fourth event has to wait %v, want 20 s", wait)
	}
	if wait := l.Allow(bob, r, start); wait != 0 {
		t.Fatal("another client has to wait", wait)
	}
	if wait := l.Allow(alice, r, start.Add(20*time.Second)); wait != 0 {
		t.Fatal("after the wait it must pass, not", wait)
	}
}

func TestOffLimitsNothing(t *testing.T) {
	l := New(10)
	for range 1000 {
		if l.Allow(alice, Rate{}, start) != 0 {
			t.Fatal("limited")
		}
	}
	if l.Len() != 0 {
		t.Fatal("an unlimited client is remembered")
	}
}

func TestChangedRateAppliesAtOnce(t *testing.T) {
	l := New(10)
	if l.Allow(alice, Rate{1, time.Hour}, start) != 0 {
		t.Fatal("first event refused")
	}
	if l.Allow(alice, Rate{1, time.Hour}, start) == 0 {
		t.Fatal("second event passed")
	}
	if l.Allow(alice, Rate{1000, time.Second}, start.Add(time.Second)) != 0 {
		t.Fatal("the greater rate is not applied")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	l, r := New(100), Rate{1, time.Hour}
	for i := range uint32(10_000) {
		l.Allow(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i))), r, start)
	}
	if l.Len() != 100 || len(l.clients) != 100 {
		t.Fatalf("%d clients and %d keys are remembered, want 100", l.Len(), len(l.clients))
	}
	// The one seen last is still known.
	if l.Allow(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 9999))), r, start) == 0 {
		t.Fatal("the most recent client was forgotten")
	}
}

func TestPrefix(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1/32",
		"::ffff:192.0.2.1":   "192.0.2.1/32",
		"2001:db8:1:2:3::4":  "2001:db8:1:2::/64",
		"fe80::1%eth0":       "fe80::/64",
		"2001:db8:1:2::ffff": "2001:db8:1:2::/64",
	} {
		if got := Prefix(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("Prefix(%s) = %s, want %s", in, got, want)
		}
	}
	if Prefix(netip.Addr{}).IsValid() {
		t.Error("the invalid address has a prefix")
	}
}

func TestConcurrentUse(t *testing.T) {
	l, r := New(50), Rate{100, time.Minute}
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if l.Allow(alice, r, start) == 0 {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 100 {
		t.Fatalf("%d events passed, want 100", passed)
	}
}

func TestForgive(t *testing.T) {
	l, r := New(50), Rate{2, time.Minute}
	l.Forgive(alice, r, start) // who was never counted has nothing to be forgiven
	for range 10 {
		if l.Allow(alice, r, start) != 0 {
			t.Fatal("a forgiven event counts")
		}
		l.Forgive(alice, r, start)
	}
	l.Allow(alice, r, start)
	l.Allow(alice, r, start)
	if l.Allow(alice, r, start) == 0 {
		t.Error("forgiven events give more than the rate")
	}
	l.Forgive(alice, Rate{}, start)
	l.Forgive(alice, Rate{3, time.Minute}, start)
	if l.Allow(alice, r, start) == 0 {
		t.Error("an event of another rate was forgiven")
	}
}
