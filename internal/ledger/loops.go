package ledger

import (
	"context"
	"time"
)

// compactLoop merges segments. Its goroutine belongs to the Ledger.
func (l *Ledger) compactLoop() {
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.compactor.wake:
			l.compactor.merge(l.ctx, false)
		}
	}
}

// beatLoop shows that this instance lives, once it has something to lose. Its goroutine belongs
// to the Ledger.
func (l *Ledger) beatLoop() {
	t := time.NewTicker(max(l.opts.LeaseTTL/5, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-t.C:
			if l.inc.Load().lease.Load() != nil {
				_ = l.members.beat(l.ctx) // it reports to health; Reserve meets the lapsed lease
			}
		}
	}
}

// maxWants bounds the wishes that are answered in one round.
const maxWants = 256

// staleWant is after what time a wish is nobody's any more.
const staleWant = 10 * time.Minute

// pollLoop looks for revocations, and for nothing else, so that nothing delays them. Its goroutine
// belongs to the Ledger.
func (l *Ledger) pollLoop() {
	t := time.NewTicker(l.opts.PollEvery)
	defer t.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-t.C:
		}
		l.report(healthPoll, l.pollRevocations(l.ctx))
	}
}

// report notes how a step of a loop went, unless it only ended with the ledger.
func (l *Ledger) report(step string, err error) {
	switch {
	case l.ctx.Err() != nil:
	case err != nil:
		l.health.fail(l.logger(), step, err)
	default:
		l.health.ok(l.logger(), step)
	}
}

// peerLoop looks for the wishes of other instances and for those that ended. Its goroutine belongs
// to the Ledger.
func (l *Ledger) peerLoop() {
	t := time.NewTicker(l.opts.PollEvery)
	defer t.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-t.C:
		}
		if l.inc.Load().lease.Load() != nil {
			l.report(healthWants, l.answerWants(l.ctx))
		}
		if l.members.watching() {
			_ = l.members.observe(l.ctx) // it reports to health
		}
	}
}

// answerWants gives back what other instances ask for.
func (l *Ledger) answerWants(ctx context.Context) error {
	keys, err := l.objects.listArea(ctx, areaWants)
	if err != nil {
		return err
	}
	now := l.opts.Now().Unix()
	asked := make(map[[32]byte]struct{})
	for _, key := range keys {
		hash, inc, at, ok := l.objects.parseWant(key)
		if !ok || inc == l.inc.Load().name {
			continue
		}
		if now-at > int64(staleWant/time.Second) {
			if err := l.objects.remove(ctx, key); err != nil {
				return err
			}
			continue
		}
		if _, done := asked[hash]; done || len(asked) >= maxWants {
			continue
		}
		asked[hash] = struct{}{}
		l.uses.yield(ctx, hash)
	}
	return nil
}
