package cashier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// recheckAfter is how long an answer other than "settled" is believed, so that clients that poll
// do not become polls of the wallet.
const recheckAfter = 500 * time.Millisecond

// Standing is where an invoice stands, as far as the gate wants to know.
type Standing struct {
	// State is the invoice's state; StateExpired also stands for one that the wallet does
	// not know.
	State wallets.State
	// Invoice is the payment request of a pending invoice where it is known.
	Invoice string
	// ExpiresAt is when a pending invoice expires; zero where unknown.
	ExpiresAt time.Time
}

// answer is a Standing with the time at which the wallet gave it.
type answer struct {
	Standing
	at time.Time
}

// Standing tells whether an invoice was paid. All who ask about a hash at the same time share
// one call to the wallet; that an invoice is settled is remembered. The caller must have checked
// the token's signature before, so that made-up hashes cost no call.
func (c *Cashier) Standing(ctx context.Context, hash lntypes.Hash) (Standing, error) {
	if c.settled.Contains(hash) {
		return Standing{State: wallets.StateSettled}, nil
	}
	if known, ok := c.recent.Get(hash); ok && time.Since(known.at) < recheckAfter {
		return known.Standing, nil
	}
	// The shared call hangs on the cashier and not on the request that happens to be first,
	// whose client may go away while others wait. call bounds its time.
	shared := c.asking.DoChan(string(hash[:]), func() (any, error) {
		return c.lookUp(c.ctx, hash)
	})
	select {
	case a := <-shared:
		standing, _ := a.Val.(Standing)
		return standing, a.Err
	case <-ctx.Done():
		return Standing{}, ctx.Err()
	}
}

// Settle remembers that an invoice was paid.
func (c *Cashier) Settle(hash lntypes.Hash) {
	c.settled.Add(hash, struct{}{})
	c.recent.Remove(hash)
	c.pending.Remove(hash)
	c.waiters.tell(hash)
}

func (c *Cashier) lookUp(ctx context.Context, hash lntypes.Hash) (Standing, error) {
	select {
	case c.lookups <- struct{}{}:
		defer func() { <-c.lookups }()
	default:
		return Standing{}, fmt.Errorf("%w: %w", wallets.ErrUnavailable, ErrBusy)
	}
	var status *wallets.Status
	err := c.call(ctx, opLookup, func(ctx context.Context) (err error) {
		status, err = c.wallet.LookupInvoice(ctx, hash)
		if err == nil && status == nil {
			err = wallets.ErrBadAnswer
		}
		return err
	})
	if unsupported := errors.Is(err, wallets.ErrLookupUnsupported); unsupported || err == nil || errors.Is(err, wallets.ErrNotFound) {
		c.blind.Store(unsupported)
	}
	switch {
	case errors.Is(err, wallets.ErrNotFound):
		status = &wallets.Status{State: wallets.StateExpired}
	case errors.Is(err, wallets.ErrLookupUnsupported) && c.Pending(hash, time.Now()) != nil:
		// Only the subscription or the preimage can tell; until then it is pending.
		status = &wallets.Status{State: wallets.StatePending}
	case err != nil:
		return Standing{}, err
	}
	if status.State == wallets.StateSettled {
		c.Settle(hash)
		return Standing{State: wallets.StateSettled}, nil
	}
	standing := Standing{State: status.State, Invoice: status.PaymentRequest}
	if inv := c.Pending(hash, time.Now()); inv != nil {
		standing.Invoice, standing.ExpiresAt = inv.PaymentRequest, inv.ExpiresAt
	}
	c.recent.Add(hash, answer{standing, time.Now()})
	return standing, nil
}
