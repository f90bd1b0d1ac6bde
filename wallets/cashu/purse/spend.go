package purse

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// available lists the proofs that can be spent, greatest first, those of inactive keysets before
// others.
func (p *Purse) available(active ecash.KeysetID) []token.Proof {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []token.Proof
	for _, h := range p.held {
		if h.usedBy == "" {
			out = append(out, h.proof)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		switch oldA, oldB := a.KeysetID != active, b.KeysetID != active; {
		case oldA != oldB:
			return oldA
		case a.Amount != b.Amount:
			return a.Amount > b.Amount
		}
		return a.Secret < b.Secret
	})
	return out
}

// need is how much proofs must be worth to buy what: an amount, and their own fee where it comes on
// top.
type need func(proofs []token.Proof) (uint64, error)

// exactly finds proofs that are worth what they need, and not more.
func exactly(from []token.Proof, want need) ([]token.Proof, error) {
	var chosen []token.Proof
	var sum uint64
	for _, p := range from {
		if len(chosen) >= token.MaxProofs {
			break
		}
		with := append(slices.Clone(chosen), p)
		needed, err := want(with)
		if err != nil {
			return nil, err
		}
		if sum+p.Amount <= needed {
			chosen, sum = with, sum+p.Amount
		}
	}
	if needed, err := want(chosen); err != nil || len(chosen) == 0 || needed != sum {
		return nil, err
	}
	return chosen, nil
}

// enough finds few proofs that are worth at least what they need.
func enough(from []token.Proof, want need) ([]token.Proof, error) {
	var chosen []token.Proof
	var sum uint64
	for _, p := range from {
		chosen, sum = append(chosen, p), sum+p.Amount
		needed, err := want(chosen)
		if err != nil {
			return nil, err
		}
		if sum >= needed {
			return chosen, nil
		}
		if len(chosen) >= token.MaxProofs {
			break
		}
	}
	return nil, fmt.Errorf("%w in the purse: it has %d to spend at once", ErrTooLittle, sum)
}

func newID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return prefix + hex.EncodeToString(b[:])
}

// withFee is a need of an amount besides the fee for spending the proofs.
func (p *Purse) withFee(ctx context.Context, amount uint64) need {
	return func(proofs []token.Proof) (uint64, error) {
		fee, err := p.opts.Mint.Fee(ctx, proofs)
		if err != nil {
			return 0, err
		}
		if amount+fee < amount {
			return 0, fmt.Errorf("%w: beyond 64 bits", token.ErrAmount)
		}
		return amount + fee, nil
	}
}

// sendID is the id of what was sent under a key.
func sendID(key string) string {
	if key == "" {
		return newID("s")
	}
	sum := sha256.Sum256([]byte(key))
	return "s" + hex.EncodeToString(sum[:])
}

// Send takes ecash over an amount out of the purse, as a token. It swaps where it has no proofs that
// fit. The key is the caller's name for this payment: the same call again, after an error or a crash,
// gives the same token instead of a second one. An empty key never repeats. Receive takes a token
// back that nobody took, less a fee. Errors wrap ErrTooLittle, ErrUnsettled, ErrStore or those of
// the mint.
func (p *Purse) Send(ctx context.Context, amount uint64, key string) (*token.Token, error) {
	if amount == 0 {
		return nil, fmt.Errorf("sending ecash: %w: nothing to send", token.ErrAmount)
	}
	p.choosing.Lock()
	defer p.choosing.Unlock()
	id := sendID(key)
	o := p.find(id)
	var err error
	if o != nil {
		err = p.resend(ctx, o)
	}
	if o == nil || o.gone {
		o, err = p.send(ctx, amount, id)
	}
	if err != nil {
		return nil, fmt.Errorf("sending ecash: %w", err)
	}
	return p.token(o.rec.given()), nil
}

// resend brings what was begun under the same key to its end.
func (p *Purse) resend(ctx context.Context, o *op) error {
	if err := o.acquire(ctx); err != nil {
		return err
	}
	defer o.release()
	switch {
	case o.gone || o.rec.State == stateDone:
		return nil
	case o.rec.State == stateDisputed:
		return fmt.Errorf("%w: %s", ErrDisputed, o.rec.Problem)
	case !o.stored:
		return p.drop(ctx, o)
	}
	err := p.swap(ctx, o, true)
	if errors.Is(err, errNothing) {
		return p.takeBack(ctx, o)
	}
	return err
}

