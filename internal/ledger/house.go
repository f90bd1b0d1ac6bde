package ledger

import (
	"context"
	"fmt"
	"time"
)

// giveBack returns what a token has left to the storage, where every instance can claim it.
// Callers hold the shard's lock, and the token must not be busy nor have reservations under way.
func (u *uses) giveBack(t *token) *flight {
	step := u.closePeriod(t)
	return u.l.takeOff(t, step)
}

// closePeriod takes what a token has left out of this instance's hands and returns the step that
// gives it to the storage. Callers hold the shard's lock, and the token must hold claims and have
// no reservations under way.
func (u *uses) closePeriod(t *token) (step func(context.Context) error) {
	l := u.l
	inc := l.inc.Load()
	entry, spent := t.takeDelta(inc)
	back := claimName{hash: t.hash, inc: inc.name, seq: t.last, until: t.until, amount: t.left().floor().min2(t.granted), back: true}
	// From here on the rest is not ours, whether storing succeeds or not.
	t.others = t.others.plus(t.granted).minus(back.amount)
	t.used = t.used.minus(t.granted).floor()
	t.granted, t.period, t.last, t.exhausted = Amount{}, 0, 0, false
	t.unpaid = &back
	return func(ctx context.Context) error {
		if spent {
			// For the case that the machine stops before the next line is done.
			var scratch [96]byte
			_ = l.journal.append(recUse, l.opts.Now().UnixNano(), entry.appendTo(scratch[:0]))
		}
		return l.payBack(ctx, t, back)
	}
}

// payBack stores what was given back.
func (l *Ledger) payBack(ctx context.Context, t *token, back claimName) error {
	if err := l.objects.store(ctx, l.objects.claim(back), nameSaysAll); err != nil {
		l.health.fail(l.logger(), healthReturn, err)
		return fmt.Errorf("%w: giving uses back: %w", ErrUnavailable, err)
	}
	l.health.ok(l.logger(), healthReturn)
	t.shard.mu.Lock()
	t.unpaid = nil
	t.shard.mu.Unlock()
	return nil
}

// yield gives back what this instance holds of a payment, because another one asks for it.
func (u *uses) yield(ctx context.Context, hash [32]byte) {
	l := u.l
	s := u.shard(hash)
	s.mu.Lock()
	t := s.tokens[hash]
	var f *flight
	switch {
	case t == nil:
		t = &token{hash: hash, shard: s, touched: l.opts.Now()}
		s.tokens[hash] = t
		u.count.Add(1)
		f = l.takeOff(t, func(ctx context.Context) error { return l.closeForgotten(ctx, t) })
	case t.busy != nil || t.flights > 0 || t.inc != nil && t.inc != l.inc.Load():
	case t.last != 0:
		f = u.giveBack(t)
	case t.unpaid != nil:
		back := *t.unpaid
		f = l.takeOff(t, func(ctx context.Context) error { return l.payBack(ctx, t, back) })
	default:
		f = l.takeOff(t, func(ctx context.Context) error { return l.closeForgotten(ctx, t) })
	}
	s.mu.Unlock()
	if f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
		}
	}
}

// closeForgotten settles claims of this instance on a payment that it has dropped from memory. It
// drops only what is spent, so nothing is left to give.
func (l *Ledger) closeForgotten(ctx context.Context, t *token) error {
	b, err := l.readBook(ctx, t.hash)
	if err != nil {
		return err
	}
	a := b[l.inc.Load().name]
	if a == nil {
		return nil
	}
	_, _, last := a.open()
	if last == 0 {
		return nil
	}
	back := claimName{hash: t.hash, inc: l.inc.Load().name, seq: last, until: a.until, back: true}
	return l.objects.store(ctx, l.objects.claim(back), nameSaysAll)
}

// sweep drops tokens that were idle for at least idle. What they have left is given back first;
// such a token goes with the next sweep.
func (u *uses) sweep(ctx context.Context, idle time.Duration) {
	now := u.l.opts.Now()
	inc := u.l.inc.Load()
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		var due []*token
		for hash, t := range s.tokens {
			if t.busy != nil || t.flights > 0 || now.Sub(t.touched) < idle {
				continue
			}
			void := expired(t.until, now) || t.inc != inc
			switch {
			case !void && (t.unpaid != nil || t.last != 0 && t.left().some(t.limit)):
				due = append(due, t)
			case void || !t.dirty:
				delete(s.tokens, hash)
				u.count.Add(-1)
			}
		}
		s.mu.Unlock()
		for _, t := range due {
			if ctx.Err() != nil {
				return
			}
			u.yieldIdle(ctx, t, idle)
		}
	}
}

// yieldIdle gives a token back if it is still idle.
func (u *uses) yieldIdle(ctx context.Context, t *token, idle time.Duration) {
	t.shard.mu.Lock()
	still := u.l.opts.Now().Sub(t.touched) >= idle
	t.shard.mu.Unlock()
	if still {
		u.yield(ctx, t.hash)
	}
}

// houseLoop keeps memory and storage tidy. Its goroutine belongs to the Ledger.
func (l *Ledger) houseLoop() {
	every := time.NewTicker(max(l.opts.IdleAfter/4, 10*time.Millisecond))
	defer every.Stop()
	shard := int(l.opts.Now().UnixNano() & 0xff)
	next := l.opts.Now().Add(pruneEvery)
	for {
		idle := l.opts.IdleAfter
		select {
		case <-l.ctx.Done():
			return
		case <-every.C:
		case <-l.sweepNow:
			idle = min(idle, 2*time.Second)
		}
		l.uses.sweep(l.ctx, idle)
		err := l.ghosts.bury(l.ctx, l.objects)
		if now := l.opts.Now(); err == nil && !now.Before(next) {
			next = now.Add(pruneEvery)
			shard = (shard + 1) & 0xff
			if err = l.pruneUses(l.ctx, shard, now); err == nil && shard == 0 {
				err = l.pruneRevocations(l.ctx, now)
			}
		}
		l.report(healthHouse, err)
	}
}

// pruneEvery is how often one of the 256 shards of uses is looked through: all in a day.
const pruneEvery = 24 * time.Hour / 256

// pruneUses deletes the claims on payments that are void for more than a day. One object of
// unknown end keeps them all.
func (l *Ledger) pruneUses(ctx context.Context, shard int, now time.Time) error {
	keys, err := l.objects.list(ctx, fmt.Sprintf("%s/%02x", l.objects.area(areaUses), shard))
	if err != nil && l.objects.odd.Load() {
		return nil // the shard is most likely not there
	}
	if err != nil {
		return err
	}
	ends := make(map[[32]byte]int64)
	for _, key := range keys {
		if c, ok := l.objects.parseClaim(key); ok {
			if end, known := ends[c.hash]; known {
				ends[c.hash] = longer(end, c.until)
			} else {
				ends[c.hash] = c.until
			}
		}
	}
	for _, key := range keys {
		c, ok := l.objects.parseClaim(key)
		if !ok || !expired(ends[c.hash], now) {
			continue
		}
		if err := l.objects.remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
