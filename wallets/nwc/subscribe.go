package nwc

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// pollTiming holds the waits of a subscription, so that tests can be quick.
type pollTiming struct {
	// notified is the pause between two looks at the list where the wallet notifies, busy where
	// it does not and invoices are open, idle where none is.
	notified, busy, idle time.Duration
	// firstRetry and lastRetry bound the pause after a look that failed.
	firstRetry, lastRetry time.Duration
}

var defaultPolling = pollTiming{
	notified: 5 * time.Minute, busy: 3 * time.Second, idle: 30 * time.Second,
	firstRetry: 250 * time.Millisecond, lastRetry: 10 * time.Second,
}

const (
	// holdTries is for how many failed looks notifications are held back to keep the order.
	holdTries = 4
	// listPage is how many transactions one answer shall hold: NIP-44 ends at 64 KiB.
	listPage = 20
	// maxPages bounds one look.
	maxPages = 1000
	// lookRound is how many invoices are looked up at once where the wallet has no lists.
	lookRound = 16
	// markSlack is how far the mark stays behind the wallet's clock, since a node's clock
	// stamps the settlements.
	markSlack = time.Minute
	// minLookBack is how long before the mark an invoice that was settled after it is looked
	// for at least, as one made by an earlier process.
	minLookBack = time.Hour
	maxLookBack = maxExpiry + 24*time.Hour
)

// SubscribeSettlements tells settlements as the wallet notifies of them, and what it did not notify
// of by list_transactions: at the start, after each lost connection, and now and then. Where the
// wallet has no notifications the list is polled, every few seconds while invoices are open; where
// it has no list either, the invoices that this process made are looked up one by one.
//
// The cursor is a mark and a look-back, "<seconds since 1970>-<seconds>": all that was settled
// before the mark has been told, and no invoice was made longer before its settlement than the
// look-back. What was settled after the mark is told again. The empty cursor may tell what was
// settled in the last minute. A wallet without list_transactions cannot resume: there the caller
// must look its open invoices up itself.
//
// It returns ctx.Err(), or an error that wraps ErrUnauthorized when the wallet does not know this
// client, ErrSubscribeUnsupported when it has neither notifications nor lists nor look-ups, or
// net.ErrClosed.
func (w *Wallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	const step = "subscribing to settlements"
	if err := ctx.Err(); err != nil {
		return w.fail(step, err)
	}
	l := &listener{w: w, found: found, owed: true, mark: w.now().Add(-markSlack), lookBack: minLookBack}
	if cursor != "" {
		var err error
		if l.mark, l.lookBack, err = parseCursor(cursor); err != nil {
			return w.fail(step, err)
		}
	}
	var err error
	if l.feed, err = w.s.listen(); err != nil {
		return w.fail(step, err)
	}
	defer w.s.unlisten(l.feed)
	err = l.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return w.fail(step, err)
}

// parseCursor reads "<mark>-<look-back>".
func parseCursor(cursor string) (time.Time, time.Duration, error) {
	bad := fmt.Errorf("cursor %q is none of this wallet's", clean(cursor))
	markText, backText, ok := strings.Cut(cursor, "-")
	if !ok || len(cursor) > 40 {
		return time.Time{}, 0, bad
	}
	mark, err := strconv.ParseUint(markText, 10, 40)
	if err != nil {
		return time.Time{}, 0, bad
	}
	back, err := strconv.ParseUint(backText, 10, 40)
	if err != nil || back > uint64(maxLookBack/time.Second) {
		return time.Time{}, 0, bad
	}
	return time.Unix(int64(mark), 0), max(time.Duration(back)*time.Second, minLookBack), nil
}

// listener is one subscription. One goroutine uses it.
type listener struct {
	w     *Wallet
	feed  *feed
	found func(wallets.Settlement)
	told  wallets.Duplicates
	queue []note

	// mark is the time, by the wallet's clock, before which all settlements were told.
	mark     time.Time
	lookBack time.Duration

	// owed says that a look at the wallet's list is due, because something may be missing.
	owed     bool
	noList   bool
	failures int
	retryAt  time.Time
	// looked is when the last look began, pages how many answers it took.
	looked time.Time
	pages  int
	// warned says that a transaction that makes no sense was logged.
	warned bool
}

func (l *listener) run(ctx context.Context) error {
	for {
		now := l.w.now()
		if !l.owed && !now.Before(l.looked.Add(l.interval(now))) {
			l.owed = true
		}
		if l.owed && !now.Before(l.retryAt) {
			if err := l.look(ctx); err != nil {
				return err
			}
		}
		l.drain()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.owed && l.failures == 0 {
			continue // a gap came up
		}
		now = l.w.now()
		next := l.retryAt
		if !l.owed {
			next = l.looked.Add(l.interval(now))
		}
		timer := time.NewTimer(max(next.Sub(now), 0))
		select {
		case <-ctx.Done():
		case <-l.w.s.ctx.Done():
			timer.Stop()
			return errClosed
		case <-l.feed.signal:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// interval is the pause between two looks.
func (l *listener) interval(now time.Time) time.Duration {
	t := l.w.poll
	switch {
	case l.w.s.currentInfo().notifies(paymentReceived):
		return t.notified
	case l.w.open.any(now):
		// A wallet with long lists is asked less often.
		return t.busy * time.Duration(max(l.pages, 1))
	}
	return t.idle
}

// drain tells what the feed brought, up to a gap: what fell into it must be told before.
func (l *listener) drain() {
	l.queue = append(l.queue, l.feed.take()...)
	for len(l.queue) > 0 {
		// Held back for the order's sake, but not for ever: the mark stays, so that the
		// look that is owed tells the rest.
		if l.owed && l.failures < holdTries {
			if len(l.queue) > maxNotes {
				l.queue = append(l.queue[:0:0], l.queue[len(l.queue)-maxNotes:]...)
			}
			return
		}
		n := l.queue[0]
		l.queue = l.queue[1:]
		if !n.gap {
			l.tell(n.settlement)
		} else if n.at.After(l.looked) && !l.owed {
			l.owed, l.failures, l.retryAt = true, 0, time.Time{}
		}
	}
	l.queue = nil
}

// tell reports a settlement, once.
func (l *listener) tell(s wallets.Settlement) {
	if !l.told.Add(s.PaymentHash) {
		return
	}
	s.Cursor = strconv.FormatInt(l.mark.Unix(), 10) + "-" + strconv.FormatInt(int64(l.back()/time.Second), 10)
	l.found(s)
}

// back is how long before the mark an invoice may have been made.
func (l *listener) back() time.Duration {
	return min(max(l.lookBack, l.w.open.life()+markSlack), maxLookBack)
}

// Interface guards.
var _ wallets.Subscriber = (*Wallet)(nil)
