package purse

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

const (
	// standardBatch and emptyBatches are how NUT-13 looks for what a seed has.
	standardBatch = 100
	emptyBatches  = 3
	// perRecord keeps a record of restored proofs below the bound of a store.
	perRecord = 400
)

// Restore finds all ecash of the seed at the mint (NUT-13), for when the store is lost, and takes in
// what is unspent and not known. What the records say was given away stays so; after a loss of the
// records, ecash that was given away and not yet taken comes back. It returns what was found, in the
// purse's unit. It is safe to repeat. Purses of the same seed are given as beside: what they have, or
// are about to have, stays theirs.
func (p *Purse) Restore(ctx context.Context, beside ...*Purse) (found uint64, err error) {
	list, err := p.opts.Mint.Keysets(ctx)
	if err != nil {
		return 0, fmt.Errorf("restoring: %w", err)
	}
	for _, k := range list {
		if k.Unit != p.opts.Unit {
			continue
		}
		sum, err := p.restoreKeyset(ctx, k, beside)
		found += sum
		if err != nil {
			return found, fmt.Errorf("restoring: %w", err)
		}
	}
	return found, nil
}

func (p *Purse) restoreKeyset(ctx context.Context, k mint.Keyset, beside []*Purse) (uint64, error) {
	// Refused tokens leave gaps in the counters. Where the store still has the counter it says
	// how far to look in any case.
	used, err := p.storedCounter(ctx, k.ID)
	if err != nil && !errors.Is(err, errDamaged) {
		return 0, err
	}
	unknown, next, err := p.signed(ctx, k.ID, 0, used)
	if err != nil {
		return 0, err
	}
	if err := p.raiseCounter(ctx, k.ID, next); err != nil {
		return 0, err
	}
	for _, other := range append([]*Purse{p}, beside...) {
		if unknown, err = other.unknown(unknown); err != nil {
			return 0, err
		}
	}
	if len(unknown) == 0 {
		return 0, nil
	}
	states, err := p.opts.Mint.CheckState(ctx, unknown)
	if err != nil {
		return 0, err
	}
	var unspent []token.Proof
	for i, s := range states {
		if s == mint.StateUnspent {
			unspent = append(unspent, unknown[i])
		}
	}
	var sum uint64
	for len(unspent) > 0 {
		n := min(perRecord, len(unspent))
		rec := record{ID: newID("f"), Kind: opRestore, State: stateDone, Time: p.opts.Now(), Proofs: unspent[:n]}
		o := newOp(rec)
		err := p.put(ctx, o, rec)
		o.release()
		if err != nil {
			return sum, err
		}
		part, err := token.Sum(unspent[:n])
		if err != nil {
			return sum, err
		}
		sum, unspent = sum+part, unspent[n:]
	}
	return sum, nil
}

// raiseCounter keeps counters that the mint has signed for from being used again.
func (p *Purse) raiseCounter(ctx context.Context, id ecash.KeysetID, next uint64) error {
	if next == 0 {
		return nil
	}
	p.claiming.Lock()
	defer p.claiming.Unlock()
	delete(p.spare, id)
	if p.opts.Lock != nil {
		unlock, err := p.opts.Lock(ctx, p.counterKind)
		if err != nil {
			return fmt.Errorf("%w: locking the counters: %w", ErrStore, err)
		}
		defer unlock()
	}
	stored, err := p.storedCounter(ctx, id)
	if err != nil && !errors.Is(err, errDamaged) {
		return err
	}
	if s := p.spans[id]; s.next < next {
		p.spans[id] = span{max(s.end, next), max(s.end, next)}
	}
	if err == nil && stored >= next {
		return nil
	}
	return p.storeCounter(ctx, id, max(stored, next, p.spans[id].end))
}

// unknown leaves out the proofs that some record has, or is about to have.
func (p *Purse) unknown(proofs []token.Proof) ([]token.Proof, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := make(map[string]bool)
	open := make(map[slot]bool)
	for _, o := range p.ops {
		for _, proof := range o.rec.Proofs {
			known[proof.Secret] = true
		}
		if o.rec.State == stateBegun {
			for _, s := range o.rec.Outputs {
				open[slot{Keyset: s.Keyset, Counter: s.Counter}] = true
			}
		}
	}
	for s := range open {
		coin, err := p.opts.Seed.Derive(s.Keyset, s.Counter)
		if err != nil {
			return nil, err
		}
		known[coin.Secret] = true
	}
	var out []token.Proof
	for _, proof := range proofs {
		if !known[proof.Secret] {
			out = append(out, proof)
		}
	}
	return out, nil
}
