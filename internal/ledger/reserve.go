package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// UseRequest asks for a part of what a payment bought.
type UseRequest struct {
	// Hash is the payment hash; all tokens of a payment share its uses.
	Hash [32]byte
	// Limit is what the payment bought, at least one of the numbers. A holder may have narrowed
	// a token, so requests for one hash may differ: the limit is a ceiling on all that was
	// spent of the payment, by whichever token.
	Limit Amount
	// Cost is what the request takes. Uses must not be zero where uses are limited. Bytes may
	// be zero while their number is unknown: then one byte must be left, and
	// Reservation.SpendBytes counts them as they go.
	Cost Amount
	// ValidUntil is the end of life that the payment bought, not one that a holder shortened:
	// when it has passed by a day the traces of the payment are deleted. Zero means never.
	ValidUntil time.Time
	// IdempotencyKey lets a retry of the same request pass without being charged again; the
	// caller binds method and target into it. Empty means none.
	IdempotencyKey string
}

func (r *UseRequest) check() error {
	switch {
	case r.Limit.Uses < 0 || r.Limit.Bytes < 0 || r.Cost.Uses < 0 || r.Cost.Bytes < 0:
		return fmt.Errorf("reserving: %w: negative amount", ErrInvalid)
	case r.Limit == Amount{}:
		return fmt.Errorf("reserving: %w: no limit; a token without one needs no reservation", ErrInvalid)
	case r.Limit.Uses > 0 && r.Cost.Uses == 0:
		return fmt.Errorf("reserving: %w: uses are limited and the request costs none", ErrInvalid)
	case !r.Cost.within(r.Limit):
		return fmt.Errorf("reserving: %w: the request costs more than the payment bought", ErrInvalid)
	case r.Limit.Uses > 1<<60 || r.Limit.Bytes > 1<<60:
		return fmt.Errorf("reserving: %w: limit beyond 2^60", ErrInvalid)
	case r.Hash == [32]byte{}:
		return fmt.Errorf("reserving: %w: no payment hash", ErrInvalid)
	}
	return nil
}

