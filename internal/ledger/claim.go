package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"
)

// A claim takes a block of a payment's uses for one instance:
//
//  1. List the claims on the payment. If not enough is left, look for dead holders, ask the living
//     ones to give back, and in the end refuse.
//  2. Store a claim under a name that only this instance can choose.
//  3. List again. If all claims together stay within the limit, the claim is valid. Else delete
//     it and start again, now under the storage's lock.
//
// Of all valid claims, the one that was stored last saw all others in its listing, so valid claims
// never exceed the limit. This needs a listing that shows what was stored before it began, and no
// lock: the lock only keeps instances from getting into each other's way. It is therefore not
// taken where there is no contention, and a lock that does nothing harms nothing.

// claimJob is a claim under way.
type claimJob struct {
	l    *Ledger
	t    *token
	req  UseRequest
	have *token // a copy of what the token held at the start

	looked bool   // whether the other instances were looked at
	wanted string // the key of this instance's wish
}

type claimResult struct {
	inc    *incarnation
	seq    uint32
	amount Amount
	others Amount
	known  bool // others is valid
}

// claim starts a claim. Callers hold the shard's lock. The goroutine belongs to the Ledger, which
// waits for it in Close; it ends by its deadline.
func (u *uses) claim(t *token, req UseRequest) *flight {
	job := &claimJob{l: u.l, t: t, req: req}
	have := *t
	job.have = &have
	return u.l.takeOff(t, func(ctx context.Context) error {
		res, err := job.run(ctx)
		job.unwant()
		t.shard.mu.Lock()
		defer t.shard.mu.Unlock()
		return t.land(&req, res, err, u.l.opts.Now())
	})
}

// takeOff runs a slow step on a token. Callers hold the shard's lock.
func (l *Ledger) takeOff(t *token, step func(context.Context) error) *flight {
	f := &flight{done: make(chan struct{})}
	t.busy = f
	started := l.spawn(func() {
		ctx, cancel := context.WithTimeout(l.ctx, l.opts.ReserveTimeout+max(l.opts.HandoverWait, 0))
		defer cancel()
		f.err = guarded(ctx, step)
		t.shard.mu.Lock()
		t.busy = nil
		t.shard.mu.Unlock()
		close(f.done)
	})
	if !started {
		t.busy = nil
		f.err = ErrClosed
		close(f.done)
	}
	return f
}

// guarded runs a step and turns a panic of the storage into an error.
func guarded(ctx context.Context, step func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", ErrUnavailable, p)
		}
	}()
	return step(ctx)
}

// relet renews the lease of this instance. Callers hold the shard's lock.
func (u *uses) relet(t *token) *flight {
	return u.l.takeOff(t, func(ctx context.Context) error {
		if _, err := u.l.members.register(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrFenced, err)
		}
		return nil
	})
}

// land writes a claim's result into the token. Callers hold the shard's lock.
func (t *token) land(req *UseRequest, res claimResult, err error, now time.Time) error {
	if res.known {
		if t.inc == nil {
			t.inc = res.inc
		}
		if t.inc == res.inc {
			t.others, t.limit = res.others, req.Limit
		}
	}
	if err == nil {
		t.unpaid, t.exhausted, t.refusal = nil, false, nil
		if res.seq != 0 && t.inc == res.inc {
			if t.last == 0 {
				t.period = res.seq
			}
			t.last = res.seq
			t.granted = t.granted.plus(res.amount)
		}
		return nil
	}
	if errors.Is(err, ErrExhausted) {
		t.exhausted, t.refused = true, req.Cost
		if t.flights > 0 {
			return ErrInUse
		}
		return err
	}
	t.refusal, t.again = err, now.Add(refusalTime)
	return err
}

// refusalTime is how long a claim that failed answers for those that come after it.
const refusalTime = 250 * time.Millisecond

const claimAttempts = 8

func (j *claimJob) run(ctx context.Context) (claimResult, error) {
	l := j.l
	res, err := j.attempt(ctx)
	switch {
	case err == nil, errors.Is(err, ErrExhausted), errors.Is(err, ErrElsewhere):
		l.health.ok(l.logger(), healthClaim)
	case errors.Is(err, ErrBusy), errors.Is(err, ErrFenced):
	default:
		l.health.fail(l.logger(), healthClaim, err)
		err = fmt.Errorf("%w: claiming uses: %w", ErrUnavailable, err)
	}
	return res, err
}

