package purse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// giveUp is after how long a swap of our own proofs, which the mint has not done, is taken back.
const giveUp = 10 * time.Minute

// Resume brings the operations to their end that a crash, a dead mint or a lost answer left open,
// swaps what was taken without the mint, collects paid invoices, and forgets what is old. It is
// called after Open, and then every now and then. Operations that a caller is driving are left to
// him.
//
// It returns how many operations are open afterwards, and the errors of those that cannot go on:
// ErrDisputed, ErrStore, or those of the mint. That a mint has not confirmed yet is no error.
func (p *Purse) Resume(ctx context.Context) (open int, err error) {
	var problems []error
	away := false // the mint does not answer: there may be many unpaid invoices to ask it for
	for _, o := range p.open() {
		if ctx.Err() != nil {
			problems = append(problems, ctx.Err())
			break
		}
		select {
		case o.running <- struct{}{}:
		default:
			continue // somebody drives it
		}
		kind := o.rec.Kind
		if kind == opMint && (away || !p.due(o)) {
			o.release()
			continue
		}
		err := p.resume(ctx, o)
		o.release()
		away = away || errors.Is(err, wallets.ErrUnavailable) || errors.Is(err, wallets.ErrRateLimited)
		if err != nil && !errors.Is(err, ErrUnsettled) && !errors.Is(err, ErrPaymentFailed) {
			problems = append(problems, fmt.Errorf("resuming %s: %w", kind, err))
		}
	}
	problems = append(problems, p.prune(ctx))
	return len(p.open()), errors.Join(problems...)
}

// resume brings an operation to its end; the caller drives o.
func (p *Purse) resume(ctx context.Context, o *op) error {
	age := p.opts.Now().Sub(o.rec.Time)
	switch {
	case o.gone || o.rec.State != stateBegun:
		return nil
	case o.rec.Kind == opMint:
		paid, err := p.collect(ctx, o)
		if err == nil && !paid && p.expired(o) {
			return p.drop(ctx, o)
		}
		return err
	case !o.stored:
		// The mint has never seen it, and the store may have.
		return p.drop(ctx, o)
	case o.rec.Kind == opMelt:
		return p.melt(ctx, o)
	case o.rec.Kind == opReceive && o.rec.Owed:
		err := p.swap(ctx, o, true)
		switch {
		case errors.Is(err, errNothing) && errors.Is(err, ErrSpent):
			return p.dispute(ctx, o, errors.New("ecash that only this purse can spend was spent elsewhere"))
		case errors.Is(err, errNothing):
			return fmt.Errorf("swapping what was taken without the mint: %w", err)
		}
		return err
	case o.rec.Kind == opReceive:
		// The payer was not served. What the mint has not taken yet stays his.
		err := p.swap(ctx, o, false)
		if errors.Is(err, errNothing) || errors.Is(err, ErrUnsettled) && age > p.opts.Retention {
			return p.drop(ctx, o)
		}
		return err
	case o.rec.Kind == opSplit:
		err := p.swap(ctx, o, true)
		if errors.Is(err, errNothing) || errors.Is(err, ErrUnsettled) && age > giveUp {
			return p.takeBackUnspent(ctx, o, err)
		}
		return err
	}
	return p.drop(ctx, o)
}

// takeBackUnspent takes an operation back if the mint says that it has not happened.
func (p *Purse) takeBackUnspent(ctx context.Context, o *op, cause error) error {
	if errors.Is(cause, errNothing) {
		return p.takeBack(ctx, o)
	}
	outputs, err := p.outputs(o.rec.Outputs)
	if err != nil {
		return err
	}
	end, _, err := p.ask(ctx, o.rec.Inputs, outputs)
	if end == endFree {
		return p.takeBack(ctx, o)
	}
	return errors.Join(cause, err)
}

// prune forgets operations that are older than the retention and have no effect any more. One that
// made proofs goes before those that spent them: in the other order a crash in between would bring
// spent proofs back.
func (p *Purse) prune(ctx context.Context) error {
	p.pruning.Lock()
	defer p.pruning.Unlock()
	for {
		ids := p.prunable()
		if len(ids) == 0 {
			return nil
		}
		if err := p.remember(ctx, p.forgettable(ids)); err != nil {
			return fmt.Errorf("pruning: %w", err)
		}
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := p.opts.Store.DeleteDurable(ctx, p.kind, id); err != nil {
				return fmt.Errorf("%w: pruning: %w", ErrStore, err)
			}
			p.mu.Lock()
			p.unindex(id)
			p.mu.Unlock()
		}
	}
}

func (p *Purse) prunable() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(map[string]int) // proofs that still stand, by the operation that made them
	for _, h := range p.held {
		user := p.ops[h.usedBy]
		if user == nil || user.rec.State != stateDone || p.opts.Now().Sub(user.rec.Time) < p.opts.Retention {
			held[h.madeBy]++
		}
	}
	var out []string
	for id, o := range p.ops {
		if o.rec.State != stateDone || p.opts.Now().Sub(o.rec.Time) < p.opts.Retention || held[id] > 0 {
			continue
		}
		needed := false
		if o.rec.spendsOurs() {
			for _, y := range o.rec.Ys {
				needed = needed || p.held[y] != nil
			}
		}
		if !needed {
			out = append(out, id)
		}
	}
	return out
}

// unindex takes a pruned operation out of memory; the caller has p.mu.
func (p *Purse) unindex(id string) {
	o := p.ops[id]
	if o == nil {
		return
	}
	delete(p.ops, id)
	for _, y := range o.rec.Ys {
		if p.received[y] == id {
			delete(p.received, y)
		}
	}
	for y, h := range p.held {
		if h.madeBy == id {
			delete(p.held, y)
		}
	}
}
