package buyer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// Account is a book of spending in the storage, which all instances share. It implements
// client.Budget and is safe for concurrent use.
type Account struct {
	Store *Store
	// Name tells accounts apart, at most MaxAccountName bytes.
	Name string
	// Rules are what payments must keep to.
	Rules []budget.Rule
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu sync.Mutex // turns within the process are cheaper than those of the storage
}

// MaxAccountName is the greatest length of an account's name in bytes.
const MaxAccountName = 80

func (a *Account) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

// Reserve implements client.Budget.
func (a *Account) Reserve(ctx context.Context, s budget.Spending) error {
	return a.change(ctx, func(b *budget.Book) error { return b.Reserve(a.Rules, s, a.now()) })
}

// Settle implements client.Budget.
func (a *Account) Settle(ctx context.Context, hash lntypes.Hash, cost lnwire.MilliSatoshi) error {
	return a.change(ctx, func(b *budget.Book) error { b.Settle(hash, cost); return nil })
}

// Release implements client.Budget.
func (a *Account) Release(ctx context.Context, hash lntypes.Hash) error {
	return a.change(ctx, func(b *budget.Book) error { b.Release(hash); return nil })
}

// Report tells what the rules still allow on a network; one for each host at the hosts that were
// paid within the longest window.
func (a *Account) Report(ctx context.Context, network wallets.Network) ([]budget.Left, error) {
	book, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	var all []budget.Left
	for _, rule := range a.Rules {
		hosts := []string{rule.Host}
		if rule.EachHost {
			hosts = book.Hosts(network)
		}
		for _, host := range hosts {
			all = append(all, book.Left([]budget.Rule{rule}, network, host, a.now())...)
		}
	}
	return all, nil
}

func (a *Account) load(ctx context.Context) (*budget.Book, error) {
	l, err := a.Store.ledger()
	if err != nil {
		return nil, fail("reading an account", err)
	}
	value, err := l.GetDurable(ctx, kindAccount, a.Name)
	if errors.Is(err, ledger.ErrNotFound) {
		return new(budget.Book), nil
	}
	if err != nil {
		return nil, fail("reading an account", err)
	}
	book, err := budget.ParseBook(value.Value)
	if err != nil {
		return nil, fail("reading an account", err)
	}
	return book, nil
}

// change edits the book under the lock. Where edit fails nothing is written.
func (a *Account) change(ctx context.Context, edit func(*budget.Book) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	unlock, err := a.Store.lock(ctx, kindAccount, a.Name)
	if err != nil {
		return err
	}
	defer unlock()
	book, err := a.load(ctx)
	if err != nil {
		return err
	}
	if err := edit(book); err != nil {
		return err
	}
	data, err := book.Marshal()
	if err != nil {
		return fail("storing an account", err)
	}
	l, err := a.Store.ledger()
	if err != nil {
		return fail("storing an account", err)
	}
	if err := l.PutDurable(ctx, kindAccount, a.Name, data); err != nil {
		return fail("storing an account", err)
	}
	return nil
}

// Interface guards
var _ client.Budget = (*Account)(nil)
