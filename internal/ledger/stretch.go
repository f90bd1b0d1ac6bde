package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// SpendBytes counts bytes of the response after Commit, before they are sent. Where this instance has
// too few at hand it claims more of the payment's, as Reserve does and with the same deadlines: a
// response can be longer than the block that was claimed when it began.
//
// An error says that the bytes must not be sent. ErrExhausted says that the payment has too few left;
// they are spent all the same, so that nobody tries the end of a payment again and again. ErrElsewhere,
// ErrUnavailable, ErrFenced, ErrBusy and ErrClosed say that no more could be claimed.
func (r *Reservation) SpendBytes(ctx context.Context, n int64) error {
	if r.replay || r.limit.Bytes == 0 || n <= 0 || r.state.Load() != resSpent {
		return nil
	}
	var cancel context.CancelFunc
	for {
		wait, own, err := r.l.uses.stretch(r, n)
		if wait == nil {
			return err
		}
		if cancel == nil {
			ctx, cancel = context.WithTimeout(ctx, r.l.opts.ReserveTimeout+max(r.l.opts.HandoverWait, 0))
			defer cancel()
		}
		select {
		case <-wait.done:
		case <-ctx.Done():
			return fmt.Errorf("spending bytes: %w: %w", ErrUnavailable, ctx.Err())
		}
		switch {
		case wait.err == nil || !own: // others may have failed for reasons of their own
		case errors.Is(wait.err, ErrExhausted) || errors.Is(wait.err, ErrInUse):
			r.l.uses.overspend(r, n)
			return fmt.Errorf("spending bytes: %w", ErrExhausted)
		default:
			return fmt.Errorf("spending bytes: %w", wait.err)
		}
	}
}

// stretch spends bytes from memory. Where there are too few it returns what to wait for before trying
// again, and whether that was begun for this reservation.
func (u *uses) stretch(r *Reservation, n int64) (wait *flight, own bool, err error) {
	now := u.l.opts.Now()
	s := r.t.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	t := u.current(r, now)
	switch {
	case t.busy != nil:
		return t.busy, false, nil
	case t.inc != nil && t.inc != u.l.inc.Load():
		return nil, false, fmt.Errorf("spending bytes: %w", ErrFenced)
	case t.inc != nil && t.left().Bytes >= n:
		u.spend(t, Amount{Bytes: n})
		return nil, false, nil
	case now.Before(t.again):
		return nil, false, fmt.Errorf("spending bytes: %w", t.refusal)
	}
	req := UseRequest{Hash: t.hash, Limit: r.limit, Cost: Amount{Bytes: n}}
	if t.until != 0 {
		req.ValidUntil = time.Unix(t.until, 0)
	}
	return u.claim(t, req), true, nil
}

// overspend notes that more was wanted than is left.
func (u *uses) overspend(r *Reservation, n int64) {
	s := r.t.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := u.current(r, u.l.opts.Now()); t.inc != nil && t.inc == u.l.inc.Load() {
		u.spend(t, Amount{Bytes: n})
	}
}

// current is what this instance knows of a reservation's payment. It may have forgotten that, since a
// response that goes on for long holds nothing that keeps it. Callers hold the shard's lock.
func (u *uses) current(r *Reservation, now time.Time) *token {
	t := r.t.shard.tokens[r.t.hash]
	if t == nil {
		t = &token{hash: r.t.hash, shard: r.t.shard, limit: r.limit, until: r.t.until}
		t.shard.tokens[t.hash] = t
		u.count.Add(1)
	}
	t.touched = now
	return t
}
