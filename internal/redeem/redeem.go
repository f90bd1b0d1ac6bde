package redeem

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

const (
	// DefaultPatience bounds writes to the store though the caller has gone.
	DefaultPatience = 10 * time.Second
	// lockTimeout bounds the wait for another instance. It is longer than storages take to notice
	// that the holder of a lock is dead, which is ten seconds for files.
	lockTimeout = 25 * time.Second
	// maxParts bounds what one call does.
	maxParts = 32
)

// Purse is what is redeemed; *purse.Purse is one.
type Purse interface {
	// Unit is sat or msat.
	Unit() string
	// MintURL is the mint's address.
	MintURL() string
	// Balance adds up what there is.
	Balance() purse.Balance
	// Payable is the most that one payment takes with its fee reserve.
	Payable(ctx context.Context) (uint64, error)
	// Merge makes few proofs of many.
	Merge(ctx context.Context, most int) error
	// Pay pays an invoice, once.
	Pay(ctx context.Context, invoice string, maxFee uint64) (*purse.Payment, error)
	// Payment tells how a payment goes that Pay began.
	Payment(hash [32]byte) (*purse.Payment, error)
}

// Target is whom the mint pays.
type Target struct {
	// Name is how the operator calls it. It holds no secret.
	Name string
	// Invoice makes an invoice and checks that it is what was asked for.
	Invoice func(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error)
	// Lookup asks whether an invoice was paid; it may be nil.
	Lookup func(ctx context.Context, hash [32]byte) (*wallets.Status, error)
}

// Job is a purse with what is to become of its ecash.
type Job struct {
	// ID names the purse in the store: up to 80 characters, another one for each purse, and the
	// same after a restart.
	ID string
	// Group names what only one instance redeems at a time, such as the purses of a tenant.
	Group string
	// Store keeps the state. It may change from call to call, as the way to it does.
	Store Store
	// Lock excludes other instances; it returns what ends that. Nil is for a store that only
	// this process uses.
	Lock func(ctx context.Context, name string) (unlock func(), err error)
	// Purse is the purse.
	Purse Purse
	// Rules say when.
	Rules Rules
	// Target says whither.
	Target Target
}

// Options are what an Engine is made of.
type Options struct {
	// Patience bounds writes though the caller has gone; zero is DefaultPatience.
	Patience time.Duration
	// Told is told of each payment that was made and of each attempt that failed. It may be
	// nil and must not block.
	Told func(job Job, paid *Redemption, err error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Engine redeems. It is safe for concurrent use. There must be only one in a process.
type Engine struct {
	opts Options

	mu      sync.Mutex
	running map[string]bool
	known   map[string]*known
}

// known is what memory has of a purse's state, to tell without the store whether anything is due.
type known struct {
	state stored
	// again is when to ask once more how a payment in flight goes, and wait how long after.
	again time.Time
	wait  time.Duration
}

// New makes an Engine. It reads nothing.
func New(opts Options) *Engine {
	if opts.Patience <= 0 {
		opts.Patience = DefaultPatience
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Engine{opts: opts, running: make(map[string]bool), known: make(map[string]*known)}
}

// Run does what is due with a purse, and gives the payments that ended. It returns at once where
// nothing is due. Errors wrap those of this package.
func (e *Engine) Run(ctx context.Context, job Job) ([]Redemption, error) {
	if !e.enter(job.ID) {
		return nil, nil // somebody is at it
	}
	defer e.leave(job.ID)
	k, err := e.know(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("redeeming ecash of %s: %w", job.Purse.MintURL(), err)
	}
	now := e.opts.Now()
	switch {
	case k.state.Current != nil && now.Before(k.again):
		return nil, nil
	case k.state.Current == nil && (now.Before(k.state.Retry) || e.due(job, &k.state) == ""):
		return nil, nil
	}
	done, err := e.run(ctx, job, false)
	if errors.Is(err, ErrBusy) {
		return nil, nil // another instance is at it
	}
	return done, err
}

// Redeem redeems now, whatever the rules say of when. What they keep stays.
func (e *Engine) Redeem(ctx context.Context, job Job) ([]Redemption, error) {
	if !e.enter(job.ID) {
		return nil, fmt.Errorf("redeeming ecash of %s: %w", job.Purse.MintURL(), ErrBusy)
	}
	defer e.leave(job.ID)
	return e.run(ctx, job, true)
}

// State tells what is known of a purse's redemptions.
func (e *Engine) State(ctx context.Context, job Job) (State, error) {
	s, err := load(ctx, job)
	if err != nil {
		return State{}, fmt.Errorf("reading the state of redemptions: %w", err)
	}
	return s.State, nil
}

func (e *Engine) enter(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[id] {
		return false
	}
	e.running[id] = true
	return true
}

func (e *Engine) leave(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, id)
}

// know gives what memory has of a state; the caller runs the job.
func (e *Engine) know(ctx context.Context, job Job) (*known, error) {
	e.mu.Lock()
	k := e.known[job.ID]
	e.mu.Unlock()
	if k != nil {
		return k, nil
	}
	s, err := load(ctx, job)
	if err != nil {
		return nil, err
	}
	k = &known{state: *s}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[job.ID] = k
	return k, nil
}

// forget makes the next call read the store.
func (e *Engine) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.known, id)
}