// send begins to send; the caller has p.choosing.
func (p *Purse) send(ctx context.Context, amount uint64, id string) (*op, error) {
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return nil, err
	}
	proofs, err := exactly(p.available(k.ID), func([]token.Proof) (uint64, error) { return amount, nil })
	if err != nil {
		return nil, err
	}
	if proofs == nil {
		amounts, err := denominate(k, amount)
		if err != nil {
			return nil, err
		}
		return p.split(ctx, k, amounts, id)
	}
	rec := record{ID: id, Kind: opSend, State: stateDone, Time: p.opts.Now(), Proofs: proofs}
	if rec.Ys, err = points(proofs); err != nil {
		return nil, err
	}
	o := newOp(rec)
	defer o.release()
	if err := p.put(ctx, o, rec); err != nil {
		p.reserve(o, rec)
		return nil, err
	}
	return o, nil
}

// reserve keeps the inputs of an operation that may be stored or not from being spent elsewhere
// until Resume takes it back.
func (p *Purse) reserve(o *op, rec record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rec.State = stateBegun
	o.rec = rec
	p.ops[rec.ID] = o
	for _, y := range rec.Ys {
		if h := p.held[y]; h != nil {
			h.usedBy = rec.ID
		}
	}
}

// split swaps proofs of ours so that the amounts are among what comes out: to give away under an id,
// or to keep where it is empty. The caller has p.choosing.
func (p *Purse) split(ctx context.Context, k mint.Keyset, amounts []uint64, id string) (*op, error) {
	var target uint64
	for _, a := range amounts {
		target += a
	}
	inputs, err := enough(p.available(k.ID), p.withFee(ctx, target))
	if err != nil {
		return nil, err
	}
	fee, err := p.opts.Mint.Fee(ctx, inputs)
	if err != nil {
		return nil, err
	}
	total, err := token.Sum(inputs)
	if err != nil {
		return nil, err
	}
	rest, err := denominate(k, total-fee-target)
	if err != nil {
		return nil, err
	}
	keep := len(rest)
	if id == "" {
		id, keep = newID("x"), keep+len(amounts)
	}
	return p.regroup(ctx, k, inputs, fee, append(rest, amounts...), keep, id)
}

// regroup swaps proofs of ours for others, of which the first ones are to keep. The caller has
// p.choosing.
func (p *Purse) regroup(ctx context.Context, k mint.Keyset, inputs []token.Proof, fee uint64, amounts []uint64, keep int, id string) (*op, error) {
	rec := record{ID: id, Kind: opSplit, State: stateBegun, Time: p.opts.Now(), Inputs: inputs, Fee: fee, Keep: keep}
	var err error
	if rec.Ys, err = points(inputs); err != nil {
		return nil, err
	}
	if rec.Outputs, err = p.slots(ctx, k.ID, amounts); err != nil {
		return nil, err
	}
	o := newOp(rec)
	defer o.release()
	if err := p.put(ctx, o, rec); err != nil {
		p.reserve(o, rec)
		return nil, err
	}
	err = p.swap(ctx, o, true)
	if errors.Is(err, errNothing) {
		return nil, errors.Join(err, p.takeBack(ctx, o))
	}
	return o, err
}

// takeBack ends an operation with our own proofs that did not happen: what is unspent is free again,
// and what someone else with our seed has spent is written off.
func (p *Purse) takeBack(ctx context.Context, o *op) error {
	states, err := p.opts.Mint.CheckState(ctx, o.rec.Inputs)
	if err != nil {
		// Nothing was sent, or the mint refused: the inputs are as they were.
		return p.drop(ctx, o)
	}
	var lost []string
	for i, s := range states {
		if s == mint.StateSpent {
			lost = append(lost, o.rec.Ys[i])
		}
	}
	if len(lost) == 0 {
		return p.drop(ctx, o)
	}
	rec := record{ID: newID("l"), Kind: opLost, State: stateDone, Time: p.opts.Now(), Ys: lost}
	l := newOp(rec)
	defer l.release()
	if err := p.drop(ctx, o); err != nil {
		return err
	}
	return p.put(ctx, l, rec)
}

// FeeFor is what the mint takes from whoever receives an amount, so that the amount is left, if it
// comes in the fewest proofs. Errors wrap token.ErrAmount or are those of the mint.
func (p *Purse) FeeFor(ctx context.Context, amount uint64) (uint64, error) {
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return 0, fmt.Errorf("asking for the fee: %w", err)
	}
	_, extra, err := withOwnFee(k, amount)
	if err != nil {
		return 0, fmt.Errorf("asking for the fee: %w", err)
	}
	return extra, nil
}

// withOwnFee makes up an amount and the fee for spending what makes it up.
func withOwnFee(k mint.Keyset, amount uint64) (amounts []uint64, extra uint64, err error) {
	for {
		if amounts, err = denominate(k, amount+extra); err != nil {
			return nil, 0, err
		}
		fee := inputFee(k, len(amounts))
		if fee <= extra {
			return amounts, extra, nil
		}
		extra = fee
	}
}
