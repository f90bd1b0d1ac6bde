package ledger

import (
	"context"
	"fmt"
)

// account is what one incarnation claimed of a payment and gave back.
type account struct {
	claims map[uint32]Amount
	backs  map[uint32]Amount
	until  int64
}

// closed is the number of the last claim that was settled by giving the rest back, 0 for none.
// Every claim up to it is final; claims after it are open.
func (a *account) closed() (seq uint32) {
	for n := range a.backs {
		seq = max(seq, n)
	}
	return seq
}

// open returns what the open claims hold, the first and the last of them; last is 0 when there is
// none.
func (a *account) open() (sum Amount, first, last uint32) {
	closed := a.closed()
	for n, c := range a.claims {
		if n <= closed {
			continue
		}
		sum = sum.plus(c)
		if first == 0 || n < first {
			first = n
		}
		last = max(last, n)
	}
	return sum, first, last
}

// taken is what was claimed and not given back.
func (a *account) taken() Amount {
	var sum Amount
	for _, c := range a.claims {
		sum = sum.plus(c)
	}
	for _, b := range a.backs {
		sum = sum.minus(b)
	}
	return sum.floor()
}

// book is the claims on one payment, by incarnation.
type book map[string]*account

func (b book) add(c claimName) {
	a := b[c.inc]
	if a == nil {
		a = &account{claims: make(map[uint32]Amount), backs: make(map[uint32]Amount), until: c.until}
		b[c.inc] = a
	}
	a.until = longer(a.until, c.until)
	if !c.back {
		a.claims[c.seq] = c.amount
		return
	}
	// Two who settle for a dead instance write the same. Should they not, the smaller counts.
	if old, ok := a.backs[c.seq]; ok {
		c.amount = c.amount.min2(old)
	}
	a.backs[c.seq] = c.amount
}

func (b book) taken() (sum Amount) {
	for _, a := range b {
		sum = sum.plus(a.taken())
	}
	return sum
}

// readBook lists the claims on a payment. Claims of this instance that were never valid are left
// out, and deleted when they show up again.
func (l *Ledger) readBook(ctx context.Context, hash [32]byte) (book, error) {
	return l.bookOf(ctx, hash, l.objects.list)
}

// readFirstBook is readBook for a payment on which there may be no claims yet.
func (l *Ledger) readFirstBook(ctx context.Context, hash [32]byte) (book, error) {
	return l.bookOf(ctx, hash, l.objects.listMissing)
}

func (l *Ledger) bookOf(ctx context.Context, hash [32]byte, list func(context.Context, string) ([]string, error)) (book, error) {
	keys, err := list(ctx, l.objects.usesShard(hash))
	if err != nil {
		return nil, err
	}
	b := make(book)
	for _, key := range keys {
		c, ok := l.objects.parseClaim(key)
		if !ok || c.hash != hash {
			continue
		}
		if l.ghosts.has(key) {
			l.ghosts.add(key)
			continue
		}
		b.add(c)
	}
	return b, nil
}

// settleDead gives back what dead incarnations held of a payment and had not spent, and returns
// whether incarnations that live, other than self, hold some of it. What a dead one had spent
// stands in its segments, so everybody who settles for it comes to the same result.
func (l *Ledger) settleDead(ctx context.Context, hash [32]byte, b book, self string) (held bool, err error) {
	for name, a := range b {
		sum, first, last := a.open()
		if name == self || last == 0 {
			continue
		}
		if !l.members.isDead(name) {
			held = true
			continue
		}
		spent, err := l.obituaries.spent(ctx, name, hash, first)
		if err != nil {
			return false, err
		}
		back := claimName{hash: hash, inc: name, seq: last, until: a.until, amount: sum.minus(spent).floor().min2(sum), back: true}
		if err := l.objects.store(ctx, l.objects.claim(back), nameSaysAll); err != nil {
			return false, err
		}
		b.add(back)
	}
	return held, nil
}

// nameSaysAll is the body of objects whose name says it all; some back ends refuse an empty value.
var nameSaysAll = []byte("see name\n")

// RemainingStored reads from the storage what is left of a payment. left is what nobody claimed
// and what this instance holds; held is what other instances hold and may not have spent yet.
func (l *Ledger) RemainingStored(ctx context.Context, hash [32]byte, limit Amount) (left, held Amount, err error) {
	b, err := l.readBook(ctx, hash)
	if err != nil {
		return left, held, fmt.Errorf("reading the uses of a payment: %w: %w", ErrUnavailable, err)
	}
	self := l.inc.Load().name
	for name, a := range b {
		if name != self {
			sum, _, _ := a.open()
			held = held.plus(sum)
		}
	}
	left = limit.minus(b.taken())
	s := l.uses.shard(hash)
	s.mu.Lock()
	if t := s.tokens[hash]; t != nil && t.inc != nil && t.inc.name == self {
		left = left.plus(t.left())
	}
	s.mu.Unlock()
	left, held = left.floor(), held.floor()
	if limit.Uses == 0 {
		left.Uses, held.Uses = 0, 0
	}
	if limit.Bytes == 0 {
		left.Bytes, held.Bytes = 0, 0
	}
	return left, held, nil
}
