package caddyl402

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxFinds is how many look-ups in the ledger for receipts may run at the same time; each
	// reads files.
	maxFinds = 4
	// findTimeout bounds one of them, and the wait for its turn.
	findTimeout = 10 * time.Second
	// maxFound is how many payments are remembered for further receipts.
	maxFound = 4096
)

// find gives the record of a payment. A payment without a record that only the wallet can tell of is
// asked for there, if this process remembers the offer.
func (d *desk) find(ctx context.Context, id l402.Identifier, paid bool) (ledger.Settlement, error) {
	if s, ok := d.found.Get(id.PaymentHash); ok {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	select {
	case d.finds <- struct{}{}:
		defer func() { <-d.finds }()
	case <-ctx.Done():
		return ledger.Settlement{}, ctx.Err()
	}
	book := d.app.books.Ledger()
	if book == nil {
		return ledger.Settlement{}, ledger.ErrUnavailable
	}
	s, err := book.FindSettlement(ctx, id.PaymentHash, id.TokenID.MintedAt())
	if errors.Is(err, ledger.ErrNotFound) && d.settle(ctx, book, id, paid) {
		s, err = book.FindSettlement(ctx, id.PaymentHash, id.TokenID.MintedAt())
	}
	if err != nil {
		return ledger.Settlement{}, err
	}
	d.found.Add(id.PaymentHash, s)
	return s, nil
}

// settle records a payment that is not recorded yet, where this process remembers what was offered
// for it, and the preimage or the wallet says that it was paid.
func (d *desk) settle(ctx context.Context, book *ledger.Ledger, id l402.Identifier, paid bool) bool {
	sale, known := sales.Get(id.PaymentHash)
	if !known {
		return false
	}
	if !paid {
		wallet := d.app.open[sale.Wallet]
		if wallet == nil || wallet.cashier == nil {
			return false
		}
		standing, err := wallet.cashier.Standing(ctx, id.PaymentHash)
		if err != nil || standing.State != wallets.StateSettled {
			return false
		}
	}
	d.app.record(book, sale)
	return true
}
