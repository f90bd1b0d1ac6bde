package ledger

import (
	"hash/maphash"
	"sync"
)

// hashSet is a compact set of payment hashes: eight bytes for each, open addressing. It keeps a
// keyed 64-bit digest and not the hash, so two hashes can be taken for one with a probability of
// about n²/2⁶⁵ (three in a million for ten million payments), and nobody can aim for it. It is
// not safe for concurrent use.
type hashSet struct {
	seed  maphash.Seed
	slots []uint64
	n     int
}

func newHashSet(seed maphash.Seed, capacity int) *hashSet {
	size := 64
	for size*3/4 < capacity {
		size *= 2
	}
	return &hashSet{seed: seed, slots: make([]uint64, size)}
}

func (s *hashSet) digest(hash *[32]byte) uint64 {
	// Zero marks a free slot.
	return max(maphash.Bytes(s.seed, hash[:]), 1)
}

// find returns the slot of a digest, or the free slot where it would go.
func (s *hashSet) find(d uint64) int {
	mask := uint64(len(s.slots) - 1)
	for i := d & mask; ; i = (i + 1) & mask {
		if v := s.slots[i]; v == d || v == 0 {
			return int(i)
		}
	}
}

func (s *hashSet) has(d uint64) bool { return s.slots[s.find(d)] != 0 }

// add returns false when the digest was there.
func (s *hashSet) add(d uint64) bool {
	i := s.find(d)
	if s.slots[i] != 0 {
		return false
	}
	s.slots[i] = d
	if s.n++; s.n > len(s.slots)*3/4 {
		old := s.slots
		s.slots = make([]uint64, 2*len(old))
		for _, d := range old {
			if d != 0 {
				s.slots[s.find(d)] = d
			}
		}
	}
	return true
}

// bigSet is a hashSet in parts that grow one by one, so that growing needs little memory at once.
type bigSet struct{ parts [256]*hashSet }

func newBigSet() *bigSet {
	b := &bigSet{}
	seed := maphash.MakeSeed()
	for i := range b.parts {
		b.parts[i] = newHashSet(seed, 0)
	}
	return b
}

// add returns false when the hash was there.
func (b *bigSet) add(hash *[32]byte) bool {
	d := b.parts[0].digest(hash)
	return b.parts[d>>56].add(d)
}

const memoryShards = 64

// recent remembers the newest hashes, between n and 2n of them, in two generations: the older one
// is dropped when the younger one is full. It is safe for concurrent use.
type recent struct {
	seed   maphash.Seed
	shards [memoryShards]recentShard
}

type recentShard struct {
	mu         sync.Mutex
	young, old *hashSet
	limit      int
	_          [32]byte // so that neighbors do not share a cache line
}

func newRecent(n int) *recent {
	r := &recent{seed: maphash.MakeSeed()}
	for i := range r.shards {
		s := &r.shards[i]
		s.limit = max(n/memoryShards, 1)
		s.young, s.old = newHashSet(r.seed, 0), newHashSet(r.seed, 0)
	}
	return r
}

func (r *recent) has(hash [32]byte) bool {
	s := &r.shards[hash[0]%memoryShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.young.digest(&hash)
	return s.young.has(d) || s.old.has(d)
}

// add remembers a hash when it is new and then returns no error. It returns whether it was new.
func (r *recent) add(hash [32]byte, then func() error) (bool, error) {
	s := &r.shards[hash[0]%memoryShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.young.digest(&hash)
	if s.young.has(d) {
		return false, nil
	}
	if !s.old.has(d) {
		if err := then(); err != nil {
			return false, err
		}
		s.put(d)
		return true, nil
	}
	s.put(d) // still asked for: keep it for another generation
	return false, nil
}

func (s *recentShard) put(d uint64) {
	if s.young.n >= s.limit {
		s.old, s.young = s.young, newHashSet(s.young.seed, 0)
	}
	s.young.add(d)
}
