// Package cashier deals with one wallet on behalf of all routes that use it. The wallet behind
// it may hang, fail, lie or panic; the cashier turns all of that into an error within a bounded
// time, asks once where many want to know the same, and remembers what was paid.
package cashier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// DefaultTimeout bounds each call to a wallet.
	DefaultTimeout = 10 * time.Second
	// maxCalls is how many calls to one wallet may run at the same time. Further ones are
	// refused at once: a wallet that hangs holds this many requests and no more.
	maxCalls = 256
	// maxLookups of them may be look-ups. A client with many unpaid tokens can cause those, and
	// must not keep others from getting invoices.
	maxLookups = 64
	// tripAfter failures in a row stop the calls for breakFor; then one call tries again.
	tripAfter = 5
	breakFor  = 5 * time.Second
	// drainFor is how long a wallet that no configuration uses any more stays open, for
	// requests that began under the old configuration.
	drainFor = 15 * time.Second

	maxPending = 4096
	maxSettled = 65536
)

var (
	// ErrBusy says that too many calls to the wallet are under way.
	ErrBusy = errors.New("too many calls to the wallet are under way")
	// ErrBroken says that the wallet failed several times in a row and is left alone for a
	// few seconds.
	ErrBroken = errors.New("the wallet failed repeatedly and is left alone for a moment")
	// ErrClosed says that no configuration uses the wallet any more.
	ErrClosed = errors.New("the wallet is closed: its configuration was unloaded")
	// ErrPanic says that the adapter panicked.
	ErrPanic = errors.New("the wallet adapter panicked")
)

// Cashier deals with one wallet. It is safe for concurrent use.
type Cashier struct {
	wallet  wallets.Wallet
	network wallets.Network
	id      string
	env     *env

	slots   chan struct{}
	lookups chan struct{}
	breaker *gobreaker.CircuitBreaker[struct{}] // of making invoices
	asker   *gobreaker.CircuitBreaker[struct{}] // of looking them up
	asking  singleflight.Group

	given   wallets.Duplicates
	lied    atomic.Bool // the last invoice was not the one that was asked for
	pending *lru.Cache[lntypes.Hash, *wallets.Invoice]
	settled *lru.Cache[lntypes.Hash, struct{}]
	recent  *lru.Cache[lntypes.Hash, answer]
	shelves *lru.Cache[wallets.InvoiceRequest, *shelf]
	waiters waiters
	blind   atomic.Bool

	listeners listeners

	// ctx ends when the cashier is closed; what outlives a request hangs on it.
	ctx    context.Context
	cancel context.CancelFunc
	calls  sync.WaitGroup
	start  sync.Once

	mu     sync.Mutex // guards closed, and loops and calls against being waited for too early
	closed bool
	loops  sync.WaitGroup

	once     sync.Once // closes the wallet
	closeErr error
}

// New opens a guest's wallet. Nothing is dialed until the first call or Attach.
func New(guest wallets.Guest) (*Cashier, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cashier{
		network: guest.Network(),
		id:      ID(guest),
		slots:   make(chan struct{}, maxCalls),
		lookups: make(chan struct{}, maxLookups),
		pending: newCache[*wallets.Invoice](maxPending),
		settled: newCache[struct{}](maxSettled),
		recent:  newCache[answer](maxPending),
		shelves: newShelves(),
		ctx:     ctx,
		cancel:  cancel,
	}
	c.env = &env{id: c.id}
	// The wallets behind a composite have breakers of their own. One for all of them would stop
	// sales while one of them is away and its payments are asked for.
	_, composite := guest.(wallets.Composite)
	newBreaker := func(changed func(string, gobreaker.State, gobreaker.State)) *gobreaker.CircuitBreaker[struct{}] {
		return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			MaxRequests:   1,
			Timeout:       breakFor,
			ReadyToTrip:   func(n gobreaker.Counts) bool { return !composite && n.ConsecutiveFailures >= tripAfter },
			IsSuccessful:  func(err error) bool { return !walletsFault(err) },
			OnStateChange: changed,
		})
	}
	c.breaker = newBreaker(c.env.breakerChanged)
	// Look-ups fail for reasons of their own, such as one payee's verify address. Clients that
	// poll must not stop the sale to others.
	c.asker = newBreaker(nil)
	wallet, err := guest.Open(c.env)
	if err != nil {
		cancel()
		return nil, err
	}
	c.wallet = wallet
	return c, nil
}