func (e *Engine) due(job Job, s *stored) string {
	balance, err := msat(job.Purse.Balance().Available, job.Purse.Unit())
	if err != nil || job.Rules.invoice(balance-min(balance, job.Rules.Keep)) < job.Rules.smallest() {
		return ""
	}
	return job.Rules.due(balance, s.Done, e.opts.Now())
}

// run redeems under the lock until nothing is due any more.
func (e *Engine) run(ctx context.Context, job Job, asked bool) (out []Redemption, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("redeeming ecash of %s: %w", job.Purse.MintURL(), err)
		}
	}()
	if job.Lock != nil {
		waiting, cancel := context.WithTimeout(ctx, lockTimeout)
		unlock, err := job.Lock(waiting, "redeem-"+job.Group)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBusy, err)
		}
		defer unlock()
	}
	k, err := e.know(ctx, job)
	if err != nil {
		return nil, err
	}
	// Another process may have run this purse before us, and a write that failed may have
	// been done.
	fresh, err := load(ctx, job)
	if err != nil {
		return nil, err
	}
	k.state = *fresh
	p := &pass{engine: e, job: job, known: k, state: k.state, asked: asked}
	for range maxParts {
		done, more, err := p.part(ctx)
		if done != nil {
			out = append(out, *done)
			e.tell(job, done, nil)
		}
		if err != nil {
			if !errors.Is(err, ErrInFlight) && !errors.Is(err, ErrTooLittle) {
				e.tell(job, nil, err)
			}
			return out, err
		}
		if !more {
			break
		}
	}
	return out, nil
}

func (e *Engine) tell(job Job, paid *Redemption, err error) {
	if e.opts.Told != nil {
		e.opts.Told(job, paid, err)
	}
}

// msat is an amount in millisatoshi. Errors wrap mint.ErrUnit.
func msat(amount uint64, unit string) (lnwire.MilliSatoshi, error) {
	const most = 21_000_000 * 100_000_000 * 1000
	switch {
	case unit == mint.UnitSat && amount <= most/1000:
		return lnwire.MilliSatoshi(amount * 1000), nil
	case unit == mint.UnitMsat && amount <= most:
		return lnwire.MilliSatoshi(amount), nil
	case unit == mint.UnitSat || unit == mint.UnitMsat:
		return 0, fmt.Errorf("%w: more than there is", wallets.ErrAmount)
	}
	return 0, fmt.Errorf("%w: %q: Lightning takes sat and msat", mint.ErrUnit, unit)
}

// units is an amount in a purse's unit; it is whole since invoices are over whole satoshi, and what a
// fee has beyond that is left out.
func units(amount lnwire.MilliSatoshi, unit string) uint64 {
	if unit == mint.UnitSat {
		return uint64(amount) / 1000
	}
	return uint64(amount)
}

// Guard: a purse is redeemed.
var _ Purse = (*purse.Purse)(nil)
