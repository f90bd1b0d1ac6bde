package failover

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// maxMakers is of how many invoices the maker is remembered. Of others it is found out by asking.
const maxMakers = 65536

// Wallet stands for several wallets. It is safe for concurrent use, holds no connection and
// starts no goroutine of its own besides those of a subscription, which end with it.
type Wallet struct {
	env     wallets.Env
	members []*member
	// makers tells which member made an invoice.
	makers *lru.Cache[lntypes.Hash, *member]
	// current is the member that made the last invoice, for the log.
	current atomic.Int32
}

// member is a wallet with what came of its last invoice.
type member struct {
	wallets.Member
	failing atomic.Bool
}

func newWallet(env wallets.Env, members []wallets.Member) *Wallet {
	w := &Wallet{env: env}
	for _, m := range members {
		w.members = append(w.members, &member{Member: m})
	}
	makers, err := lru.New[lntypes.Hash, *member](maxMakers)
	if err != nil { // only for sizes below one
		panic(err)
	}
	w.makers = makers
	return w
}

// CreateInvoice has the first member make an invoice that can. A member that fails or takes more
// than its share of the time is passed over; what it may still make is shown to nobody.
//
// Where all fail, the error wraps ErrBadInvoice if one of them gave an invoice that was not asked
// for, the sentinel that all of them wrap if there is one, and otherwise ErrUnavailable.
func (w *Wallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	const step = "creating invoice"
	var faults []fault
	for i, m := range w.members {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", step, err)
		}
		share, cancel := w.share(ctx, i)
		inv, err := m.Wallet.CreateInvoice(share, req)
		cancel()
		if err == nil && inv == nil {
			err = fmt.Errorf("%w: no invoice and no error", wallets.ErrBadAnswer)
		}
		if err == nil {
			err = w.made(inv.PaymentHash, m)
		}
		if err == nil {
			m.failing.Store(false)
			w.use(i)
			return inv, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s at %s: %w", step, m.Name, ctx.Err())
		}
		// An amount that it cannot do says nothing of how it is.
		if !errors.Is(err, wallets.ErrAmount) {
			m.failing.Store(true)
		}
		faults = append(faults, fault{m.Name, err})
	}
	return nil, sum(step, faults)
}

// made remembers who made an invoice. Two wallets that come up with one hash would leave open
// who is paid.
func (w *Wallet) made(hash lntypes.Hash, m *member) error {
	if before, known, _ := w.makers.PeekOrAdd(hash, m); known && before != m {
		return fmt.Errorf("%w: wallet %s made one with the same payment hash", wallets.ErrBadInvoice, before.Name)
	}
	return nil
}

// use notes which member is in use and logs a change.
func (w *Wallet) use(i int) {
	before := int(w.current.Swap(int32(i)))
	if before == i {
		return
	}
	log := w.env.Logger().Info
	if i > before {
		log = w.env.Logger().Warn
	}
	log("invoices come from another wallet now",
		zap.String("before", w.members[before].Name), zap.String("now", w.members[i].Name))
}

// share gives member i its part of the time that is left: as much as each healthy one after it.
func (w *Wallet) share(ctx context.Context, i int) (context.Context, context.CancelFunc) {
	parts := 1
	for _, m := range w.members[i+1:] {
		if m.Healthy() {
			parts++
		}
	}
	deadline, ok := ctx.Deadline()
	if !ok || parts == 1 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(parts))
}

// LookupInvoice asks the member that made the invoice. When that is not known any more, as after
// a restart, it asks one after the other until one knows the invoice; while one of them does not
// answer, that the others do not know it means nothing, and the error wraps ErrUnavailable.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	const step = "looking up invoice"
	if maker, ok := w.makers.Get(hash); ok {
		status, err := maker.Wallet.LookupInvoice(ctx, hash)
		if err != nil {
			return nil, fmt.Errorf("%s at %s: %w", step, maker.Name, err)
		}
		return status, nil
	}
	var faults []fault
	for i, m := range w.members {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", step, err)
		}
		share, cancel := w.share(ctx, i)
		status, err := m.Wallet.LookupInvoice(share, hash)
		cancel()
		switch {
		case err == nil:
			w.makers.Add(hash, m)
			return status, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s at %s: %w", step, m.Name, ctx.Err())
		case !errors.Is(err, wallets.ErrNotFound):
			faults = append(faults, fault{m.Name, err})
		}
	}
	if len(faults) == 0 {
		return nil, fmt.Errorf("%s: %w", step, wallets.ErrNotFound)
	}
	return nil, sum(step, faults)
}

// Recalled tells whether the invoice comes from a member that has failed since.
func (w *Wallet) Recalled(hash lntypes.Hash) bool {
	m, ok := w.makers.Peek(hash)
	if !ok {
		return false
	}
	if m.failing.Load() || !m.Healthy() {
		return true
	}
	inner, ok := m.Wallet.(wallets.Recaller)
	return ok && inner.Recalled(hash)
}

// Interface guards.
var (
	_ wallets.Wallet     = (*Wallet)(nil)
	_ wallets.Subscriber = (*Wallet)(nil)
	_ wallets.Recaller   = (*Wallet)(nil)
)
