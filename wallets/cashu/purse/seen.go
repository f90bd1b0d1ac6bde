package purse

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// What was locked to our key looks like good ecash for ever to whoever does not ask the mint. So its
// points are remembered when the record of its receipt is forgotten: eight bytes of each, in pages.
const (
	tagSize  = 8
	pageSize = 4096 * tagSize
)

// tag is the part of a point that is remembered.
type tag [tagSize]byte

func tagOf(y string) (t tag, err error) {
	b, err := hex.DecodeString(y)
	if err != nil || len(b) != 33 {
		return t, fmt.Errorf("%w: a point is damaged", ErrStore)
	}
	copy(t[:], b[1:])
	return t, nil
}

// memory is what is remembered of receipts that were forgotten. It is guarded by Purse.mu, but page
// and number by Purse.pruning.
type memory struct {
	tags   map[tag]struct{}
	page   []byte // the last one
	number int
}

func pageID(n int) string { return fmt.Sprintf("%08d", n) }

// loadSeen reads the pages; it is called while the purse is opened.
func (p *Purse) loadSeen(ctx context.Context) error {
	list, err := p.opts.Store.ListDurable(ctx, p.seenKind)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	p.seen.tags = make(map[tag]struct{})
	for _, d := range list {
		n, err := strconv.Atoi(d.ID)
		if err != nil || n < 0 || len(d.Value)%tagSize != 0 {
			return fmt.Errorf("%w: a page of what was received is damaged", ErrStore)
		}
		for t := range slices.Chunk(d.Value, tagSize) {
			p.seen.tags[tag(t)] = struct{}{}
		}
		if n >= p.seen.number {
			p.seen.number, p.seen.page = n, d.Value
		}
	}
	return nil
}

// remember writes the points of receipts down that are about to be forgotten; the caller has
// p.pruning.
func (p *Purse) remember(ctx context.Context, ys []string) error {
	for len(ys) > 0 {
		if len(p.seen.page) >= pageSize {
			p.seen.page, p.seen.number = nil, p.seen.number+1
		}
		n := min(len(ys), (pageSize-len(p.seen.page))/tagSize)
		page := slices.Clone(p.seen.page)
		tags := make([]tag, n)
		for i, y := range ys[:n] {
			var err error
			if tags[i], err = tagOf(y); err != nil {
				return err
			}
			page = append(page, tags[i][:]...)
		}
		if err := p.opts.Store.PutDurable(ctx, p.seenKind, pageID(p.seen.number), page); err != nil {
			return fmt.Errorf("%w: what was received: %w", ErrStore, err)
		}
		p.seen.page, ys = page, ys[n:]
		p.mu.Lock()
		for _, t := range tags {
			p.seen.tags[t] = struct{}{}
		}
		p.mu.Unlock()
	}
	return nil
}

// forgettable lists the points of records that must be remembered before they are pruned.
func (p *Purse) forgettable(ids []string) (ys []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if o := p.ops[id]; o != nil && o.rec.Kind == opReceive && o.rec.Locked {
			ys = append(ys, o.rec.Ys...)
		}
	}
	return ys
}

// had tells whether any of these points was received here before, other than in the operation.
func (p *Purse) had(ys []string, but string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, y := range ys {
		if id := p.received[y]; id != "" && id != but {
			return true
		}
		if t, err := tagOf(y); err != nil {
			return true
		} else if _, ok := p.seen.tags[t]; ok {
			return true
		}
	}
	return false
}

// owes tells whether something was given for any of these points that the mint was not asked about yet.
func (p *Purse) owes(ys []string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, y := range ys {
		if o := p.ops[p.received[y]]; o != nil && o.rec.State == stateBegun && o.rec.Owed {
			return true
		}
	}
	return false
}

// checkElsewhere refuses what has paid before, here or at another purse of the process. Each of two
// that are asked at the same time has entered the ecash before it looks at the other, so that not
// both take it.
func (p *Purse) checkElsewhere(o *op, offline bool) error {
	if offline && p.had(o.rec.Ys, o.rec.ID) {
		return fmt.Errorf("%w: it was received before", ErrSpent)
	}
	for _, other := range p.others() {
		switch {
		case offline && other.had(o.rec.Ys, ""):
			return fmt.Errorf("%w: it was brought to another purse", ErrBound)
		case !offline && other.owes(o.rec.Ys):
			return fmt.Errorf("%w: it has paid at another purse", ErrSpent)
		}
	}
	return nil
}

// others are the purses of the process besides this one.
func (p *Purse) others() []*Purse {
	if p.opts.Others == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.opts.Others()), func(other *Purse) bool { return other == p })
}

// isLocked tells whether any of the proofs has a condition.
func isLocked(proofs []token.Proof) bool {
	return slices.ContainsFunc(proofs, func(proof token.Proof) bool {
		c, err := token.ParseCondition(proof.Secret)
		return c != nil || err != nil
	})
}