func (j *claimJob) attempt(ctx context.Context) (claimResult, error) {
	l := j.l
	if b := j.have.unpaid; b != nil {
		if err := l.objects.store(ctx, l.objects.claim(*b), nameSaysAll); err != nil {
			return claimResult{}, err
		}
	}
	inc, err := l.members.register(ctx)
	if err != nil {
		return claimResult{}, err
	}
	if j.have.inc != nil && j.have.inc != inc {
		return claimResult{}, nil // the token was forgotten meanwhile: the caller starts anew
	}
	var unlock func()
	release := func() {
		if unlock != nil {
			unlock()
			unlock = nil
		}
	}
	defer release()
	handover := time.Now().Add(l.opts.HandoverWait)
	contended := false
	for n := 0; n < claimAttempts; {
		if contended && unlock == nil {
			unlock = j.lock(ctx)
		}
		if j.refresh() {
			return claimResult{}, nil
		}
		read := l.readBook
		if n == 0 {
			read = l.readFirstBook
		}
		b, listErr := read(ctx, j.req.Hash)
		if listErr != nil {
			if ctx.Err() != nil || n > 0 {
				return claimResult{}, listErr
			}
			b = make(book) // a missing folder may be an error here; the second listing decides
		}
		held, err := l.settleDead(ctx, j.req.Hash, b, inc.name)
		if err != nil {
			return claimResult{}, err
		}
		amount, enough := j.amount(b.taken())
		res := claimResult{inc: inc, others: b.taken().minus(j.have.granted).floor(), known: listErr == nil}
		if !enough {
			release()
			if !held {
				return res, ErrExhausted
			}
			if err := j.closeOwn(ctx, inc); err != nil {
				return res, err
			}
			if err := j.waitForOthers(ctx, inc, handover); err != nil {
				return res, err
			}
			continue
		}
		if now, err := l.members.register(ctx); err != nil || now != inc {
			return claimResult{}, err // without an error the caller starts anew
		}
		res, won, err := j.place(ctx, inc, amount)
		if err != nil || won {
			return res, err
		}
		n++
		contended = true
		if unlock == nil && !pause(ctx, rand.N(time.Duration(10<<min(n, 5))*time.Millisecond)) {
			return claimResult{}, ctx.Err()
		}
	}
	return claimResult{}, ErrBusy
}

// refresh looks at the token anew and returns whether it has enough by now, because a request gave
// something back.
func (j *claimJob) refresh() bool {
	j.t.shard.mu.Lock()
	defer j.t.shard.mu.Unlock()
	have := *j.t
	j.have = &have
	spent := have.others.plus(have.used).plus(have.reserved).plus(j.req.Cost)
	return have.inc != nil && have.left().covers(j.req.Cost, j.req.Limit) && spent.within(j.req.Limit)
}

// amount says how much to claim when taken is claimed already, and whether it is enough for the
// request. An instance alone takes half of what is left, else a quarter.
func (j *claimJob) amount(taken Amount) (Amount, bool) {
	limit := j.req.Limit
	remaining := limit.minus(taken).floor()
	cost := Amount{Uses: j.req.Cost.Uses, Bytes: max(j.req.Cost.Bytes, 1)}
	spent := taken.minus(j.have.granted).floor().plus(j.have.used).plus(j.have.reserved).plus(cost)
	need := cost.minus(j.have.left()).floor()
	if limit.Uses == 0 {
		need.Uses = 0
	}
	if limit.Bytes == 0 {
		need.Bytes = 0
	}
	if !spent.within(limit) || !need.within(limit) || need.Uses > remaining.Uses || need.Bytes > remaining.Bytes {
		return Amount{}, false
	}
	share := int64(4)
	if j.l.members.alone.Load() {
		share = 2
	}
	block := func(remaining, need, least int64) int64 {
		return min(remaining, max(need, least, (remaining+share-1)/share))
	}
	var out Amount
	if limit.Uses != 0 {
		out.Uses = block(remaining.Uses, need.Uses, 1)
	}
	if limit.Bytes != 0 {
		out.Bytes = block(remaining.Bytes, need.Bytes, 64<<10)
	}
	return out, true
}

