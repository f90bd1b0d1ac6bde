package sandbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// SubscribeSettlements implements wallets.Subscriber. A cursor of an earlier process means from
// this one's start on, since all that it settled came later. The latest 32,768 settlements at
// least are remembered.
func (w *Wallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	next, err := w.books.position(cursor)
	if err != nil {
		return fmt.Errorf("subscribing to sandbox settlements: %w", err)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		settlements, after, changed := w.books.since(next)
		for _, s := range settlements {
			if err := ctx.Err(); err != nil {
				return err
			}
			found(s)
		}
		next = after
		if len(settlements) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// position reads a cursor: "<run>-<number of the next settlement>".
func (b *books) position(cursor string) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	end := b.first + uint64(len(b.settlements))
	if cursor == "" {
		return end, nil
	}
	run, number, ok := strings.Cut(cursor, "-")
	next, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("cursor %.64q is none of the sandbox's", cursor)
	}
	if run != b.run {
		return 0, nil
	}
	if next > end {
		return 0, fmt.Errorf("cursor %.64q lies in the future", cursor)
	}
	return next, nil
}

// since gives what was settled from the number next on, the number after that, and the channel
// that is closed when there is more.
func (b *books) since(next uint64) ([]wallets.Settlement, uint64, <-chan struct{}) {
	// A batch is bounded, so that the lock is held for a short time.
	const batch = 256
	b.mu.Lock()
	defer b.mu.Unlock()
	next = max(next, b.first)
	entries := b.settlements[next-b.first:]
	entries = entries[:min(len(entries), batch)]
	out := make([]wallets.Settlement, len(entries))
	for i, e := range entries {
		next++
		out[i] = wallets.Settlement{
			PaymentHash: e.hash, AmountPaid: e.amount, SettledAt: e.settled,
			Cursor: b.run + "-" + strconv.FormatUint(next, 10),
		}
	}
	return out, next, b.changed
}

var _ wallets.Subscriber = (*Wallet)(nil)
