package purse

import (
	"context"
	"errors"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Warm learns what the purse needs from the mint before it can take ecash without asking it: the keys,
// and which counters are used. It asks for nothing that is known. Errors are those of the mint, and
// ErrStore.
func (p *Purse) Warm(ctx context.Context) error {
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return err
	}
	return p.probe(ctx, k.ID)
}

// probe asks the mint once, before counters of a keyset are used, whether those that come next were
// used before: the store may have been lost, or be an older copy. A mint refuses to sign an output
// again and, asked for its signatures, shows the old ones, which would pass for the new.
func (p *Purse) probe(ctx context.Context, id ecash.KeysetID) error {
	if p.isProbed(id) {
		return nil
	}
	select {
	case p.probing <- struct{}{}:
		defer func() { <-p.probing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.isProbed(id) {
		return nil
	}
	from, err := p.nextCounter(ctx, id)
	if err != nil {
		return err
	}
	_, next, err := p.signed(ctx, id, from, 0)
	switch {
	case errors.Is(err, mint.ErrUnsupported), errors.Is(err, mint.ErrRefused):
		// It will not show old signatures later either.
	case err != nil:
		return err
	}
	if err := p.raiseCounter(ctx, id, next); err != nil {
		return err
	}
	p.setProbed(id, true)
	return nil
}

func (p *Purse) isProbed(id ecash.KeysetID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.probed[id]
}

func (p *Purse) setProbed(id ecash.KeysetID, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probed[id] = done
}

// signed looks for the outputs of a keyset that the mint has signed, from a counter on, until three
// batches have none and the counter until is reached. next is behind the last of them, and zero where
// there is none.
func (p *Purse) signed(ctx context.Context, id ecash.KeysetID, from, until uint64) (found []token.Proof, next uint64, err error) {
	for empty := 0; empty < emptyBatches || from < until; from += uint64(p.opts.batch) {
		slots := make([]slot, p.opts.batch)
		for i := range slots {
			slots[i] = slot{Keyset: id, Counter: from + uint64(i)}
		}
		outputs, err := p.outputs(slots)
		if err != nil {
			return nil, 0, err
		}
		proofs, err := p.opts.Mint.Restore(ctx, outputs)
		if err != nil {
			return nil, 0, err
		}
		empty++
		for i, proof := range proofs {
			if proof != nil {
				found = append(found, *proof)
				next, empty = from+uint64(i)+1, 0
			}
		}
	}
	return found, next, nil
}

// reused tells, of a swap that the mint refused at once though it has signatures on the outputs, that
// they are older than the swap: the inputs are unspent. So another server has the same seed.
func (p *Purse) reused(ctx context.Context, inputs []token.Proof) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Patience)
	defer cancel()
	states, err := p.opts.Mint.CheckState(ctx, inputs)
	if err != nil {
		return false
	}
	for _, s := range states {
		if s != mint.StateSpent {
			return true
		}
	}
	return false
}