// place stores a claim and looks whether it is valid. A claim that is not is deleted again.
func (j *claimJob) place(ctx context.Context, inc *incarnation, amount Amount) (res claimResult, won bool, err error) {
	l := j.l
	c := claimName{hash: j.req.Hash, inc: inc.name, seq: inc.claims.Add(1), amount: amount}
	if !j.req.ValidUntil.IsZero() {
		c.until = j.req.ValidUntil.Unix()
	}
	key := l.objects.claim(c)
	if err := l.objects.store(ctx, key, nameSaysAll); err != nil {
		l.ghosts.add(key) // it may be there all the same
		return res, false, err
	}
	b, err := l.readBook(ctx, j.req.Hash)
	for range tries {
		if err != nil || b[inc.name] != nil && b[inc.name].claims[c.seq] == amount {
			break
		}
		pause(ctx, jitter(50*time.Millisecond))
		b, err = l.readBook(ctx, j.req.Hash)
	}
	if err == nil && (b[inc.name] == nil || b[inc.name].claims[c.seq] != amount) {
		err = errUnlisted
	}
	if err != nil {
		l.ghosts.add(key)
		return res, false, err
	}
	if b[inc.name].closed() >= c.seq {
		return res, false, ErrFenced // somebody settled for this instance as for a dead one
	}
	taken := b.taken()
	if !taken.within(j.req.Limit) {
		if l.objects.remove(ctx, key) != nil {
			l.ghosts.add(key)
		}
		return res, false, nil
	}
	others := taken.minus(j.have.granted).minus(amount).floor()
	return claimResult{inc: inc, seq: c.seq, amount: amount, others: others, known: true}, true, nil
}

// lock takes the storage's lock of the token and returns how to give it back. Without the lock
// the claim goes on too: it is safe, but may have to start again.
func (j *claimJob) lock(ctx context.Context) (unlock func()) {
	l := j.l
	name := strings.ReplaceAll(l.objects.prefix, "/", "-") + fmt.Sprintf("-uses-%x", j.req.Hash)
	storage := l.objects.back()
	lockCtx, cancel := context.WithTimeout(ctx, l.opts.LockTimeout)
	defer cancel()
	if err := storage.Lock(lockCtx, name); err != nil {
		return func() {}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.opts.OpTimeout)
		defer cancel()
		if err := storage.Unlock(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.health.fail(l.logger(), healthClaim, fmt.Errorf("unlocking %s: %w", name, err))
		}
	}
}

// closeOwn settles what this instance holds itself, once it has something to ask of others: two
// instances that wait for each other's last uses would both wait in vain.
func (j *claimJob) closeOwn(ctx context.Context, inc *incarnation) error {
	t := j.t
	t.shard.mu.Lock()
	if t.inc != inc || t.last == 0 || t.flights > 0 {
		t.shard.mu.Unlock()
		return nil
	}
	step := j.l.uses.closePeriod(t)
	have := *t
	j.have = &have
	t.shard.mu.Unlock()
	return step(ctx)
}

// waitForOthers asks the holders to give back and waits a moment, or returns ErrElsewhere when
// they had their time.
func (j *claimJob) waitForOthers(ctx context.Context, inc *incarnation, until time.Time) error {
	l := j.l
	if !j.looked {
		j.looked = true // perhaps a holder is known to be dead once we look
		return l.members.observe(ctx)
	}
	if j.wanted == "" {
		key := l.objects.want(j.req.Hash, inc.name, l.opts.Now().Unix())
		if err := l.objects.store(ctx, key, nameSaysAll); err != nil {
			return err
		}
		j.wanted = key
		return nil
	}
	if !time.Now().Before(until) {
		return ErrElsewhere
	}
	if !pause(ctx, jitter(100*time.Millisecond)) {
		return ErrElsewhere
	}
	return l.members.observe(ctx)
}

func (j *claimJob) unwant() {
	if j.wanted == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.l.ctx), j.l.opts.OpTimeout)
	defer cancel()
	if err := j.l.objects.remove(ctx, j.wanted); err != nil {
		j.l.ghosts.add(j.wanted)
	}
}
