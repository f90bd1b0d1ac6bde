package purse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Defaults of Options.
const (
	// DefaultPatience bounds what must be done though the caller has gone.
	DefaultPatience = 10 * time.Second
	// DefaultRetention is how long a finished operation is remembered.
	DefaultRetention = 48 * time.Hour
	// DefaultGrace is for how long after its end an unpaid invoice is asked for: a payment may be
	// under way.
	DefaultGrace = 24 * time.Hour
	// DefaultMaxBills is how many invoices may be unpaid at a time. One takes about 2 KiB.
	DefaultMaxBills = 10_000
)

// Options are what a Purse is made of.
type Options struct {
	// Mint is the mint.
	Mint *mint.Client
	// Unit is the unit of the ecash, such as sat.
	Unit string
	// Store keeps the records.
	Store Store
	// Seed gives the secrets. It must not serve a second purse of the same mint and unit,
	// unless they share Name and Lock.
	Seed *ecash.Seed
	// Keys are the keys that ecash for this purse may be locked to (NUT-11). Without the mint
	// only ecash for the first is taken: it must be nobody else's, no other process's either.
	Keys []*ecash.PrivateKey
	// Name tells purses of the same mint and unit apart, such as those of tenants.
	Name string
	// Instance tells processes apart that share the store: each has records of its own. The
	// records of one that is gone are opened under its name by another.
	Instance string
	// Others are the purses of this process that ecash may have been brought to as well: what
	// was taken without the mint by any of them is not taken so here, and counts against the
	// same bounds. It may hold the purse itself, and may be nil.
	Others func() []*Purse
	// Lock excludes other processes while counters are claimed; it returns what ends that. It
	// is needed where several processes share the store.
	Lock func(ctx context.Context, name string) (unlock func(), err error)
	// RequireDLEQ refuses tokens whose proofs have no DLEQ (NUT-12). Made-up tokens then cost
	// neither a write nor a call to the mint; but not all wallets send DLEQ proofs.
	RequireDLEQ bool
	// Network is the chain that the mint's invoices must be for; empty is mainnet.
	Network wallets.Network
	// Patience bounds what must be done though the caller has gone; zero is DefaultPatience.
	Patience time.Duration
	// Retention is how long a finished operation is remembered, so that a payer who repeats it
	// gets the same answer; zero is DefaultRetention.
	Retention time.Duration
	// Grace is for how long after its end an unpaid invoice is asked for; zero is DefaultGrace.
	Grace time.Duration
	// MaxBills is how many invoices may be unpaid at a time; zero is DefaultMaxBills.
	MaxBills int
	// Paid is told of each invoice when the purse learns that it is paid. It must return soon
	// and call no method of the purse. It may be nil.
	Paid func(Invoice)
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// batch is how many outputs the mint is asked for at a time where signatures are looked for;
	// tests that open thousands of purses ask for fewer. Zero is standardBatch.
	batch int
}

// Purse keeps ecash of one mint and unit. It is safe for concurrent use within a process.
type Purse struct {
	opts        Options
	kind        string
	counterKind string
	seenKind    string

	// choosing is held while proofs are chosen and marked as spent.
	choosing sync.Mutex
	// claiming is held while counters are given out.
	claiming sync.Mutex
	spans    map[ecash.KeysetID]span
	spare    map[ecash.KeysetID][]uint64 // counters that were given back
	// probing holds a value while the mint is asked which counters are used.
	probing chan struct{}
	// pruning is held while records are forgotten.
	pruning sync.Mutex

	mu       sync.Mutex
	probed   map[ecash.KeysetID]bool
	seen     memory
	owed     map[string]*op // what may be unswapped of what was taken without the mint
	ops      map[string]*op
	unpaid   int               // bills that were neither paid nor dropped
	held     map[string]*held  // by point
	received map[string]string // operation by point of what was received
}

// held is a proof of ours.
type held struct {
	proof          token.Proof
	madeBy, usedBy string
}

