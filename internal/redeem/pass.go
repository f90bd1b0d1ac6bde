package redeem

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

const (
	// invoiceExpiry is how long the target's invoices are to be valid.
	invoiceExpiry = 15 * time.Minute
	// mostExpiry bounds how long an invoice is used, whatever the target says. A purse
	// remembers its payments for longer.
	mostExpiry = 12 * time.Hour
	// tooLate is how long an invoice must be valid still for a payment to begin.
	tooLate = time.Minute

	// memo stands in the invoice.
	memo = "ecash redeemed"

	firstRetry, lastRetry = time.Minute, 6 * time.Hour
	firstAsk, lastAsk     = 15 * time.Second, 10 * time.Minute
	// halvings is how often an amount that is not taken is halved.
	halvings = 10
)

// pass is one call's work on a purse.
type pass struct {
	engine *Engine
	job    Job
	known  *known
	// state is what the store has.
	state stored
	asked bool
	// why is what made the pass due.
	why string
	// most bounds the invoices where the target or the mint took no greater ones; zero does
	// not.
	most lnwire.MilliSatoshi
	// rest says that the last payment could not take all that was there.
	rest bool
}

// part brings a redemption to its end, or begins one and brings that to its end. more says that
// another one may follow.
func (p *pass) part(ctx context.Context) (done *Redemption, more bool, err error) {
	if p.state.Current != nil {
		done, err = p.drive(ctx)
		return done, err == nil, err
	}
	switch {
	case p.why == "" && p.asked:
		p.why = dueAsked
	case p.why == "":
		if p.why = p.engine.due(p.job, &p.state); p.why == "" {
			return nil, false, nil
		}
	case !p.rest && p.job.Rules.due(p.balance(), p.engine.opts.Now(), p.engine.opts.Now()) == "":
		return nil, false, nil
	}
	err = p.begin(ctx)
	if errors.Is(err, ErrTooLittle) && (!p.asked || p.rest) {
		return nil, false, nil
	}
	if err == nil {
		done, err = p.drive(ctx)
	}
	return done, err == nil, err
}

func (p *pass) balance() lnwire.MilliSatoshi {
	balance, err := msat(p.job.Purse.Balance().Available, p.job.Purse.Unit())
	if err != nil {
		return 0
	}
	return balance
}

// begin makes an invoice and stores it.
func (p *pass) begin(ctx context.Context) error {
	var inv *wallets.Invoice
	for range halvings {
		amount, err := p.amount(ctx)
		switch {
		case errors.Is(err, ErrTooLittle):
			return err
		case err != nil:
			return p.failed(ctx, err)
		}
		inv, err = p.job.Target.Invoice(ctx, wallets.InvoiceRequest{Amount: amount, Memo: memo, Expiry: invoiceExpiry})
		if errors.Is(err, wallets.ErrAmount) && amount/2 >= p.job.Rules.smallest() {
			p.most = amount / 2
			continue
		}
		if err != nil {
			return p.failed(ctx, fmt.Errorf("%w at %s: %w", ErrTarget, p.job.Target.Name, err))
		}
		break
	}
	if inv == nil {
		return p.failed(ctx, fmt.Errorf("%w at %s: %w", ErrTarget, p.job.Target.Name, wallets.ErrAmount))
	}
	unit := p.job.Purse.Unit()
	now := p.engine.opts.Now()
	next := p.state
	next.Invoice, next.Expires = inv.PaymentRequest, inv.ExpiresAt
	if latest := now.Add(mostExpiry); next.Expires.After(latest) {
		next.Expires = latest
	}
	next.Current = &Redemption{
		Hash: hex.EncodeToString(inv.PaymentHash[:]), Target: p.job.Target.Name, Why: p.why, Begun: now,
		Amount: units(inv.Amount, unit), MaxFee: units(p.job.Rules.maxFee(inv.Amount), unit),
	}
	return p.save(ctx, next)
}

// amount is what the next invoice is over.
func (p *pass) amount(ctx context.Context) (lnwire.MilliSatoshi, error) {
	p.rest = false
	if p.job.Purse.Balance().Proofs > token.MaxProofs {
		if err := p.job.Purse.Merge(ctx, token.MaxProofs); err != nil {
			return 0, err
		}
		p.rest = p.job.Purse.Balance().Proofs > token.MaxProofs
	}
	n, err := p.job.Purse.Payable(ctx)
	if err != nil {
		return 0, err
	}
	payable, err := msat(n, p.job.Purse.Unit())
	if err != nil {
		return 0, err
	}
	rules, have := p.job.Rules, p.balance()
	amount := rules.invoice(min(payable, have-min(have, rules.Keep)))
	// Where payments fail, smaller ones may find a way.
	if most := rules.invoice(have) >> min(p.state.Refused/2, 4); p.state.Refused >= 2 && (p.most == 0 || most < p.most) {
		p.most = max(most, rules.smallest())
	}
	if p.most > 0 && amount > p.most {
		amount, p.rest = p.most/1000*1000, true
	}
	if amount < rules.smallest() {
		return 0, fmt.Errorf("%w: the purse has %d %s, and %d msat is the smallest payment, besides fees",
			ErrTooLittle, p.job.Purse.Balance().Available, p.job.Purse.Unit(), uint64(rules.smallest()))
	}
	return amount, nil
}

