package ledger

import (
	"sync"
	"sync/atomic"
	"time"
)

// Amount is a number of uses, a number of bytes, or both. As a limit, zero means that the number
// is not limited.
type Amount struct {
	Uses  int64
	Bytes int64
}

func (a Amount) plus(b Amount) Amount  { return Amount{a.Uses + b.Uses, a.Bytes + b.Bytes} }
func (a Amount) minus(b Amount) Amount { return Amount{a.Uses - b.Uses, a.Bytes - b.Bytes} }

// floor replaces negative numbers by zero.
func (a Amount) floor() Amount { return Amount{max(a.Uses, 0), max(a.Bytes, 0)} }

// within tells whether a stays within limit, where zero is no limit.
func (a Amount) within(limit Amount) bool {
	return (limit.Uses == 0 || a.Uses <= limit.Uses) && (limit.Bytes == 0 || a.Bytes <= limit.Bytes)
}

// covers tells whether left is enough for cost, as far as limit limits. A request that costs no
// bytes yet still needs one to be left.
func (left Amount) covers(cost, limit Amount) bool {
	return (limit.Uses == 0 || left.Uses >= cost.Uses) && (limit.Bytes == 0 || left.Bytes >= max(cost.Bytes, 1))
}

// some tells whether anything is left of what limit limits.
func (left Amount) some(limit Amount) bool {
	return limit.Uses != 0 && left.Uses > 0 || limit.Bytes != 0 && left.Bytes > 0
}

// min2 is the smaller of each number.
func (a Amount) min2(b Amount) Amount { return Amount{min(a.Uses, b.Uses), min(a.Bytes, b.Bytes)} }

// token is what this instance knows of a payment's uses. Its shard's lock guards it.
type token struct {
	hash  [32]byte
	shard *tokenShard
	inc   *incarnation // to which granted belongs
	limit Amount
	until int64 // unix seconds, 0 unknown

	granted  Amount // claimed by this instance since period began
	used     Amount // spent of it
	reserved Amount // held by requests under way
	flights  int    // reservations under way
	others   Amount // all that was claimed besides, when last looked
	period   uint32 // number of the first claim of granted
	last     uint32 // number of the last claim of granted, 0 for none

	delta   Amount // spent and not yet handed to the journal
	dirty   bool   // in the list of drain
	touched time.Time

	busy      *flight // a claim or a return is under way
	exhausted bool    // less than refused is left anywhere, for good
	refused   Amount
	unpaid    *claimName
	again     time.Time // no new claim before, after one that found nothing
	refusal   error     // what that one found

	keys []idempotencyKey
}

// left is what the instance can give without asking.
func (t *token) left() Amount { return t.granted.minus(t.used).minus(t.reserved) }

// flight is a slow step on a token, shared by all who wait for it.
type flight struct {
	done chan struct{}
	err  error
}

const tokenShards = 256

// uses holds the metered tokens in memory. It is safe for concurrent use.
type uses struct {
	l      *Ledger
	shards [tokenShards]tokenShard
	count  atomic.Int64
	inUse  atomic.Int64 // reservations under way

	dirtyMu sync.Mutex
	dirty   []*token
}

type tokenShard struct {
	mu     sync.Mutex
	tokens map[[32]byte]*token
	_      [40]byte // so that neighbors do not share a cache line
}

func newUses(l *Ledger) *uses {
	u := &uses{l: l}
	for i := range u.shards {
		u.shards[i].tokens = make(map[[32]byte]*token)
	}
	return u
}

func (u *uses) shard(hash [32]byte) *tokenShard { return &u.shards[hash[0]] }

// spend notes an amount as spent. Callers hold the shard's lock.
func (u *uses) spend(t *token, a Amount) {
	t.used = t.used.plus(a)
	t.delta = t.delta.plus(a)
	if !t.dirty {
		t.dirty = true
		u.dirtyMu.Lock()
		u.dirty = append(u.dirty, t)
		u.dirtyMu.Unlock()
		signal(u.l.journal.wake)
	}
}

// drain encodes what was spent since the last call, one record for each token.
func (u *uses) drain(inc *incarnation) (records []byte, count int) {
	u.dirtyMu.Lock()
	list := u.dirty
	u.dirty = nil
	u.dirtyMu.Unlock()
	now := u.l.opts.Now().UnixNano()
	var scratch [96]byte
	for _, t := range list {
		t.shard.mu.Lock()
		e, some := t.takeDelta(inc)
		t.shard.mu.Unlock()
		if some {
			records = appendRecord(records, recUse, now, e.appendTo(scratch[:0]))
			count++
		}
	}
	return records, count
}

// takeDelta returns what was spent and is not yet in the journal. Callers hold the shard's lock.
func (t *token) takeDelta(inc *incarnation) (e useEntry, some bool) {
	e = useEntry{hash: t.hash, period: t.period, delta: t.delta, until: t.until}
	some = t.delta != Amount{} && t.inc == inc
	t.delta, t.dirty = Amount{}, false
	return e, some
}

// reset forgets all tokens: what they were granted belongs to others now.
func (u *uses) reset() {
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		u.count.Add(-int64(len(s.tokens)))
		clear(s.tokens)
		s.mu.Unlock()
	}
}