// newCache makes a cache by payment hash. Its size is a constant of this package, so that the
// only error there is, a size below one, cannot happen.
func newCache[V any](size int) *lru.Cache[lntypes.Hash, V] {
	cache, err := lru.New[lntypes.Hash, V](size)
	if err != nil {
		panic(err)
	}
	return cache
}

// ID names a guest's resource without showing its secrets: half of a SHA-256 in hex.
func ID(guest wallets.Guest) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%T\x00%s\x00%s", guest, guest.Network(), guest.Identity()))
	return hex.EncodeToString(sum[:16])
}

// Wallet is the wallet itself, for commands that want more than the gate does.
func (c *Cashier) Wallet() wallets.Wallet { return c.wallet }

// Network is the chain that invoices must be for.
func (c *Cashier) Network() wallets.Network { return c.network }

// Healthy tells whether the wallet is not being left alone after failures.
func (c *Cashier) Healthy() bool { return c.breaker.State() != gobreaker.StateOpen }

// RetryAfter is what to tell clients to wait when the wallet fails.
func (c *Cashier) RetryAfter() time.Duration { return breakFor }

// Destruct closes the wallet once the calls under way have ended; Caddy's pool calls it when no
// configuration uses the wallet any more. Requests that began under the old configuration may
// still come for a short while, so it returns at once and closes later.
func (c *Cashier) Destruct() error {
	// Owned by the cashier; ends after drainFor and the last call's time-out.
	go func() {
		time.Sleep(drainFor)
		c.close()
	}()
	return nil
}

// Close ends the subscription, waits for the calls under way and closes the wallet. Closing again
// changes nothing.
func (c *Cashier) Close() error { return c.close() }

func (c *Cashier) close() error {
	c.cancel()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.loops.Wait()
	c.calls.Wait()
	c.once.Do(func() {
		if closer, ok := c.wallet.(io.Closer); ok {
			c.closeErr = closer.Close()
		}
	})
	return c.closeErr
}

// background runs f beside the requests; close waits for it. It returns false, and does not run
// f, when the cashier is closed.
func (c *Cashier) background(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.loops.Go(f) // owned by the cashier; f ends with c.ctx
	return true
}

// enter counts one more call, for which close waits, unless the cashier is closed: a request that
// outlives its configuration for long must not use a wallet that is closed.
func (c *Cashier) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.calls.Add(1)
	return true
}

// The calls to a wallet, as metrics name them.
const (
	opCreate = "create_invoice"
	opLookup = "lookup_invoice"
)

// call runs one call to the wallet: bounded in number and time, through the breaker, with
// panics caught.
func (c *Cashier) call(ctx context.Context, op string, do func(context.Context) error) (err error) {
	select {
	case c.slots <- struct{}{}:
	default:
		return fmt.Errorf("%w: %w", wallets.ErrUnavailable, ErrBusy)
	}
	if !c.enter() {
		<-c.slots
		return fmt.Errorf("%w: %w", wallets.ErrUnavailable, ErrClosed)
	}
	defer func() { <-c.slots; c.calls.Done() }()

	ctx, cancel := context.WithTimeout(ctx, c.env.timeout())
	defer cancel()
	begin := time.Now()
	breaker := c.breaker
	if op == opLookup {
		breaker = c.asker
	}
	_, err = breaker.Execute(func() (_ struct{}, err error) {
		defer func() {
			if what := recover(); what != nil {
				err = fmt.Errorf("%w: %w", wallets.ErrUnavailable, ErrPanic)
				c.env.panicked(op, what)
			}
		}()
		err = do(ctx)
		// The caller that went away is not the wallet's fault; the wallet's own slowness is.
		if err != nil && errors.Is(context.Cause(ctx), context.Canceled) {
			err = fmt.Errorf("%w: %w", context.Canceled, err)
		}
		return struct{}{}, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		if c.lied.Load() {
			// A wallet that is left alone for its lies is not one that is away.
			return fmt.Errorf("%w: %w: %w", wallets.ErrUnavailable, ErrBroken, wallets.ErrBadInvoice)
		}
		return fmt.Errorf("%w: %w", wallets.ErrUnavailable, ErrBroken)
	}
	c.env.called(op, time.Since(begin), err)
	return err
}

// walletsFault tells whether an error speaks against the wallet, and not against the question.
func walletsFault(err error) bool {
	for _, fine := range []error{
		wallets.ErrNotFound, wallets.ErrAmount, wallets.ErrLookupUnsupported, context.Canceled,
	} {
		if errors.Is(err, fine) {
			return false
		}
	}
	return err != nil
}
