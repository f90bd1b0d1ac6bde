package purse

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
)

// Invoice is a Lightning invoice whose payment buys ecash for the purse.
type Invoice struct {
	// ID names the invoice in the purse.
	ID string
	// Request is the invoice (BOLT 11).
	Request string
	// Quote names it at the mint. Who knows it can take the ecash once it is paid.
	Quote string
	// Hash is its payment hash.
	Hash [32]byte
	// Amount is in the purse's unit.
	Amount uint64
	// Expiry is when it can no longer be paid.
	Expiry time.Time
	// Paid says that it is paid, and Collected that the ecash is in the purse.
	Paid, Collected bool
	// SettledAt is when the purse learned of the payment; zero where it is not paid.
	SettledAt time.Time
}

// invoiceID is the id of the invoice with this payment hash.
func invoiceID(hash [32]byte) string { return "m" + hex.EncodeToString(hash[:]) }

// Bill asks the mint for an invoice (NUT-04). It is stored before it is returned, so that whoever
// pays it pays this purse. Errors wrap those of mint.RequestMint, wallets.ErrBadInvoice where the
// invoice is for another chain, ErrBills where too many are unpaid, or ErrStore.
func (p *Purse) Bill(ctx context.Context, amount uint64, description string) (*Invoice, error) {
	p.mu.Lock()
	unpaid := p.unpaid
	p.mu.Unlock()
	if unpaid >= p.opts.MaxBills {
		return nil, fmt.Errorf("billing: %w: %d", ErrBills, unpaid)
	}
	q, err := p.opts.Mint.RequestMint(ctx, amount, p.opts.Unit, description)
	if err != nil {
		return nil, fmt.Errorf("billing: %w", err)
	}
	d, err := wallets.DecodeInvoice(q.Request)
	if err != nil {
		return nil, fmt.Errorf("billing: %w", err)
	}
	if want := p.opts.Network; d.Network != want && (want != "" || d.Network != wallets.Mainnet) {
		return nil, fmt.Errorf("billing: %w: it is for %s", wallets.ErrBadInvoice, d.Network)
	}
	if q.Expiry.IsZero() || q.Expiry.After(d.ExpiresAt) {
		q.Expiry = d.ExpiresAt
	}
	rec := record{ID: invoiceID(d.PaymentHash), Kind: opMint, State: stateBegun, Time: p.opts.Now(), Mint: &q}
	o := newOp(rec)
	defer o.release()
	if !p.claimBill(o) {
		return nil, fmt.Errorf("billing: %w: an invoice that was given out before", wallets.ErrBadAnswer)
	}
	if err := p.put(ctx, o, rec); err != nil {
		// It may be stored or not; nobody has seen it. The next start drops it when it is over.
		p.mu.Lock()
		defer p.mu.Unlock()
		p.forget(o)
		return nil, fmt.Errorf("billing: %w", err)
	}
	return invoiceOf(rec, false), nil
}

func invoiceOf(r record, paid bool) *Invoice {
	out := &Invoice{ID: r.ID, Request: r.Mint.Request, Quote: r.Mint.ID, Amount: r.Mint.Amount, Expiry: r.Mint.Expiry, Collected: r.State == stateDone}
	out.Paid = paid || out.Collected || r.Settled != nil
	if r.Settled != nil {
		out.SettledAt = *r.Settled
	}
	if hash, err := hex.DecodeString(r.ID[1:]); err == nil && len(hash) == 32 {
		out.Hash = [32]byte(hash)
	}
	return out
}

