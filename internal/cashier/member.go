package cashier

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Member gives the cashier to a wallet that stands for several. What that wallet asks goes
// through this cashier like everything else: its limits, its breaker, its checks, its metrics.
func (c *Cashier) Member(name string) wallets.Member {
	m := wallets.Member{Name: name, ID: c.id, Network: c.network, Healthy: c.Healthy}
	if _, ok := c.wallet.(wallets.Subscriber); ok {
		m.Wallet = tellingMember{member{c}}
	} else {
		m.Wallet = member{c}
	}
	return m
}

// member is a cashier as a wallet.
type member struct{ cashier *Cashier }

// CreateInvoice implements wallets.Wallet.
func (m member) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	return m.cashier.Invoice(ctx, req)
}

// LookupInvoice implements wallets.Wallet. That an invoice is settled is remembered, and so is the
// text of a pending one for wallets that do not tell it.
func (m member) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	if m.cashier.settled.Contains(hash) {
		return &wallets.Status{State: wallets.StateSettled}, nil
	}
	var status *wallets.Status
	err := m.cashier.call(ctx, opLookup, func(ctx context.Context) (err error) {
		status, err = m.cashier.wallet.LookupInvoice(ctx, hash)
		if err == nil && status == nil {
			err = wallets.ErrBadAnswer
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if status.State == wallets.StateSettled {
		m.cashier.Settle(hash)
	} else if inv := m.cashier.Pending(hash, time.Now()); inv != nil && status.PaymentRequest == "" {
		full := *status
		full.PaymentRequest = inv.PaymentRequest
		status = &full
	}
	return status, nil
}

// Recalled implements wallets.Recaller, for members that stand for others themselves.
func (m member) Recalled(hash lntypes.Hash) bool { return m.cashier.recalled(hash) }

// tellingMember is a member whose wallet tells of settlements.
type tellingMember struct{ member }

// SubscribeSettlements implements wallets.Subscriber. It tells what the cashier's own
// subscription brings, so that the peer sees one subscription; that one keeps the cursor.
func (m tellingMember) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	if cursor != "" {
		return errors.New("subscribing to a member's settlements: it takes no cursor")
	}
	l := &listener{found: found}
	m.cashier.listeners.add(l)
	defer m.cashier.listeners.remove(l)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-m.cashier.ctx.Done():
		return m.cashier.ctx.Err()
	}
}

// listeners are those who want to hear of a cashier's settlements.
type listeners struct {
	mu  sync.Mutex
	all []*listener
}

// listener hears of settlements one at a time, and of none after it was removed.
type listener struct {
	mu    sync.Mutex
	found func(wallets.Settlement)
}

func (ls *listeners) add(l *listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = append(ls.all, l)
}

func (ls *listeners) remove(l *listener) {
	ls.mu.Lock()
	for i, known := range ls.all {
		if known == l {
			ls.all = append(ls.all[:i:i], ls.all[i+1:]...)
			break
		}
	}
	ls.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found = nil
}

func (ls *listeners) tell(s wallets.Settlement) {
	ls.mu.Lock()
	all := ls.all[:len(ls.all):len(ls.all)]
	ls.mu.Unlock()
	// The place in the settlements is this cashier's business.
	s.Cursor = ""
	for _, l := range all {
		l.mu.Lock()
		if l.found != nil {
			l.found(s)
		}
		l.mu.Unlock()
	}
}

// recalled tells whether the wallet takes back an invoice that nobody has seen.
func (c *Cashier) recalled(hash lntypes.Hash) bool {
	w, ok := c.wallet.(wallets.Recaller)
	return ok && w.Recalled(hash)
}

// Guards.
var (
	_ wallets.Wallet     = member{}
	_ wallets.Recaller   = member{}
	_ wallets.Subscriber = tellingMember{}
)
