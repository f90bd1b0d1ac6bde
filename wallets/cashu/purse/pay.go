package purse

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Payment is the payment of an invoice out of the purse.
type Payment struct {
	// ID names the payment in the purse.
	ID string
	// Hash is the invoice's payment hash.
	Hash [32]byte
	// Amount is what the invoice is over, in the purse's unit.
	Amount uint64
	// Fee is what it cost besides: Lightning's fee and the mint's. It is known once Paid.
	Fee uint64
	// Paid says that the mint says it has paid; otherwise the payment is in flight.
	Paid bool
	// Preimage proves that the invoice is paid. It is nil where the mint gave none that fits.
	Preimage *[32]byte
}

func paymentID(hash [32]byte) string { return "p" + hex.EncodeToString(hash[:]) }

// Pay has the mint pay an invoice (NUT-05) if Lightning costs maxFee at most, in the purse's unit.
// What is left of the fee reserve comes back as ecash (NUT-08). An invoice is paid once: the same
// call again tells how the payment goes, or tries again after it failed.
//
// Errors wrap ErrFee, ErrTooLittle, ErrPaymentFailed with which the ecash is back, ErrUnsettled with
// which the payment may be in flight, ErrStore, ErrDisputed or those of the mint.
func (p *Purse) Pay(ctx context.Context, invoice string, maxFee uint64) (*Payment, error) {
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		return nil, fmt.Errorf("paying: %w", err)
	}
	o := p.find(paymentID(d.PaymentHash))
	if o == nil {
		if o, err = p.beginPayment(ctx, d, maxFee); err != nil {
			return nil, fmt.Errorf("paying: %w", err)
		}
	} else if err := o.acquire(ctx); err != nil {
		return nil, fmt.Errorf("paying: %w", err)
	}
	defer o.release()
	err = p.melt(ctx, o)
	if err != nil && !errors.Is(err, ErrUnsettled) {
		return nil, fmt.Errorf("paying: %w", err)
	}
	out := paymentOf(o.rec)
	if err != nil {
		return out, fmt.Errorf("paying: %w", err)
	}
	return out, nil
}

func paymentOf(r record) *Payment {
	out := &Payment{ID: r.ID, Hash: r.Melt.Hash, Amount: r.Melt.Amount, Fee: r.Fee, Paid: r.State == stateDone}
	if b, err := hex.DecodeString(r.Preimage); err == nil && len(b) == 32 {
		preimage := [32]byte(b)
		out.Preimage = &preimage
	}
	return out
}

// beginPayment gets a quote, puts exact proofs aside and stores the payment. The caller drives what
// it returns.
func (p *Purse) beginPayment(ctx context.Context, d *wallets.Decoded, maxFee uint64) (*op, error) {
	q, err := p.opts.Mint.RequestMelt(ctx, d.PaymentRequest, p.opts.Unit)
	switch {
	case err != nil:
		return nil, err
	case q.FeeReserve > maxFee:
		return nil, fmt.Errorf("%w: the mint wants a reserve of %d where %d is the most", ErrFee, q.FeeReserve, maxFee)
	case q.State != mint.QuoteUnpaid:
		return nil, fmt.Errorf("%w: a quote that is %s already", wallets.ErrBadAnswer, q.State)
	}
	p.choosing.Lock()
	defer p.choosing.Unlock()
	id := paymentID(d.PaymentHash)
	if p.find(id) != nil {
		return nil, fmt.Errorf("%w: another call pays it", ErrUnsettled)
	}
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return nil, err
	}
	amount := q.Amount + q.FeeReserve
	if amount < q.Amount {
		return nil, fmt.Errorf("%w: beyond 64 bits", token.ErrAmount)
	}
	inputs, err := exactly(p.available(k.ID), p.withFee(ctx, amount))
	if err != nil {
		return nil, err
	}
	if inputs == nil {
		if inputs, err = p.makeExact(ctx, k, amount); err != nil {
			return nil, err
		}
	}
	rec := record{ID: id, Kind: opMelt, State: stateBegun, Time: p.opts.Now(), Inputs: inputs, Melt: &q}
	if rec.Ys, err = points(inputs); err != nil {
		return nil, err
	}
	sum, err := token.Sum(inputs)
	if err != nil {
		return nil, err
	}
	fee, err := p.opts.Mint.Fee(ctx, inputs)
	if err != nil {
		return nil, err
	}
	if rec.Outputs, err = p.slots(ctx, k.ID, make([]uint64, bits.Len64(sum-fee-q.Amount))); err != nil {
		return nil, err
	}
	o := newOp(rec)
	if err := p.put(ctx, o, rec); err != nil {
		p.reserve(o, rec)
		o.release()
		return nil, err
	}
	return o, nil
}

// makeExact swaps for proofs that are worth an amount and the fee for spending them. Not every mint
// gives back what is paid too much (NUT-08).
func (p *Purse) makeExact(ctx context.Context, k mint.Keyset, amount uint64) ([]token.Proof, error) {
	amounts, _, err := withOwnFee(k, amount)
	if err != nil {
		return nil, err
	}
	o, err := p.split(ctx, k, amounts, "")
	if err != nil {
		return nil, err
	}
	return o.rec.Proofs[len(o.rec.Proofs)-len(amounts):], nil
}

