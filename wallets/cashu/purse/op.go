package purse

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// opKind is what an operation does.
type opKind string

const (
	opReceive opKind = "receive" // swaps foreign proofs for ours
	opMint    opKind = "mint"    // buys ecash with Lightning
	opSplit   opKind = "split"   // swaps ours for other amounts, some of them to give away
	opSend    opKind = "send"    // gives ours away as they are
	opMelt    opKind = "melt"    // pays an invoice
	opRestore opKind = "restore" // finds what a seed has
	opLost    opKind = "lost"    // writes off what someone else with our seed has spent
)

// opState is how far an operation is.
type opState string

const (
	// stateBegun says that the mint may or may not have done it.
	stateBegun opState = "begun"
	// stateDone says that Proofs are what came out.
	stateDone opState = "done"
	// stateDisputed says that the mint cheated.
	stateDisputed opState = "disputed"
)

// slot is an output that can be made again from the seed.
type slot struct {
	Keyset  ecash.KeysetID `json:"k"`
	Counter uint64         `json:"n"`
	Amount  uint64         `json:"a,omitempty"` // zero for blank outputs
}

// record is what the store has of an operation.
type record struct {
	ID    string    `json:"id"`
	Kind  opKind    `json:"kind"`
	State opState   `json:"state"`
	Time  time.Time `json:"time"`
	// Inputs are what is spent. Once the operation is done only their points are kept.
	Inputs []token.Proof `json:"inputs,omitempty"`
	Ys     []string      `json:"ys,omitempty"`
	// Outputs are what the mint signs; the ones from Keep on are given away.
	Outputs []slot `json:"outputs,omitempty"`
	Keep    int    `json:"keep,omitempty"`
	// Proofs are what came out, in the order of the outputs.
	Proofs []token.Proof `json:"proofs,omitempty"`
	// Fee is what the mint took.
	Fee uint64 `json:"fee,omitempty"`
	// Note is the receiver's, for a receipt.
	Note string `json:"note,omitempty"`
	// Owed says that something was given for the inputs of a receipt before they were swapped.
	Owed bool `json:"owed,omitempty"`
	// Locked says that the inputs of a receipt were locked to us.
	Locked bool            `json:"locked,omitempty"`
	Mint   *mint.MintQuote `json:"mint,omitempty"`
	// Settled is when the purse learned that its invoice was paid.
	Settled *time.Time      `json:"settled,omitempty"`
	Melt    *mint.MeltQuote `json:"melt,omitempty"`
	// Preimage is the proof of a payment, in hex.
	Preimage string `json:"preimage,omitempty"`
	// Problem is why the operation is disputed.
	Problem string `json:"problem,omitempty"`
}

// op is an operation in memory.
type op struct {
	// running holds a value while the operation talks to the mint, so that one caller drives it.
	running chan struct{}
	// gone says, under running, that the operation was taken back.
	gone bool
	// tried says, under running, that the mint may have seen the operation.
	tried bool
	// stored says, under running, that the store surely has the operation.
	stored bool
	// next is, under Purse.mu, when Resume asks for an unpaid invoice again.
	next time.Time
	// rec is replaced as a whole, under Purse.mu.
	rec record
}

// newOp makes an operation that its maker drives.
func newOp(rec record) *op {
	o := &op{running: make(chan struct{}, 1), rec: rec}
	o.running <- struct{}{}
	return o
}

func (o *op) acquire(ctx context.Context) error {
	select {
	case o.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *op) release() { <-o.running }

func (r *record) ours() []token.Proof {
	if r.State != stateDone {
		return nil
	}
	switch r.Kind {
	case opReceive, opSplit:
		return r.Proofs[:min(r.Keep, len(r.Proofs))]
	case opMint, opMelt, opRestore:
		return r.Proofs
	}
	return nil
}

func (r *record) given() []token.Proof {
	if r.State != stateDone {
		return nil
	}
	switch r.Kind {
	case opReceive, opSplit:
		return r.Proofs[min(r.Keep, len(r.Proofs)):]
	case opSend:
		return r.Proofs
	}
	return nil
}

// spendsOurs says that the inputs were the purse's own.
func (r *record) spendsOurs() bool {
	return r.Kind == opSplit || r.Kind == opSend || r.Kind == opMelt || r.Kind == opLost
}

// point is the name of a proof.
func point(p token.Proof) (string, error) {
	y, err := p.Y()
	return hex.EncodeToString(y[:]), err
}

func points(proofs []token.Proof) ([]string, error) {
	out := make([]string, len(proofs))
	for i, p := range proofs {
		var err error
		if out[i], err = point(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// outputs makes the outputs of slots again.
func (p *Purse) outputs(slots []slot) ([]mint.Output, error) {
	out := make([]mint.Output, len(slots))
	for i, s := range slots {
		coin, err := p.opts.Seed.Derive(s.Keyset, s.Counter)
		if err != nil {
			return nil, err
		}
		out[i] = mint.Output{Amount: s.Amount, KeysetID: s.Keyset, Coin: coin}
	}
	return out, nil
}

// put writes a record and, when it is written, takes it into memory.
func (p *Purse) put(ctx context.Context, o *op, rec record) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	if err := p.opts.Store.PutDurable(ctx, p.kind, rec.ID, b); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o.rec, o.stored = rec, true
	p.ops[rec.ID] = o
	return p.index(&o.rec)
}

// drop takes an operation back that has changed nothing: its inputs are free again.
func (p *Purse) drop(ctx context.Context, o *op) error {
	if err := p.opts.Store.DeleteDurable(ctx, p.kind, o.rec.ID); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(o)
	return nil
}

// forget takes an operation out of memory; the caller has p.mu.
func (p *Purse) forget(o *op) {
	p.countBill(o, -1)
	o.gone = true
	delete(p.ops, o.rec.ID)
	for _, y := range o.rec.Ys {
		if o.rec.Kind == opReceive && p.received[y] == o.rec.ID {
			delete(p.received, y)
		}
		if h := p.held[y]; h != nil && h.usedBy == o.rec.ID {
			h.usedBy = ""
		}
	}
}

// index takes the effects of a record into memory; the caller has p.mu.
func (p *Purse) index(r *record) error {
	for _, proof := range r.ours() {
		y, err := point(proof)
		if err != nil {
			return err
		}
		if p.held[y] == nil {
			p.held[y] = &held{proof: proof, madeBy: r.ID}
		}
	}
	for _, y := range r.Ys {
		switch {
		case r.Kind == opReceive:
			p.received[y] = r.ID
		case r.spendsOurs() && p.held[y] != nil:
			p.held[y].usedBy = r.ID
		}
	}
	return nil
}

// finish writes what came out.
func (p *Purse) finish(ctx context.Context, o *op, proofs []token.Proof) error {
	rec := o.rec
	rec.State, rec.Proofs, rec.Inputs = stateDone, proofs, nil
	// The caller's context may be over, and the proofs must not be.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Patience)
	defer cancel()
	return p.put(ctx, o, rec)
}

func (p *Purse) dispute(ctx context.Context, o *op, problem error) error {
	rec := o.rec
	rec.State, rec.Problem = stateDisputed, problem.Error()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.opts.Patience)
	defer cancel()
	if err := p.put(ctx, o, rec); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDisputed, problem)
}
