package purse

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// errNothing says that an operation has surely not happened and never will.
var errNothing = errors.New("nothing happened")

// errReused says that the mint has signed outputs before which this purse takes for new.
var errReused = errors.New("another server uses the same seed")

// nothing marks an error as errNothing without a word of its own.
type nothing struct{ err error }

func (e *nothing) Error() string        { return e.err.Error() }
func (e *nothing) Unwrap() error        { return e.err }
func (e *nothing) Is(target error) bool { return target == errNothing }

// ending is how the mint says an operation ended.
type ending int

const (
	endUnknown     ending = iota // the mint does not answer
	endUnsupported               // the mint cannot say what it signed
	endSigned                    // it signed
	endFree                      // it did not sign, and the inputs are unspent
	endPending                   // it did not sign, and an input is part of a payment
	endSpent                     // it did not sign, and an input is spent
	endCheated                   // it signed something else
)

// ask finds out how a swap ended. Its word on spent inputs is followed by a second look at the
// signatures, since the swap may have been done in between.
func (p *Purse) ask(ctx context.Context, inputs []token.Proof, outputs []mint.Output) (ending, []token.Proof, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Patience)
	defer cancel()
	var end ending
	for second := false; ; second = true {
		proofs, err := p.restore(ctx, outputs)
		switch {
		case errors.Is(err, mint.ErrCheated):
			return endCheated, nil, err
		case errors.Is(err, mint.ErrUnsupported):
			return endUnsupported, nil, err
		case err != nil:
			return endUnknown, nil, err
		case proofs != nil:
			return endSigned, proofs, nil
		case second:
			return end, nil, nil
		}
		states, err := p.opts.Mint.CheckState(ctx, inputs)
		if err != nil {
			return endUnknown, nil, err
		}
		end = endFree
		for _, s := range states {
			switch {
			case s == mint.StateSpent:
				end = endSpent
			case s == mint.StatePending && end == endFree:
				end = endPending
			}
		}
		if end != endSpent {
			return end, nil, nil
		}
	}
}

// restore gives the proofs of all outputs, or nil where none was signed.
func (p *Purse) restore(ctx context.Context, outputs []mint.Output) ([]token.Proof, error) {
	found, err := p.opts.Mint.Restore(ctx, outputs)
	if err != nil {
		return nil, err
	}
	var out []token.Proof
	for _, f := range found {
		if f != nil {
			out = append(out, *f)
		}
	}
	if len(out) != 0 && len(out) != len(outputs) {
		return nil, fmt.Errorf("%w: it signed %d of %d outputs", mint.ErrCheated, len(out), len(outputs))
	}
	return out, nil
}

// swap brings a swap to its end; the caller drives o. Where drive is false the mint is only asked,
// so that a payer who went away keeps his ecash. Errors wrap errNothing where nothing happened,
// ErrSpent where the inputs were spent otherwise, ErrDisputed, or ErrUnsettled.
func (p *Purse) swap(ctx context.Context, o *op, drive bool) error {
	outputs, err := p.outputs(o.rec.Outputs)
	if err != nil {
		return err
	}
	before := o.tried
	if before {
		end, proofs, err := p.ask(ctx, o.rec.Inputs, outputs)
		switch {
		case end == endUnsupported && drive:
		case end == endFree && drive:
			if outputs, err = p.renew(ctx, o, outputs); err != nil {
				return err
			}
		default:
			return p.settle(ctx, o, end, proofs, err, nil, true)
		}
	}
	blinded, err := mint.Blind(outputs)
	if err != nil {
		return err
	}
	inputs, err := token.Transaction{Inputs: o.rec.Inputs, Outputs: blinded}.Sign(p.opts.Keys, p.opts.Now())
	if err != nil {
		if before {
			return err
		}
		return &nothing{err}
	}
	o.tried = true
	proofs, swapErr := p.opts.Mint.Swap(ctx, inputs, outputs)
	if swapErr == nil {
		return p.finish(ctx, o, proofs)
	}
	if mint.NotSent(swapErr) {
		o.tried = before
		if !before {
			return &nothing{swapErr}
		}
		return fmt.Errorf("%w: %w", ErrUnsettled, swapErr)
	}
	end, proofs, err := p.ask(ctx, o.rec.Inputs, outputs)
	if (end == endSigned || end == endCheated) && !before && errors.Is(swapErr, mint.ErrRefused) && p.reused(ctx, o.rec.Inputs) {
		for _, s := range o.rec.Outputs {
			p.setProbed(s.Keyset, false)
		}
		return &nothing{fmt.Errorf("%w: %w", wallets.ErrUnavailable, errReused)}
	}
	return p.settle(ctx, o, end, proofs, err, swapErr, before)
}

// settle acts on how a swap ended. answer is the mint's error, if it was asked to swap just now, and
// before says that it had been asked before: then an older request may still be on its way, and a
// refusal of the newer one proves nothing.
func (p *Purse) settle(ctx context.Context, o *op, end ending, proofs []token.Proof, err, answer error, before bool) error {
	refused := errors.Is(answer, mint.ErrRefused) && !before
	cause := answer
	if cause == nil {
		cause = err
	}
	switch end {
	case endSigned:
		return p.finish(ctx, o, proofs)
	case endSpent:
		return &nothing{ErrSpent}
	case endCheated:
		return p.dispute(ctx, o, err)
	case endFree, endUnsupported:
		if refused && errors.Is(answer, mint.ErrSpent) && end == endUnsupported {
			return &nothing{fmt.Errorf("%w: %w", ErrSpent, answer)}
		}
		if refused {
			return &nothing{answer}
		}
	}
	if cause == nil {
		return ErrUnsettled
	}
	return fmt.Errorf("%w: %w", ErrUnsettled, cause)
}

// renew makes new outputs for a receipt that the mint did not sign while it rotated its keys. With
// the old ones it can never be signed, not even by a request that is still on its way.
func (p *Purse) renew(ctx context.Context, o *op, outputs []mint.Output) ([]mint.Output, error) {
	if o.rec.Kind != opReceive || len(outputs) == 0 {
		return outputs, nil
	}
	old, err := p.opts.Mint.Keyset(ctx, outputs[0].KeysetID)
	if err != nil || old.Active {
		return outputs, err
	}
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return nil, err
	}
	var keep, change uint64
	for i, s := range o.rec.Outputs {
		if i < o.rec.Keep {
			keep += s.Amount
		} else {
			change += s.Amount
		}
	}
	kept, err := denominate(k, keep)
	if err != nil {
		return nil, err
	}
	back, err := denominate(k, change)
	if err != nil {
		return nil, err
	}
	rec := o.rec
	rec.Keep = len(kept)
	if rec.Outputs, err = p.slots(ctx, k.ID, append(kept, back...)); err != nil {
		return nil, err
	}
	if err := p.put(ctx, o, rec); err != nil {
		return nil, err
	}
	return p.outputs(rec.Outputs)
}