// drive brings the redemption in flight to its end.
func (p *pass) drive(ctx context.Context) (*Redemption, error) {
	current := p.state.Current
	hash, err := decodeHash(current.Hash)
	if err != nil {
		return nil, err
	}
	payment, err := p.job.Purse.Payment(hash)
	switch {
	case errors.Is(err, purse.ErrNotFound):
		if p.state.Expires.Sub(p.engine.opts.Now()) < tooLate {
			return p.late(ctx, hash)
		}
	case err != nil:
		return nil, p.abandon(ctx, err)
	case payment.Paid:
		return p.paid(ctx, payment)
	}
	payment, err = p.job.Purse.Pay(ctx, p.state.Invoice, current.MaxFee)
	if err == nil && payment.Paid {
		return p.paid(ctx, payment)
	}
	// Whatever the error says: while the purse has the payment, it may still be made.
	known, lookup := p.job.Purse.Payment(hash)
	switch {
	case lookup == nil && known.Paid:
		return p.paid(ctx, known)
	case lookup == nil:
		return nil, p.inFlight(err)
	case errors.Is(lookup, purse.ErrNotFound):
		return nil, p.abandon(ctx, err)
	}
	return nil, p.abandon(ctx, lookup)
}

// late ends a redemption whose invoice can no longer be paid and of which the purse knows nothing. The
// purse may have forgotten a payment that was made long ago; then the target has it.
func (p *pass) late(ctx context.Context, hash [32]byte) (*Redemption, error) {
	if p.arrived(ctx, hash) {
		return p.end(ctx, 0, false)
	}
	return nil, p.abandon(ctx, mint.ErrExpired)
}

// arrived tells whether the target says that it was paid.
func (p *pass) arrived(ctx context.Context, hash [32]byte) bool {
	if p.job.Target.Lookup == nil || p.job.Target.Name != p.state.Current.Target {
		return false
	}
	status, err := p.job.Target.Lookup(ctx, hash)
	return err == nil && status.State == wallets.StateSettled
}

// paid ends a redemption of which the mint says that it is paid. Without a preimage that may be a lie.
func (p *pass) paid(ctx context.Context, payment *purse.Payment) (*Redemption, error) {
	return p.end(ctx, payment.Fee, payment.Preimage == nil && !p.arrived(ctx, payment.Hash))
}

// end writes the end of a redemption.
func (p *pass) end(ctx context.Context, fee uint64, unproven bool) (*Redemption, error) {
	done := *p.state.Current
	done.Fee, done.Ended, done.Unproven = fee, p.engine.opts.Now(), unproven
	next := p.state
	next.Current, next.Invoice, next.Expires = nil, "", time.Time{}
	next.Last = append([]Redemption{done}, next.Last[:min(len(next.Last), kept-1)]...)
	next.Count, next.Amount, next.Fees = next.Count+1, next.Amount+done.Amount, next.Fees+fee
	next.Done, next.Failures, next.Refused, next.Problem, next.Retry = done.Ended, 0, 0, "", time.Time{}
	if err := p.save(ctx, next); err != nil {
		return nil, err
	}
	return &done, nil
}

// inFlight waits longer each time.
func (p *pass) inFlight(cause error) error {
	k := p.known
	k.wait = min(max(2*k.wait, firstAsk), lastAsk)
	k.again = p.engine.opts.Now().Add(k.wait)
	if cause == nil {
		return ErrInFlight
	}
	return fmt.Errorf("%w: %w", ErrInFlight, cause)
}

// abandon ends a redemption that was not made and will not be.
func (p *pass) abandon(ctx context.Context, cause error) error {
	if errors.Is(cause, purse.ErrStore) && !errors.Is(cause, purse.ErrDisputed) {
		// The store fails and may have the payment; the purse tells when it works again.
		return p.inFlight(cause)
	}
	p.state.Current, p.state.Invoice, p.state.Expires = nil, "", time.Time{}
	if errors.Is(cause, purse.ErrPaymentFailed) && !mint.NotSent(cause) {
		p.state.Refused++
	}
	return p.failed(ctx, fmt.Errorf("%w into %s: %w", ErrFailed, p.job.Target.Name, cause))
}

// failed writes that an attempt came to nothing, and when the next one is made.
func (p *pass) failed(ctx context.Context, cause error) error {
	next := p.state
	next.Failures++
	wait := lastRetry
	if n := next.Failures - 1; n < 10 {
		wait = min(firstRetry<<n, lastRetry)
	}
	next.Problem, next.Retry = cause.Error(), p.engine.opts.Now().Add(wait)
	if err := p.save(ctx, next); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

// save stores a state and takes it over. After an error nobody knows which one the store has, so the
// next pass reads it.
func (p *pass) save(ctx context.Context, next stored) error {
	if err := p.engine.save(ctx, p.job, &next); err != nil {
		p.engine.forget(p.job.ID)
		return err
	}
	p.state = next
	p.known.state, p.known.again, p.known.wait = next, time.Time{}, 0
	return nil
}

func decodeHash(text string) (hash [32]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(hash) {
		return hash, fmt.Errorf("%w: a payment hash is damaged", ErrStore)
	}
	return [32]byte(b), nil
}
