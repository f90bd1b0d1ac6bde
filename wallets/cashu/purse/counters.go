package purse

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// block is how many counters are claimed at once. What a crash leaves unused is a gap, and NUT-13
// restores over gaps of 300.
const block = 32

// errDamaged says that the store has something else than a counter. What the mint has signed tells
// which counters are used; see Restore.
var errDamaged = fmt.Errorf("%w: a counter is damaged", ErrStore)

// span is a claimed block of counters.
type span struct{ next, end uint64 }

// counters gives n counters of a keyset that were never given before.
func (p *Purse) counters(ctx context.Context, id ecash.KeysetID, n int) ([]uint64, error) {
	p.claiming.Lock()
	defer p.claiming.Unlock()
	out := make([]uint64, 0, n)
	if spare := p.spare[id]; len(spare) > 0 {
		k := min(n, len(spare))
		out, p.spare[id] = append(out, spare[:k]...), spare[k:]
	}
	for len(out) < n {
		s := p.spans[id]
		if s.next == s.end {
			claimed, err := p.claim(ctx, id, uint64(max(block, n-len(out))))
			if err != nil {
				return nil, err
			}
			s = claimed
		}
		if _, err := p.opts.Seed.Derive(id, s.next); errors.Is(err, ecash.ErrCounter) && s.next < 1<<31 {
			s.next++ // one of the few that give no key
		} else if err != nil {
			return nil, err
		} else {
			out = append(out, s.next)
			s.next++
		}
		p.spans[id] = s
	}
	return out, nil
}

// recycle gives the counters of outputs back that the mint has surely not signed and never will. Made-up
// ecash would else tear gaps over which NUT-13 does not find what comes after.
func (p *Purse) recycle(slots []slot) {
	p.claiming.Lock()
	defer p.claiming.Unlock()
	for _, s := range slots {
		p.spare[s.Keyset] = append(p.spare[s.Keyset], s.Counter)
	}
}

// nextCounter is the least counter that was not given yet, as far as is known here.
func (p *Purse) nextCounter(ctx context.Context, id ecash.KeysetID) (uint64, error) {
	p.claiming.Lock()
	defer p.claiming.Unlock()
	if s := p.spans[id]; s.next < s.end {
		return s.next, nil
	}
	stored, err := p.storedCounter(ctx, id)
	return max(stored, p.spans[id].end), err
}

// claim makes a block of counters ours, durably, before the first of them is used.
func (p *Purse) claim(ctx context.Context, id ecash.KeysetID, n uint64) (span, error) {
	if p.opts.Lock != nil {
		unlock, err := p.opts.Lock(ctx, p.counterKind)
		if err != nil {
			return span{}, fmt.Errorf("%w: locking the counters: %w", ErrStore, err)
		}
		defer unlock()
	}
	from, err := p.storedCounter(ctx, id)
	if err != nil {
		return span{}, err
	}
	// What this process has used counts as well, should the store have lost a write.
	from = max(from, p.spans[id].end)
	if err := p.storeCounter(ctx, id, from+n); err != nil {
		return span{}, err
	}
	return span{from, from + n}, nil
}

func (p *Purse) storedCounter(ctx context.Context, id ecash.KeysetID) (uint64, error) {
	b, err := p.opts.Store.GetDurable(ctx, p.counterKind, string(id))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: reading a counter: %w", ErrStore, err)
	}
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: keyset %s: restore from the seed", errDamaged, id)
	}
	return n, nil
}

func (p *Purse) storeCounter(ctx context.Context, id ecash.KeysetID, next uint64) error {
	if err := p.opts.Store.PutDurable(ctx, p.counterKind, string(id), strconv.AppendUint(nil, next, 10)); err != nil {
		return fmt.Errorf("%w: a counter: %w", ErrStore, err)
	}
	return nil
}

// slots reserves outputs of a keyset over amounts.
func (p *Purse) slots(ctx context.Context, id ecash.KeysetID, amounts []uint64) ([]slot, error) {
	if len(amounts) == 0 {
		return nil, nil
	}
	if err := p.probe(ctx, id); err != nil {
		return nil, err
	}
	counters, err := p.counters(ctx, id, len(amounts))
	if err != nil {
		return nil, err
	}
	out := make([]slot, len(amounts))
	for i, amount := range amounts {
		out[i] = slot{id, counters[i], amount}
	}
	return out, nil
}

// denominate splits an amount into the fewest amounts that a keyset has keys for, in ascending
// order, as NUT-03 asks for privacy. Errors wrap token.ErrAmount.
func denominate(k mint.Keyset, amount uint64) ([]uint64, error) {
	keys := k.Keys.Amounts()
	var out []uint64
	for i := len(keys) - 1; i >= 0; i-- {
		for amount >= keys[i] && len(out) <= token.MaxProofs {
			out = append([]uint64{keys[i]}, out...)
			amount -= keys[i]
		}
	}
	if amount != 0 || len(out) > token.MaxProofs {
		return nil, fmt.Errorf("%w: keyset %s cannot make up this amount", token.ErrAmount, k.ID)
	}
	return out, nil
}

// inputFee is what a keyset takes for n proofs.
func inputFee(k mint.Keyset, n int) uint64 {
	hi, lo := bits.Mul64(k.InputFeePPK, uint64(n))
	if hi != 0 {
		return 1 << 63
	}
	fee := lo / 1000
	if lo%1000 != 0 {
		fee++
	}
	return fee
}
