package purse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Terms are what a token must be worth.
type Terms struct {
	// Price is what is kept, in the purse's unit; what a token is worth beyond it is change.
	// Zero keeps everything.
	Price uint64
	// MaxFee is how much of the mint's input fee the purse bears: a token over Price exactly
	// is then kept though it brings less. What the fee takes beyond that the payer has to
	// add.
	MaxFee uint64
	// Note is kept with the payment, durably before it is taken, and given back in its receipt:
	// what the payer bought. A repetition does not change it.
	Note string
}

// Receipt says what became of a token.
type Receipt struct {
	// ID names the payment: a hash over the token's proofs, in whatever order and spelling
	// they came.
	ID string
	// Note is that of the terms under which the token was first brought, and Time when that was.
	Note string
	Time time.Time
	// Amount is what the purse kept, after the fee.
	Amount uint64
	// Fee is what the mint took.
	Fee uint64
	// Change belongs to the payer; nil where there is none.
	Change *token.Token
	// Replayed says that this token was received before, and the receipt is the same: the
	// caller who serves a payment once looks whether it has served this ID.
	Replayed bool
	// Owed says that the mint has not been asked yet.
	Owed bool
}

// Offline says when proofs are taken without asking the mint.
type Offline struct {
	// MaxValue is the most that may be unswapped at a time.
	MaxValue uint64
	// MaxAge is the greatest age of the oldest unswapped payment. Zero is no bound.
	MaxAge time.Duration
	// Hold is for how long locks must keep others out. Zero asks for locks that never open to
	// others.
	Hold time.Duration
}

// checkToken checks what can be checked without asking the mint about the proofs: where they are
// from, that they are distinct, and the DLEQ of those that have one.
func (p *Purse) checkToken(ctx context.Context, t *token.Token, all bool) error {
	if !token.SameMint(t.Mint, p.opts.Mint.URL()) {
		return ErrForeignMint
	}
	if t.Unit != "" && t.Unit != p.opts.Unit {
		return fmt.Errorf("%w: %.16q where %q is needed", mint.ErrUnit, t.Unit, p.opts.Unit)
	}
	if len(t.Proofs) == 0 {
		return fmt.Errorf("%w: it holds no proofs", token.ErrMalformed)
	}
	if len(t.Proofs) > token.MaxProofs {
		return fmt.Errorf("%w: %d proofs", token.ErrTooLarge, len(t.Proofs))
	}
	if err := token.Check(t.Proofs); err != nil {
		return err
	}
	if err := p.opts.Mint.Resolve(ctx, t, p.opts.Unit); err != nil {
		return err
	}
	for i, proof := range t.Proofs {
		if proof.DLEQ == nil && !all {
			continue
		}
		k, err := p.opts.Mint.Keyset(ctx, proof.KeysetID)
		if err != nil {
			return err
		}
		key := k.Keys[proof.Amount]
		if key == nil {
			return fmt.Errorf("%w: proof %d is over what the mint has no key for", token.ErrAmount, i)
		}
		if err := proof.VerifyDLEQ(key); err != nil {
			return fmt.Errorf("proof %d: %w", i, err)
		}
	}
	return nil
}

// receiptID names a set of proofs.
func receiptID(ys []string) string {
	sorted := slices.Sorted(slices.Values(ys))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "")))
	return "r" + hex.EncodeToString(sum[:])
}

// Knows tells whether a token was received here, or is being received. It asks nobody.
func (p *Purse) Knows(t *token.Token) bool {
	ys, err := points(t.Proofs)
	if err != nil {
		return false
	}
	return p.find(receiptID(ys)) != nil
}

// enter finds the operation of a token, or begins one whose proofs nobody else can then bring. The
// caller drives the operation, and releases it.
func (p *Purse) enter(ctx context.Context, ys []string) (o *op, fresh bool, err error) {
	id := receiptID(ys)
	for {
		p.mu.Lock()
		o = p.ops[id]
		if o == nil {
			for _, y := range ys {
				if p.received[y] != "" {
					p.mu.Unlock()
					return nil, false, fmt.Errorf("%w: a part of it belongs to another payment", ErrSpent)
				}
			}
			o = newOp(record{ID: id, Kind: opReceive, State: stateBegun, Time: p.opts.Now(), Ys: ys})
			p.ops[id] = o
			for _, y := range ys {
				p.received[y] = id
			}
			p.mu.Unlock()
			return o, true, nil
		}
		p.mu.Unlock()
		if err := o.acquire(ctx); err != nil {
			return nil, false, err
		}
		if !o.gone {
			return o, false, nil
		}
		o.release() // whoever drove it has taken it back: begin anew
	}
}