// Open reads the records. It does not talk to the mint: call Resume for the operations that a crash
// has left open.
func Open(ctx context.Context, opts Options) (*Purse, error) {
	switch {
	case opts.Mint == nil || opts.Store == nil || opts.Seed == nil || opts.Unit == "":
		return nil, errors.New("opening a purse: mint, unit, store and seed are needed")
	case opts.Instance != "" && opts.Lock == nil:
		return nil, errors.New("opening a purse: several processes need a lock")
	}
	if opts.Patience <= 0 {
		opts.Patience = DefaultPatience
	}
	if opts.Retention <= 0 {
		opts.Retention = DefaultRetention
	}
	if opts.Grace <= 0 {
		opts.Grace = DefaultGrace
	}
	if opts.MaxBills <= 0 {
		opts.MaxBills = DefaultMaxBills
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.batch <= 0 {
		opts.batch = standardBatch
	}
	p := &Purse{
		opts:        opts,
		kind:        kindOf(opKinds, opts.Mint.URL(), opts.Unit, opts.Name, opts.Instance),
		counterKind: kindOf(counterKind, opts.Mint.URL(), opts.Unit, opts.Name),
		seenKind:    kindOf(seenKinds, opts.Mint.URL(), opts.Unit, opts.Name, opts.Instance),
		spans:       make(map[ecash.KeysetID]span), spare: make(map[ecash.KeysetID][]uint64),
		probing: make(chan struct{}, 1), probed: make(map[ecash.KeysetID]bool), owed: make(map[string]*op),
		ops: make(map[string]*op), held: make(map[string]*held), received: make(map[string]string),
	}
	list, err := opts.Store.ListDurable(ctx, p.kind)
	if err != nil {
		return nil, fmt.Errorf("opening a purse: %w: %w", ErrStore, err)
	}
	for _, d := range list {
		o := &op{running: make(chan struct{}, 1), tried: true, stored: true}
		if err := json.Unmarshal(d.Value, &o.rec); err != nil || o.rec.ID != d.ID {
			return nil, fmt.Errorf("opening a purse: %w: record %.12s is damaged: restore from the seed", ErrStore, d.ID)
		}
		p.ops[o.rec.ID] = o
		p.countBill(o, 1)
		if o.rec.Owed {
			p.owed[o.rec.ID] = o
		}
	}
	if err := p.loadSeen(ctx); err != nil {
		return nil, fmt.Errorf("opening a purse: %w", err)
	}
	// Twice, since what was made must be known before what was spent; the order is random.
	for range 2 {
		for _, o := range p.ops {
			if err := p.index(&o.rec); err != nil {
				return nil, fmt.Errorf("opening a purse: %w", err)
			}
		}
	}
	return p, nil
}

// Unit is the unit of the purse.
func (p *Purse) Unit() string { return p.opts.Unit }

// MintURL is the address of the mint in its normal form.
func (p *Purse) MintURL() string { return p.opts.Mint.URL() }

// Balance is what a purse has, in its unit.
type Balance struct {
	// Available can be spent.
	Available uint64
	// Proofs is how many proofs that is.
	Proofs int
	// Reserved is in operations that have not ended: payments in flight.
	Reserved uint64
	// Unswapped was accepted without the mint, and is the payer's word and lock so far.
	Unswapped uint64
	// Disputed is what the mint took and gave nothing for.
	Disputed uint64
}

// Balance adds up what the purse has.
func (p *Purse) Balance() Balance {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b Balance
	for _, h := range p.held {
		switch user := p.ops[h.usedBy]; {
		case h.usedBy == "":
			b.Available += h.proof.Amount
			b.Proofs++
		case user != nil && user.rec.State == stateBegun:
			b.Reserved += h.proof.Amount
		}
	}
	for _, o := range p.ops {
		sum, err := token.Sum(o.rec.Inputs)
		switch {
		case err != nil:
		case o.rec.State == stateDisputed:
			b.Disputed += sum
		case o.rec.State == stateBegun && o.rec.Owed:
			b.Unswapped += sum
		}
	}
	return b
}

// find gives an operation by its id.
func (p *Purse) find(id string) *op {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ops[id]
}

// open lists the operations that have not ended, oldest first.
func (p *Purse) open() []*op {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*op
	times := make(map[*op]time.Time)
	for _, o := range p.ops {
		if o.rec.State == stateBegun {
			out = append(out, o)
			times[o] = o.rec.Time
		}
	}
	sort.Slice(out, func(i, j int) bool { return times[out[i]].Before(times[out[j]]) })
	return out
}
