package cashu

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

const (
	// overlap is how far before the cursor what is known to be paid is told again: one that was
	// learned of earlier may be written later.
	overlap = 2 * time.Minute
	// firstRetry and lastRetry bound the pause before a websocket is opened again.
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Minute
	// healthyAfter is how long one must have lasted for the next pause to be a short one again.
	healthyAfter = 10 * time.Second
	// complainEvery bounds how often a mint that stays away is logged.
	complainEvery = time.Minute
)

// listener is one subscription.
type listener struct {
	// quotes are for the websocket that the subscription has at present.
	quotes chan string
	// news says that there is something in paid.
	news chan struct{}

	mu   sync.Mutex
	paid []purse.Invoice
}

// settled tells all subscriptions of a payment; it is the purse's Options.Paid.
func (w *Wallet) settled(inv purse.Invoice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.listeners {
		l.mu.Lock()
		l.paid = append(l.paid, inv)
		l.mu.Unlock()
		select {
		case l.news <- struct{}{}:
		default:
		}
	}
}

// billed has a new quote followed. Where there is no room for it, it is asked for now and then all
// the same.
func (w *Wallet) billed(quote string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.listeners {
		select {
		case l.quotes <- quote:
		default:
		}
	}
}

func (w *Wallet) listen() (l *listener, stop func()) {
	l = &listener{quotes: make(chan string, 2*mint.MaxWatched), news: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[l] = struct{}{}
	return l, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, l)
	}
}

// SubscribeSettlements implements wallets.Subscriber. While it runs it also turns what is paid into
// ecash, and brings to their end the operations that a crash or a dead mint left open. The mint tells
// of payments over a websocket where it has one (NUT-17), and is asked in any case. The cursor is the
// time when the wallet learned of a payment, in milliseconds since 1970; the order is that in which it
// learned of them.
func (w *Wallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	const step = "subscribing to settlements"
	var since time.Time
	if cursor != "" {
		ms, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil || ms < 0 {
			return w.fail(step, fmt.Errorf("cursor %q is not a time in milliseconds", httpjson.Clean(cursor)))
		}
		since = time.UnixMilli(ms).Add(-overlap)
	}
	caller := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.life, cancel)()
	l, stop := w.listen()
	defer stop()

	var tasks sync.WaitGroup
	// Both are owned by this call, which ends them and waits for them.
	tasks.Go(func() { w.resume(ctx) })
	tasks.Go(func() { w.follow(ctx, l) })
	defer tasks.Wait()
	defer cancel()

	if cursor != "" {
		if p := w.patient(ctx); p != nil {
			for _, inv := range p.Settled(since) {
				found(w.settlement(inv))
			}
		}
	}
	for {
		select {
		case <-l.news:
			l.mu.Lock()
			paid := l.paid
			l.paid = nil
			l.mu.Unlock()
			for _, inv := range paid {
				found(w.settlement(inv))
			}
		case <-ctx.Done():
			if caller.Err() != nil {
				return caller.Err()
			}
			return w.fail(step, net.ErrClosed)
		}
	}
}

func (w *Wallet) settlement(inv purse.Invoice) wallets.Settlement {
	return wallets.Settlement{
		PaymentHash: lntypes.Hash(inv.Hash), AmountPaid: w.msat(inv.Amount), SettledAt: inv.SettledAt,
		Cursor: strconv.FormatInt(inv.SettledAt.UnixMilli(), 10),
	}
}

// patient gives the purse as soon as storage allows, or nil when ctx ends.
func (w *Wallet) patient(ctx context.Context) *purse.Purse {
	var complained time.Time
	for {
		p, err := w.Purse(ctx)
		if err == nil {
			return p
		}
		if now := w.now(); ctx.Err() == nil && now.Sub(complained) >= complainEvery {
			complained = now
			w.vault.Logger().Warn("the purse cannot be opened; trying again", zap.Error(err))
		}
		if !pause(ctx, w.every) {
			return nil
		}
	}
}

// resume goes on with what is open until ctx ends.
func (w *Wallet) resume(ctx context.Context) {
	p := w.patient(ctx)
	var complained time.Time
	for p != nil && ctx.Err() == nil {
		_, err := p.Resume(ctx)
		if err == nil && p.Balance().Proofs > w.many {
			err = p.Merge(ctx, w.many/2)
		}
		switch now := w.now(); {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, purse.ErrDisputed):
			w.vault.Logger().Error("the mint took a payment and gave no good ecash for it", zap.Error(err))
		case now.Sub(complained) >= complainEvery:
			complained = now
			w.vault.Logger().Warn("operations at the mint cannot go on yet", zap.Error(err))
		}
		pause(ctx, w.every)
	}
}

// follow keeps a websocket to the mint while it has them.
func (w *Wallet) follow(ctx context.Context, l *listener) {
	p := w.patient(ctx)
	if p == nil {
		return
	}
	var complained time.Time
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRetry) {
		begin := w.now()
		info, err := w.mint.Info(ctx)
		switch {
		case err == nil && !info.Watches(w.set.unit):
			pause(ctx, lastRetry) // the information is kept for an hour
			continue
		case err == nil:
			err = w.session(ctx, p, l)
		}
		now := w.now()
		if now.Sub(begin) >= healthyAfter {
			wait = firstRetry
		}
		if ctx.Err() == nil && now.Sub(complained) >= complainEvery {
			complained = now
			w.vault.Logger().Info("the mint's websocket is lost; it is asked for payments meanwhile", zap.Error(err))
		}
		pause(ctx, time.Duration((0.5+rand.Float64())*float64(wait)))
	}
}

// session follows the unpaid quotes over one websocket.
func (w *Wallet) session(ctx context.Context, p *purse.Purse, l *listener) error {
	unpaid := p.Unpaid(mint.MaxWatched)
	for _, inv := range slices.Backward(unpaid) {
		select {
		case l.quotes <- inv.Quote:
		default:
		}
	}
	return w.mint.Watch(ctx, l.quotes, func(quote string) {
		for _, inv := range p.Unpaid(2 * mint.MaxWatched) {
			if inv.Quote != quote {
				continue
			}
			if _, err := p.Collect(ctx, inv.Hash); err != nil && ctx.Err() == nil {
				w.vault.Logger().Debug("a payment that the mint told of is not collected yet", zap.Error(err))
			}
			return
		}
	})
}

// pause waits; it says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