// abandon takes back an operation that was never stored.
func (p *Purse) abandon(o *op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(o)
}

// Receive swaps a token for ecash of the purse and gives change (NUT-03). The same token may be
// brought again after an error or a lost answer: it is then brought to its end, or the same receipt
// is given, whatever the terms. A token that shares a proof with another one is refused.
//
// Errors wrap those of token.Parse, ErrForeignMint, mint.ErrUnit, ecash.ErrUnknownKeyset,
// ecash.ErrDLEQ, token.ErrLock, token.ErrNotOurs, ErrTooLittle and ErrSpent where the token is at
// fault and still the payer's; ErrUnsettled where the mint has not told whether it is, so that the
// payer should bring the same token again; wallets.ErrUnavailable where the mint cannot be reached
// and ErrStore where the store failed, with the same advice; ErrDisputed where the mint cheated.
func (p *Purse) Receive(ctx context.Context, t *token.Token, terms Terms) (*Receipt, error) {
	t = &token.Token{Mint: t.Mint, Unit: t.Unit, Proofs: slices.Clone(t.Proofs)}
	r, err := p.receive(ctx, t, terms, nil)
	switch {
	case errors.Is(err, errReused):
		// With counters behind those that another server has used.
		r, err = p.receive(ctx, t, terms, nil)
	case errors.Is(err, mint.ErrKeyset) && !errors.Is(err, ErrUnsettled):
		// The mint has rotated its keys: once more with the new ones.
		if p.opts.Mint.Refresh(ctx) == nil {
			r, err = p.receive(ctx, t, terms, nil)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("receiving ecash: %w", err)
	}
	return r, nil
}

// ReceiveOffline takes a token without asking the mint, within bounds. Each proof must have a DLEQ
// that holds and a lock that lets only the purse's keys spend it, now and for as long as asked. The
// purse swaps it when Resume is called next. There is no change: everything is kept.
//
// Errors are those of Receive, and token.ErrNotLocked, token.ErrTakeBack and ErrBound, with which
// the caller may try Receive.
func (p *Purse) ReceiveOffline(ctx context.Context, t *token.Token, terms Terms, bounds Offline) (*Receipt, error) {
	t = &token.Token{Mint: t.Mint, Unit: t.Unit, Proofs: slices.Clone(t.Proofs)}
	r, err := p.receive(ctx, t, terms, &bounds)
	if err != nil {
		return nil, fmt.Errorf("receiving ecash without the mint: %w", err)
	}
	return r, nil
}

func (p *Purse) receive(ctx context.Context, t *token.Token, terms Terms, offline *Offline) (*Receipt, error) {
	if err := p.checkToken(ctx, t, offline != nil || p.opts.RequireDLEQ); err != nil {
		return nil, err
	}
	ys, err := points(t.Proofs)
	if err != nil {
		return nil, err
	}
	o, fresh, err := p.enter(ctx, ys)
	if err != nil {
		return nil, err
	}
	defer o.release()
	if fresh {
		if err := p.begin(ctx, o, t, terms, offline); err != nil {
			p.abandon(o)
			return nil, err
		}
	}
	if !o.stored {
		if err := p.put(ctx, o, o.rec); err != nil {
			return nil, err // it may be stored or not: a repetition stores it once more
		}
	}
	switch {
	case o.rec.State == stateDone:
		return p.receipt(o, !fresh), nil
	case o.rec.State == stateDisputed:
		return nil, fmt.Errorf("%w: %s", ErrDisputed, o.rec.Problem)
	case o.rec.Owed:
		return p.receipt(o, !fresh), nil
	}
	err = p.swap(ctx, o, true)
	if errors.Is(err, errNothing) {
		if dropErr := p.drop(ctx, o); dropErr != nil {
			return nil, fmt.Errorf("%w: %w", dropErr, err)
		}
		if !errors.Is(err, errReused) {
			p.recycle(o.rec.Outputs)
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return p.receipt(o, !fresh), nil
}

// begin decides on the outputs. What it reserves is in memory; the caller stores it.
func (p *Purse) begin(ctx context.Context, o *op, t *token.Token, terms Terms, offline *Offline) error {
	total, err := token.Sum(t.Proofs)
	if err != nil {
		return err
	}
	if offline != nil {
		// It counts as unswapped from now on, so that two at a time see one another.
		rec := o.rec
		rec.Inputs, rec.Owed = t.Proofs, true
		p.set(o, rec)
		p.mu.Lock()
		p.owed[rec.ID] = o
		p.mu.Unlock()
	}
	if err := p.checkElsewhere(o, offline != nil); err != nil {
		return err
	}
	if err := p.checkLocks(t.Proofs, offline); err != nil {
		return err
	}
	fee, err := p.opts.Mint.Fee(ctx, t.Proofs)
	if err != nil {
		return err
	}
	floor := terms.Price - min(terms.MaxFee, terms.Price)
	if total < terms.Price || fee >= total || total-fee < floor {
		return fmt.Errorf("%w: %d, of which the mint takes %d, where %d is asked for", ErrTooLittle, total, fee, terms.Price)
	}
	net := total - fee
	keep := net
	if terms.Price > 0 && offline == nil {
		keep = min(net, terms.Price)
	}
	k, err := p.opts.Mint.Active(ctx, p.opts.Unit)
	if err != nil {
		return err
	}
	amounts, err := denominate(k, keep)
	if err != nil {
		return err
	}
	kept := len(amounts)
	change, err := denominate(k, net-keep)
	if err != nil {
		return err
	}
	rec := o.rec
	rec.Inputs, rec.Keep, rec.Fee, rec.Note = t.Proofs, kept, fee, terms.Note
	rec.Locked = isLocked(t.Proofs)
	if rec.Outputs, err = p.slots(ctx, k.ID, append(amounts, change...)); err != nil {
		return err
	}
	p.set(o, rec)
	return nil
}

// set changes a record in memory; the caller drives o and stores it next.
func (p *Purse) set(o *op, rec record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o.rec = rec
}

// checkLocks refuses, before anything is stored, what the mint would refuse, and what is too much
// or too weak to be taken without the mint.
func (p *Purse) checkLocks(proofs []token.Proof, offline *Offline) error {
	now := p.opts.Now()
	if offline == nil {
		// The signatures are made again with the outputs; here it is about who may sign.
		_, err := token.Transaction{Inputs: proofs}.Sign(p.opts.Keys, now)
		return err
	}
	until := time.Time{}
	if offline.Hold > 0 {
		until = now.Add(offline.Hold)
	}
	// Not the other keys: those of another process would let both take the same ecash.
	ours := publicKeys(p.opts.Keys[:min(1, len(p.opts.Keys))])
	for i, proof := range proofs {
		if err := token.CheckFinal(proof, ours, now, until); err != nil {
			return fmt.Errorf("proof %d: %w", i, err)
		}
	}
	value, oldest := p.unswapped()
	for _, other := range p.others() {
		more, older := other.unswapped()
		value += more
		if !older.IsZero() && (oldest.IsZero() || older.Before(oldest)) {
			oldest = older
		}
	}
	switch {
	case value > offline.MaxValue:
		return fmt.Errorf("%w: %d where %d is the most", ErrBound, value, offline.MaxValue)
	case offline.MaxAge > 0 && !oldest.IsZero() && now.Sub(oldest) > offline.MaxAge:
		return fmt.Errorf("%w: the oldest is of %s", ErrBound, oldest.UTC().Format(time.RFC3339))
	}
	return nil
}

// unswapped adds up what was taken without the mint and is not swapped. What could not be swapped since
// it was spent elsewhere counts for ever: else the bound would bound nothing.
func (p *Purse) unswapped() (value uint64, oldest time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, o := range p.owed {
		if p.ops[id] != o || o.rec.State == stateDone || !o.rec.Owed {
			delete(p.owed, id)
			continue
		}
		if sum, err := token.Sum(o.rec.Inputs); err == nil {
			value += sum
		}
		if o.rec.State == stateBegun && (oldest.IsZero() || o.rec.Time.Before(oldest)) {
			oldest = o.rec.Time
		}
	}
	return value, oldest
}

func (p *Purse) receipt(o *op, replayed bool) *Receipt {
	r := &Receipt{ID: o.rec.ID, Note: o.rec.Note, Time: o.rec.Time, Fee: o.rec.Fee, Replayed: replayed, Owed: o.rec.State == stateBegun}
	for _, s := range o.rec.Outputs[:o.rec.Keep] {
		r.Amount += s.Amount
	}
	if change := o.rec.given(); len(change) > 0 {
		r.Change = p.token(change)
	}
	return r
}

func (p *Purse) token(proofs []token.Proof) *token.Token {
	return &token.Token{Mint: p.opts.Mint.URL(), Unit: p.opts.Unit, Proofs: slices.Clone(proofs)}
}
