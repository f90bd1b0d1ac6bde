package nwc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// look tells what the wallet knows of. It returns an error only where trying again cannot help.
func (l *listener) look(ctx context.Context) error {
	began := l.w.now()
	var err error
	if !l.noList {
		err = l.list(ctx)
		if hasCode(err, codeNotImplemented, codeRestricted) {
			l.noList = true
			l.w.logger().Info("the wallet offers no list of transactions: open invoices are looked up one by one")
		}
	}
	if l.noList {
		err = l.lookUp(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		l.owed, l.failures, l.looked = false, 0, began
		return nil
	case errors.Is(err, wallets.ErrSubscribeUnsupported), errors.Is(err, errClosed), hasCode(err, codeUnauthorized):
		return err
	}
	pause := min(l.w.poll.firstRetry<<min(l.failures, 16), l.w.poll.lastRetry)
	l.failures++
	l.retryAt = l.w.now().Add(time.Duration((0.5 + l.w.s.jitter()) * float64(pause)))
	if l.failures == holdTries {
		l.w.logger().Warn("settlements cannot be listed", zap.String("relays", l.w.peer), zap.Error(err))
	}
	return nil
}

type listParams struct {
	From   int64  `json:"from"`
	Limit  int    `json:"limit"`
	Offset int    `json:"offset"`
	Unpaid bool   `json:"unpaid"`
	Type   string `json:"type"`
}

// list tells the settlements after the mark from list_transactions and moves the mark. Some wallets
// take "from" for the time of creation, some for that of the last change: with the look-back
// neither leaves anything out.
func (l *listener) list(ctx context.Context) error {
	from := max(l.mark.Add(-l.back()).Unix(), 0)
	var missed []wallets.Settlement
	seen := make(map[lntypes.Hash]bool)
	var clock time.Time
	offset, page := 0, 0
	for ; page < maxPages; page++ {
		var result struct {
			Transactions []transaction `json:"transactions"`
		}
		at, err := l.w.call(ctx, methodList, listParams{
			From: from, Limit: listPage, Offset: offset, Type: typeIncoming,
		}, &result)
		if err != nil {
			return err
		}
		if page == 0 {
			clock = at
		}
		offset += len(result.Transactions)
		fresh, old := 0, 0
		for _, t := range result.Transactions {
			if t.CreatedAt > 0 && t.CreatedAt < from && t.SettledAt < from {
				old++
			}
			s, err := t.settlement()
			if err != nil && !l.warned {
				// Once, since the same one comes again at each look.
				l.warned = true
				l.w.logger().Warn("transaction of the wallet ignored", zap.Error(err))
			}
			if hash, err := lntypes.MakeHashFromStr(t.PaymentHash); err == nil && !seen[hash] {
				seen[hash] = true
				fresh++
			}
			if s != nil && s.SettledAt.IsZero() {
				s.SettledAt = at
			}
			if s != nil && s.SettledAt.Unix() >= l.mark.Unix() {
				missed = append(missed, *s)
			}
		}
		// The end; or the wallet takes no offset; or it takes no "from" and is past it.
		if fresh == 0 || old == len(result.Transactions) {
			break
		}
	}
	if page == maxPages {
		l.w.logger().Error("the wallet's list of transactions is too long: older settlements are not told",
			zap.Int("read", offset), zap.Time("from", time.Unix(from, 0)))
	}
	l.pages = page + 1
	// Lists come with the newest first.
	slices.Reverse(missed)
	sortSettlements(missed)
	for _, s := range missed {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.tell(s)
	}
	if mark := clock.Add(-markSlack); mark.After(l.mark) {
		l.mark = mark
	}
	return nil
}

// lookUp asks for open invoices of this process.
func (l *listener) lookUp(ctx context.Context) error {
	w := l.w
	l.pages = 1
	for _, hash := range w.open.round(w.now(), lookRound) {
		st, err := w.LookupInvoice(ctx, hash)
		switch {
		case hasCode(err, codeNotImplemented, codeRestricted):
			if w.s.currentInfo().notifies(paymentReceived) {
				return nil
			}
			return wallets.ErrSubscribeUnsupported
		case errors.Is(err, wallets.ErrNotFound):
			continue
		case err != nil:
			return err
		}
		if st.State == wallets.StateSettled {
			s := wallets.Settlement{PaymentHash: hash, AmountPaid: st.AmountPaid, SettledAt: st.SettledAt}
			if s.SettledAt.IsZero() {
				s.SettledAt = w.now()
			}
			w.open.settle(s)
		}
	}
	for _, s := range w.open.settlements() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.tell(s)
	}
	return nil
}
