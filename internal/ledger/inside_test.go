package ledger

import (
	"errors"
	"hash/maphash"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

func TestPlan(t *testing.T) {
	seg := func(n uint64) segName { return segName{from: n, to: n, suffix: sufSegment} }
	set := func(a, b uint64) segName { return segName{from: a, to: b, suffix: sufSettlements} }
	use := func(a, b uint64) segName { return segName{from: a, to: b, suffix: sufUses} }
	for name, c := range map[string]struct{ have, want []segName }{
		"nothing":              {},
		"segments in order":    {[]segName{seg(2), seg(1)}, []segName{seg(1), seg(2)}},
		"merged covers":        {[]segName{seg(1), seg(2), set(1, 2), seg(3)}, []segName{set(1, 2), seg(3)}},
		"other kind is no use": {[]segName{seg(1), use(1, 2), seg(2)}, []segName{seg(1), seg(2)}},
		"wider one wins":       {[]segName{set(1, 2), set(1, 9), set(3, 9), seg(5), seg(10)}, []segName{set(1, 9), seg(10)}},
		"one for one":          {[]segName{seg(4), set(4, 4)}, []segName{set(4, 4)}},
		"gap":                  {[]segName{set(1, 2), seg(7)}, []segName{set(1, 2), seg(7)}},
	} {
		if got := plan(c.have, sufSettlements); len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestHashSets(t *testing.T) {
	small, big := newHashSet(maphash.MakeSeed(), 0), newBigSet()
	for round := range 2 {
		for i := range uint64(20000) {
			h := numberedHash(i)
			if got := small.add(small.digest(&h)); got != (round == 0) {
				t.Fatalf("round %d, hash %d: new %t", round, i, got)
			}
			if got := big.add(&h); got != (round == 0) {
				t.Fatalf("round %d, hash %d: new %t in parts", round, i, got)
			}
		}
	}
	other := numberedHash(1 << 50)
	if small.has(small.digest(&other)) {
		t.Error("knows what was never added")
	}
}

func TestRecentIsBounded(t *testing.T) {
	const n = 64 * 100
	r := newRecent(n)
	yes := func() error { return nil }
	for i := range uint64(10 * n) {
		if first, err := r.add(numberedHash(i), yes); !first || err != nil {
			t.Fatal("a new hash is known")
		}
		if first, _ := r.add(numberedHash(i), yes); first {
			t.Fatal("a hash is new twice")
		}
		_, _ = r.add(numberedHash(0), yes) // asked for all the time
	}
	held := 0
	for i := range r.shards {
		held += r.shards[i].young.n + r.shards[i].old.n
	}
	if held < n/2 || held > 2*n+memoryShards {
		t.Errorf("%d hashes held of %d", held, n)
	}
	if !r.has(numberedHash(0)) || !r.has(numberedHash(10*n-1)) || r.has(numberedHash(1)) {
		t.Error("the wrong ones were dropped")
	}
	no := errors.New("no")
	h := numberedHash(1 << 50)
	if _, err := r.add(h, func() error { return no }); !errors.Is(err, no) || r.has(h) {
		t.Errorf("remembers what failed: %v", err)
	}
}

func TestAccount(t *testing.T) {
	b := make(book)
	for _, c := range []claimName{
		{inc: incA, seq: 1, amount: Amount{Uses: 10}},
		{inc: incA, seq: 2, amount: Amount{Uses: 5}},
		{inc: incA, seq: 2, amount: Amount{Uses: 4}, back: true},
		{inc: incA, seq: 2, amount: Amount{Uses: 3}, back: true}, // a second settler that saw more spent
		{inc: incA, seq: 3, amount: Amount{Uses: 2}},
		{inc: incB, seq: 1, amount: Amount{Uses: 1}},
	} {
		b.add(c)
	}
	if got := b.taken(); got.Uses != 15 {
		t.Errorf("taken %d, want 10+5-3+2+1", got.Uses)
	}
	if sum, first, last := b[incA].open(); sum.Uses != 2 || first != 3 || last != 3 {
		t.Errorf("open %v from %d to %d", sum, first, last)
	}
	if sum, first, last := b[incB].open(); sum.Uses != 1 || first != 1 || last != 1 {
		t.Errorf("open %v from %d to %d", sum, first, last)
	}
}

// TestMergeKeepsCounts merges many segments in small steps and compares the sums.
func TestMergeKeepsCounts(t *testing.T) {
	l, err := Open(t.Context(), Options{Storage: &certmagic.FileStorage{Path: t.TempDir()}, CompactAfter: 3})
	if err != nil {
		t.Fatal(err)
	}
	inc := l.inc.Load().name
	now := time.Now()
	want := make(map[[32]byte]int64)
	for i := range int64(60) {
		hash := numberedHash(uint64(i % 7))
		u := useEntry{hash: hash, period: 1, delta: Amount{Uses: i - 10}}
		want[hash] += i - 10
		if err := l.journal.appendWait(t.Context(), recUse, now.UnixNano(), u.appendTo(nil)); err != nil {
			t.Fatal(err)
		}
		gone := useEntry{hash: numberedHash(99), period: 1, delta: Amount{Uses: 1}, until: now.Add(-25 * time.Hour).Unix()}
		if err := l.journal.append(recUse, now.UnixNano(), gone.appendTo(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := l.Stats().Segments; n > 3 {
		t.Errorf("%d files are left", n)
	}
	for hash, sum := range want {
		got, err := l.obituaries.spent(t.Context(), inc, hash, 1)
		if err != nil || got.Uses != max(sum, 0) {
			t.Errorf("spent %v, %v, want %d", got, err, sum)
		}
	}
	ob, err := l.obituaries.read(t.Context(), inc)
	if err != nil || len(ob) != 7 {
		t.Errorf("%d tokens, want 7 without the expired one, %v", len(ob), err)
	}
}

func TestPruneUses(t *testing.T) {
	l, err := Open(t.Context(), Options{Storage: &certmagic.FileStorage{Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	now := time.Now()
	old, young := now.Add(-48*time.Hour).Unix(), now.Unix()
	for i, until := range [][]int64{{old, old}, {old, young}, {0, old}} {
		for seq, end := range until {
			c := claimName{hash: [32]byte{7, byte(i)}, inc: incA, seq: uint32(seq + 1), until: end}
			if err := l.objects.store(t.Context(), l.objects.claim(c), nameSaysAll); err != nil {
				t.Fatal(err)
			}
		}
	}
	for shard := range 256 {
		if err := l.pruneUses(t.Context(), shard, now); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := l.objects.list(t.Context(), l.objects.area(areaUses))
	if err != nil || len(keys) != 4 {
		t.Fatalf("%q, %v", keys, err)
	}
	for _, k := range keys {
		if strings.Contains(k, "/07/00/") {
			t.Errorf("%s is void and still there", k)
		}
	}
}

func TestProcessEnd(t *testing.T) {
	self := currentProcess()
	if self.PID == 0 {
		t.Skip("nothing is known of processes here")
	}
	if self.surelyEnded(self) {
		t.Error("this process ended")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := self
	gone.PID = cmd.Process.Pid
	gone.Start = "1"
	if !gone.surelyEnded(self) {
		t.Error("a process whose number was given again is taken for alive")
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !gone.surelyEnded(self) {
		t.Error("an ended process is taken for alive")
	}
	for name, change := range map[string]func(*processID){
		"other machine":   func(p *processID) { p.Boot = "x" },
		"other namespace": func(p *processID) { p.Space = "x" },
		"nothing known":   func(p *processID) { *p = processID{} },
		"no number":       func(p *processID) { p.PID = 0 },
		"all processes":   func(p *processID) { p.PID = -1 },
	} {
		p := gone
		change(&p)
		if p.surelyEnded(self) {
			t.Errorf("%s: claims to know", name)
		}
	}
}

// TestHotPathAllocations keeps the paid path from making garbage beyond the reservation itself.
func TestHotPathAllocations(t *testing.T) {
	l, err := Open(t.Context(), Options{Storage: &certmagic.FileStorage{Path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	id := numberedHash(1)
	s := sampleSettlement(1)
	req := UseRequest{Hash: id, Limit: Amount{Uses: 1 << 40}, Cost: Amount{Uses: 1}}
	for name, c := range map[string]struct {
		most float64
		call func()
	}{
		"Revoked": {0, func() { _ = l.Revoked(id, id, "svc", time.Time{}) }},
		"Settled": {0, func() { _ = l.Settled(id) }},
		"RecordSettlement": {0, func() {
			if _, err := l.RecordSettlement(s); err != nil {
				t.Error(err)
			}
		}},
		"Reserve and Commit": {1.5, func() {
			r, err := l.Reserve(t.Context(), req)
			if err == nil {
				err = r.Commit(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		}},
	} {
		c.call()
		if n := testing.AllocsPerRun(2000, c.call); n > c.most {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