// Collect looks an invoice up and, when it is paid, makes the ecash (NUT-04). Paid is true as soon
// as the mint says so, also where the error says that the ecash could not be made yet: Resume does
// that. Errors wrap ErrNotFound, ErrUnsettled, ErrStore, ErrDisputed or those of the mint; an unpaid
// invoice is no error.
func (p *Purse) Collect(ctx context.Context, hash [32]byte) (*Invoice, error) {
	o := p.find(invoiceID(hash))
	if o == nil {
		return nil, fmt.Errorf("collecting: %w", ErrNotFound)
	}
	if err := o.acquire(ctx); err != nil {
		return nil, fmt.Errorf("collecting: %w", err)
	}
	defer o.release()
	paid, err := p.collect(ctx, o)
	inv := invoiceOf(o.rec, paid)
	if err != nil {
		return inv, fmt.Errorf("collecting: %w", err)
	}
	return inv, nil
}

// collect brings the purchase to its end, if the invoice is paid; the caller drives o.
func (p *Purse) collect(ctx context.Context, o *op) (paid bool, err error) {
	switch {
	case o.gone:
		return false, ErrNotFound
	case o.rec.State == stateDone:
		return true, nil
	case o.rec.State == stateDisputed:
		return true, fmt.Errorf("%w: %s", ErrDisputed, o.rec.Problem)
	}
	q, err := p.opts.Mint.LookupMint(ctx, o.rec.Mint.ID, o.rec.Mint.Amount, p.opts.Unit)
	if err != nil {
		return false, err
	}
	switch q.State {
	case mint.QuotePaid:
		p.settled(o)
		return true, p.issue(ctx, o)
	case mint.QuoteIssued:
		p.settled(o)
		return true, p.reissue(ctx, o, nil)
	}
	return false, nil
}

// issue makes the ecash of a paid invoice.
func (p *Purse) issue(ctx context.Context, o *op) error {
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return err
	}
	if o.rec.Outputs == nil || o.rec.Outputs[0].Keyset != k.ID {
		if err := p.prepareIssue(ctx, o, k); err != nil {
			return err
		}
	}
	outputs, err := p.outputs(o.rec.Outputs)
	if err != nil {
		return err
	}
	o.tried = true
	proofs, err := p.opts.Mint.Mint(ctx, o.rec.Mint.ID, outputs)
	if err == nil {
		return p.finish(ctx, o, proofs)
	}
	if mint.NotSent(err) {
		return err
	}
	if errors.Is(err, mint.ErrKeyset) {
		_ = p.opts.Mint.Refresh(ctx) // the next try has the new keys; this one's error counts
	}
	return p.reissue(ctx, o, err)
}

// prepareIssue stores outputs of a keyset for the purchase, unless the mint has signed the ones
// before, when the keys were rotated in between.
func (p *Purse) prepareIssue(ctx context.Context, o *op, k mint.Keyset) error {
	amounts, err := denominate(k, o.rec.Mint.Amount)
	if err != nil {
		return err
	}
	rec := o.rec
	if rec.Outputs, err = p.slots(ctx, k.ID, amounts); err != nil {
		return err
	}
	return p.put(ctx, o, rec)
}

// reissue asks for the signatures that the mint has made for a purchase. cause is the error of the
// request before, if there was one.
func (p *Purse) reissue(ctx context.Context, o *op, cause error) error {
	if cause == nil {
		cause = errors.New("the mint says that the ecash was issued, and did not sign it for this purse")
	}
	if o.rec.Outputs == nil {
		return fmt.Errorf("%w: %w", ErrUnsettled, cause)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Patience)
	defer cancel()
	outputs, err := p.outputs(o.rec.Outputs)
	if err != nil {
		return err
	}
	proofs, err := p.restore(ctx, outputs)
	switch {
	case errors.Is(err, mint.ErrCheated):
		return p.dispute(ctx, o, err)
	case err == nil && proofs != nil:
		return p.finish(ctx, o, proofs)
	case errors.Is(err, mint.ErrUnsupported) && o.tried:
		// A mint without NUT-09 may repeat its answer (NUT-19).
		if proofs, err := p.opts.Mint.Mint(ctx, o.rec.Mint.ID, outputs); err == nil {
			return p.finish(ctx, o, proofs)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnsettled, cause)
}
