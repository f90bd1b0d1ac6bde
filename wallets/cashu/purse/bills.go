package purse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
)

// Resume asks for an unpaid invoice at ages that double, so that one costs about a dozen calls in its
// life, and after its end at most every latestLook.
const (
	firstLook  = time.Second
	latestLook = 10 * time.Minute
)

// claimBill takes a bill into memory unless there is one with this hash.
func (p *Purse) claimBill(o *op) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ops[o.rec.ID] != nil {
		return false
	}
	p.ops[o.rec.ID] = o
	o.next = p.opts.Now().Add(firstLook)
	p.countBill(o, 1)
	return true
}

// countBill keeps the number of unpaid bills; the caller has p.mu, or the purse to itself.
func (p *Purse) countBill(o *op, by int) {
	if o.rec.Kind == opMint && o.rec.State == stateBegun && o.rec.Settled == nil {
		p.unpaid += by
	}
}

// settled notes that the invoice of a bill is paid, and tells of it once; the caller drives o.
func (p *Purse) settled(o *op) {
	if o.rec.Settled != nil {
		return
	}
	now := p.opts.Now()
	p.mu.Lock()
	p.countBill(o, -1)
	o.rec.Settled = &now
	p.mu.Unlock()
	if p.opts.Paid != nil {
		p.opts.Paid(*invoiceOf(o.rec, true))
	}
}

// due says whether it is time to ask for a bill, and sets the next time.
func (p *Purse) due(o *op) bool {
	now := p.opts.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.rec.Settled == nil && now.Before(o.next) {
		return false
	}
	o.next = now.Add(min(max(now.Sub(o.rec.Time), firstLook), latestLook))
	return true
}

// expired says whether a bill was asked for long enough after its end. What the mint says of the end
// of its quote does not keep a payer from paying the invoice.
func (p *Purse) expired(o *op) bool {
	end := o.rec.Mint.Expiry
	if d, err := wallets.DecodeInvoice(o.rec.Mint.Request); err == nil && d.ExpiresAt.After(end) {
		end = d.ExpiresAt
	}
	return p.opts.Now().After(end.Add(p.opts.Grace))
}

// Unpaid lists up to n invoices that can still be paid, the youngest first.
func (p *Purse) Unpaid(n int) []Invoice {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.opts.Now()
	var open []*record
	for _, o := range p.ops {
		if o.rec.Kind == opMint && o.rec.State == stateBegun && o.rec.Settled == nil && now.Before(o.rec.Mint.Expiry) {
			open = append(open, &o.rec)
		}
	}
	sort.Slice(open, func(i, j int) bool { return open[i].Time.After(open[j].Time) })
	out := make([]Invoice, 0, min(n, len(open)))
	for _, r := range open[:min(n, len(open))] {
		out = append(out, *invoiceOf(*r, false))
	}
	return out
}

// Settled lists the invoices that the purse knows to be paid, since then, in the order in which it
// learned of that. Those that are older than the retention may be missing.
func (p *Purse) Settled(since time.Time) []Invoice {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Invoice
	for _, o := range p.ops {
		if o.rec.Kind == opMint && o.rec.Settled != nil && !o.rec.Settled.Before(since) {
			out = append(out, *invoiceOf(o.rec, true))
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].SettledAt.Before(out[j].SettledAt) })
	return out
}

// Look tells of an invoice that another process made, of that Instance. It asks the mint and changes
// nothing: the ecash is the other's to collect. Errors wrap ErrNotFound, ErrStore or those of the
// mint.
func (p *Purse) Look(ctx context.Context, instance string, hash [32]byte) (*Invoice, error) {
	kind := kindOf(opKinds, p.opts.Mint.URL(), p.opts.Unit, p.opts.Name, instance)
	id := invoiceID(hash)
	b, err := p.opts.Store.GetDurable(ctx, kind, id)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("looking up an invoice: %w", ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("looking up an invoice: %w: %w", ErrStore, err)
	}
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil || rec.ID != id || rec.Kind != opMint || rec.Mint == nil {
		return nil, fmt.Errorf("looking up an invoice: %w: its record is damaged", ErrStore)
	}
	if rec.State != stateBegun || rec.Settled != nil {
		return invoiceOf(rec, true), nil
	}
	q, err := p.opts.Mint.LookupMint(ctx, rec.Mint.ID, rec.Mint.Amount, p.opts.Unit)
	if err != nil {
		return nil, fmt.Errorf("looking up an invoice: %w", err)
	}
	return invoiceOf(rec, q.State == mint.QuotePaid || q.State == mint.QuoteIssued), nil
}