// Reserve holds a part of a payment for one request. The caller ends the reservation with Commit
// or Release. Where this instance has uses at hand, Reserve touches memory only; else it claims
// some in the storage, waiting up to ReserveTimeout and, for another instance to give uses back,
// HandoverWait.
//
// It returns ErrExhausted, ErrInUse, ErrElsewhere, ErrRepeatedRequest, ErrUnavailable, ErrFenced,
// ErrBusy, ErrClosed or ErrInvalid, wrapped. After any error nothing is held.
func (l *Ledger) Reserve(ctx context.Context, req UseRequest) (*Reservation, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	var cancel context.CancelFunc
	for {
		if l.closing.Load() {
			return nil, fmt.Errorf("reserving: %w", ErrClosed)
		}
		now := l.opts.Now()
		if l.degraded(now) {
			return nil, fmt.Errorf("reserving: %w", ErrUnavailable)
		}
		res, wait, err := l.uses.try(&req, now)
		if wait == nil {
			if err != nil {
				return nil, fmt.Errorf("reserving: %w", err)
			}
			return res, nil
		}
		if cancel == nil {
			ctx, cancel = context.WithTimeout(ctx, l.opts.ReserveTimeout+max(l.opts.HandoverWait, 0))
			defer cancel()
		}
		select {
		case <-wait.done:
			if wait.err != nil {
				return nil, fmt.Errorf("reserving: %w", wait.err)
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("reserving: %w: %w", ErrUnavailable, ctx.Err())
		}
	}
}

// try reserves from memory. When that is not possible but may become so, it returns what to wait
// for before trying again.
func (u *uses) try(req *UseRequest, now time.Time) (*Reservation, *flight, error) {
	s := u.shard(req.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[req.Hash]
	if t != nil && t.inc != nil && t.inc != u.l.inc.Load() && t.busy == nil {
		delete(s.tokens, req.Hash) // what it was granted belongs to others now
		u.count.Add(-1)
		t = nil
	}
	if t == nil {
		if u.count.Load() >= int64(u.l.opts.MaxTokens) {
			signal(u.l.sweepNow)
			return nil, nil, fmt.Errorf("%w: %d metered tokens in memory", ErrUnavailable, u.l.opts.MaxTokens)
		}
		t = &token{hash: req.Hash, shard: s, limit: req.Limit}
		if !req.ValidUntil.IsZero() {
			t.until = req.ValidUntil.Unix()
		}
		s.tokens[req.Hash] = t
		u.count.Add(1)
	}
	t.touched = now
	if req.IdempotencyKey != "" {
		if e := t.key(req.IdempotencyKey, now, u.l.opts.IdempotencyWindow); e != nil {
			switch {
			case e.underWay:
				return nil, nil, ErrRepeatedRequest
			case e.replays < maxReplays:
				e.replays++
				return &Reservation{l: u.l, t: t, replay: true}, nil, nil
			}
		}
	}
	if t.busy != nil {
		return nil, t.busy, nil
	}
	spent := t.others.plus(t.used).plus(t.reserved).plus(Amount{Uses: req.Cost.Uses, Bytes: max(req.Cost.Bytes, 1)})
	if t.inc != nil && t.left().covers(req.Cost, req.Limit) && spent.within(req.Limit) {
		if !t.inc.holds(now, u.l.opts.LeaseTTL) {
			return nil, u.relet(t), nil
		}
		t.reserved = t.reserved.plus(req.Cost)
		t.flights++
		u.inUse.Add(1)
		r := &Reservation{l: u.l, t: t, cost: req.Cost, limit: req.Limit, inc: t.inc}
		if req.IdempotencyKey != "" {
			r.key = t.addKey(req.IdempotencyKey, now)
		}
		return r, nil, nil
	}
	if t.exhausted && req.Limit == t.limit && req.Cost.Uses >= t.refused.Uses && req.Cost.Bytes >= t.refused.Bytes {
		if t.flights > 0 {
			return nil, nil, ErrInUse
		}
		return nil, nil, ErrExhausted
	}
	if now.Before(t.again) {
		return nil, nil, t.refusal
	}
	return nil, u.claim(t, *req), nil
}

// Reservation is a part of a payment that one request holds. It is safe for concurrent use.
type Reservation struct {
	l      *Ledger
	t      *token
	inc    *incarnation
	cost   Amount
	limit  Amount
	key    uint64 // of its entry in the token's keys, 0 for none
	replay bool
	state  atomic.Uint32 // resHeld …
}

const (
	resHeld uint32 = iota
	resSpent
	resReleased
)

// Replay tells whether the request repeats one that was charged already; then Commit and Release
// change nothing.
func (r *Reservation) Replay() bool { return r.replay }

// Commit spends what was reserved. Call it before the response begins. For a payment of a single
// use it returns once that is stored, so that the use is spent even if the machine stops right
// after; for others it touches memory only, and the count is stored within CommitEvery.
//
// An error (ErrUnavailable, ErrFenced, ErrClosed, ErrBacklog) means that the use could not surely be
// spent: do not answer the request. It was given back, except where ErrFenced says that another
// instance has taken it over. Committing again, or after Release, changes nothing.
func (r *Reservation) Commit(ctx context.Context) error {
	if r.replay || !r.state.CompareAndSwap(resHeld, resSpent) {
		return nil
	}
	t, l := r.t, r.l
	defer l.uses.inUse.Add(-1)
	now := l.opts.Now()
	single := r.limit.Uses == 1
	t.shard.mu.Lock()
	t.reserved = t.reserved.minus(r.cost)
	t.flights--
	t.touched = now
	ours := l.inc.Load() == r.inc && t.inc == r.inc
	if single {
		// Whoever finds this instance dead gives unspent uses to others.
		if !ours || !r.inc.holds(now, l.opts.LeaseTTL) {
			t.endKey(r.key, false, now)
			t.shard.mu.Unlock()
			return fmt.Errorf("spending a use: %w", ErrFenced)
		}
		t.used = t.used.plus(r.cost)
		e := useEntry{hash: t.hash, period: t.period, delta: r.cost, until: t.until}
		t.shard.mu.Unlock()
		return r.store(ctx, e, now)
	}
	if ours {
		l.uses.spend(t, r.cost)
	}
	t.endKey(r.key, true, now)
	t.shard.mu.Unlock()
	return nil
}

// store waits until a single use is stored and takes it back when that fails.
func (r *Reservation) store(ctx context.Context, e useEntry, now time.Time) error {
	t, l := r.t, r.l
	ctx, cancel := context.WithTimeout(ctx, l.opts.ReserveTimeout)
	defer cancel()
	var scratch [96]byte
	err := l.journal.appendWait(ctx, recUse, now.UnixNano(), e.appendTo(scratch[:0]))
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	if err == nil && (l.inc.Load() != r.inc || !r.inc.holds(l.opts.Now(), l.opts.LeaseTTL)) {
		// It took so long that others may have settled without seeing it.
		t.endKey(r.key, false, now)
		return fmt.Errorf("spending a use: %w", ErrFenced)
	}
	t.endKey(r.key, err == nil, now)
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrUnavailable) {
		// The record may be stored later: a second one takes it back.
		l.uses.spend(t, Amount{}.minus(r.cost))
	} else {
		t.used = t.used.minus(r.cost)
	}
	return fmt.Errorf("spending a use: %w", err)
}

// Release gives back what was reserved. After Commit it changes nothing.
func (r *Reservation) Release() {
	if r.replay || !r.state.CompareAndSwap(resHeld, resReleased) {
		return
	}
	t := r.t
	t.shard.mu.Lock()
	t.reserved = t.reserved.minus(r.cost)
	t.flights--
	t.endKey(r.key, false, time.Time{})
	t.shard.mu.Unlock()
	r.l.uses.inUse.Add(-1)
}

// Remaining is what is left of the payment as this instance knows it, with this reservation
// counted as spent. Numbers that are not limited are zero. What other instances claimed counts as
// spent, so the true number may be greater.
func (r *Reservation) Remaining() Amount {
	if r.replay {
		left, _ := r.l.Remaining(r.t.hash)
		return left
	}
	r.t.shard.mu.Lock()
	defer r.t.shard.mu.Unlock()
	return r.t.remaining(r.limit)
}

func (t *token) remaining(limit Amount) Amount {
	left := limit.minus(t.others).minus(t.used).minus(t.reserved).floor()
	if limit.Uses == 0 {
		left.Uses = 0
	}
	if limit.Bytes == 0 {
		left.Bytes = 0
	}
	return left
}

// Remaining is what is left of a payment as this instance has it in memory; ok is false when it
// has nothing. RemainingStored asks the storage.
func (l *Ledger) Remaining(hash [32]byte) (left Amount, ok bool) {
	s := l.uses.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[hash]
	if t == nil || t.inc == nil {
		return Amount{}, false
	}
	return t.remaining(t.limit), true
}