// melt brings a payment to its end; the caller drives o.
func (p *Purse) melt(ctx context.Context, o *op) error {
	switch {
	case o.gone:
		return ErrPaymentFailed
	case o.rec.State == stateDone:
		return nil
	case o.rec.State == stateDisputed:
		return fmt.Errorf("%w: %s", ErrDisputed, o.rec.Problem)
	}
	if !o.stored {
		if err := p.put(ctx, o, o.rec); err != nil {
			return err
		}
	}
	blanks, err := p.outputs(o.rec.Outputs)
	if err != nil {
		return err
	}
	before := o.tried
	if before {
		if again, err := p.askMelt(ctx, o, blanks, nil, true); !again {
			return err
		}
		if expiry := o.rec.Melt.Expiry; !expiry.IsZero() && p.opts.Now().After(expiry.Add(p.opts.Patience)) {
			return p.fail(ctx, o, mint.ErrExpired)
		}
	}
	o.tried = true
	r, err := p.opts.Mint.Melt(ctx, *o.rec.Melt, o.rec.Inputs, blanks)
	switch {
	case err == nil && r.State == mint.QuotePaid:
		return p.paid(ctx, o, r, blanks)
	case mint.NotSent(err) && !before:
		return p.fail(ctx, o, err)
	case err == nil && r.State == mint.QuotePending:
		return ErrUnsettled
	}
	_, err = p.askMelt(ctx, o, blanks, err, before)
	return err
}

// askMelt asks how a payment goes, and says whether it may be tried again. cause is the error of the
// request before, if there was one.
func (p *Purse) askMelt(ctx context.Context, o *op, blanks []mint.Output, cause error, before bool) (again bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Patience)
	defer cancel()
	unsettled := func(err error) error {
		if cause == nil {
			cause = err
		}
		if cause == nil {
			return ErrUnsettled
		}
		return fmt.Errorf("%w: %w", ErrUnsettled, cause)
	}
	r, err := p.opts.Mint.LookupMelt(ctx, *o.rec.Melt, blanks)
	if err != nil {
		return false, unsettled(err)
	}
	switch r.State {
	case mint.QuotePaid:
		return false, p.paid(ctx, o, r, blanks)
	case mint.QuotePending:
		return false, unsettled(nil)
	}
	states, err := p.opts.Mint.CheckState(ctx, o.rec.Inputs)
	if err != nil {
		return false, unsettled(err)
	}
	for _, s := range states {
		if s == mint.StatePending {
			return false, unsettled(nil)
		}
		if s == mint.StateSpent {
			// Unpaid, and yet spent: by the payment a moment ago, or by someone with our seed.
			return p.spentMelt(ctx, o, blanks, unsettled)
		}
	}
	// Unpaid and unspent. What the mint refused just now it will not pay; a request that got lost
	// may still be under way.
	if !before && (cause == nil || errors.Is(cause, mint.ErrRefused)) {
		return false, p.fail(ctx, o, cause)
	}
	return true, unsettled(nil)
}

func (p *Purse) spentMelt(ctx context.Context, o *op, blanks []mint.Output, unsettled func(error) error) (bool, error) {
	r, err := p.opts.Mint.LookupMelt(ctx, *o.rec.Melt, blanks)
	switch {
	case err != nil:
		return false, unsettled(err)
	case r.State == mint.QuotePaid:
		return false, p.paid(ctx, o, r, blanks)
	case r.State == mint.QuotePending:
		return false, unsettled(nil)
	}
	return false, p.dispute(ctx, o, errors.New("the inputs of a payment are spent, and the mint says that it is unpaid"))
}

// fail gives the inputs of a payment back that did not happen.
func (p *Purse) fail(ctx context.Context, o *op, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Patience)
	defer cancel()
	if err := p.drop(ctx, o); err != nil {
		return err
	}
	if cause == nil {
		return ErrPaymentFailed
	}
	return fmt.Errorf("%w: %w", ErrPaymentFailed, cause)
}

// paid writes what is left of a payment.
func (p *Purse) paid(ctx context.Context, o *op, r mint.MeltResult, blanks []mint.Output) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Patience)
	defer cancel()
	change := r.Change
	if len(change) == 0 && len(blanks) > 0 {
		// Not every mint repeats the change when it is asked for the quote. One that cannot
		// restore gave none, or gave it in the answer to the melt.
		found, err := p.opts.Mint.Restore(ctx, blanks)
		switch {
		case errors.Is(err, mint.ErrCheated):
			return p.dispute(ctx, o, err)
		case err != nil && !errors.Is(err, mint.ErrUnsupported):
			return fmt.Errorf("%w: %w", ErrUnsettled, err)
		}
		for _, f := range found {
			if f != nil {
				change = append(change, *f)
			}
		}
	}
	in, err := token.Sum(o.rec.Inputs)
	if err != nil {
		return err
	}
	out, err := token.Sum(change)
	if err != nil || out > in-min(in, o.rec.Melt.Amount) {
		return p.dispute(ctx, o, errors.New("more change than was left"))
	}
	rec := o.rec
	rec.Fee = in - out - rec.Melt.Amount
	if r.Preimage != nil {
		rec.Preimage = hex.EncodeToString(r.Preimage[:])
	}
	p.set(o, rec)
	return p.finish(ctx, o, change)
}
