package nwc

import (
	"slices"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxOpen bounds the invoices that are remembered; the oldest are forgotten first.
	maxOpen = 4096
	// keepOpen is for how long after its end an invoice is still asked after.
	keepOpen = time.Minute
)

// openInvoices are the invoices of this process that can still be paid. They tell whether polling
// makes sense, how far back it must look, and what to ask for where the wallet has no lists. The
// zero value is ready. It is safe for concurrent use.
type openInvoices struct {
	mu      sync.Mutex
	list    []*openInvoice // in the order in which they were made
	next    int            // where the next round begins, if not all fit into one
	longest time.Duration
}

type openInvoice struct {
	hash    lntypes.Hash
	expires time.Time
	// settled is set once it is known, so that each listener can tell it.
	settled *wallets.Settlement
}

// add remembers a new invoice.
func (o *openInvoices) add(hash lntypes.Hash, now, expires time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.longest = max(o.longest, expires.Sub(now))
	if len(o.list) >= maxOpen {
		o.prune(now)
	}
	if len(o.list) >= maxOpen {
		o.list = slices.Delete(o.list, 0, maxOpen/8)
	}
	o.list = append(o.list, &openInvoice{hash: hash, expires: expires})
}

// prune forgets what can no longer be paid; mu is held.
func (o *openInvoices) prune(now time.Time) {
	o.list = slices.DeleteFunc(o.list, func(i *openInvoice) bool {
		return now.After(i.expires.Add(keepOpen))
	})
}

// any tells whether an invoice is open.
func (o *openInvoices) any(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.prune(now)
	return slices.ContainsFunc(o.list, func(i *openInvoice) bool { return i.settled == nil })
}

// life is the longest time that an invoice of this process could be paid for.
func (o *openInvoices) life() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.longest
}

// round picks up to n unsettled invoices, other ones at the next call, the newest first: if they
// are paid in the order in which they were made while they are asked for, none overtakes another.
func (o *openInvoices) round(now time.Time, n int) []lntypes.Hash {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.prune(now)
	var unsettled []lntypes.Hash
	for _, i := range o.list {
		if i.settled == nil {
			unsettled = append(unsettled, i.hash)
		}
	}
	out := unsettled
	if len(unsettled) > n {
		o.next %= len(unsettled)
		out = append(slices.Clone(unsettled[o.next:]), unsettled[:o.next]...)[:n]
		o.next += n
	}
	slices.Reverse(out)
	return out
}

// settle remembers that an invoice was paid.
func (o *openInvoices) settle(s wallets.Settlement) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, i := range o.list {
		if i.hash == s.PaymentHash {
			i.settled = &s
		}
	}
}

// settlements are the paid ones in the order of their settlement.
func (o *openInvoices) settlements() []wallets.Settlement {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []wallets.Settlement
	for _, i := range o.list {
		if i.settled != nil {
			out = append(out, *i.settled)
		}
	}
	sortSettlements(out)
	return out
}

// sortSettlements sorts by time, which has whole seconds; within one the order stays.
func sortSettlements(list []wallets.Settlement) {
	slices.SortStableFunc(list, func(a, b wallets.Settlement) int { return a.SettledAt.Compare(b.SettledAt) })
}
