package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// FindSettlement reads the record of one payment, by whichever instance. It begins with what was
// written on the day before since and reads on by day, so that a payment is found fast by the time
// at which its invoice was made; the zero time means from the beginning. What waits to be written
// is written first where the storage allows it.
//
// It returns ErrNotFound where there is no record and ErrUnavailable where the storage cannot be
// read. Each call lists and reads files: callers remember what they found.
func (l *Ledger) FindSettlement(ctx context.Context, hash [32]byte, since time.Time) (Settlement, error) {
	flushCtx, cancel := context.WithTimeout(ctx, l.opts.ReserveTimeout)
	_ = l.journal.flush(flushCtx) // Stats tells what is pending
	cancel()
	date := ""
	if !since.IsZero() {
		// Instances need not agree on the time to the second.
		date = since.UTC().AddDate(0, 0, -1).Format("20060102")
	}
	var settlement Settlement
	var intern interner
	err := l.scanSince(ctx, date, false, func(r record) error {
		// The payload begins with the payment hash; most records need no further look.
		if r.typ != recSettlement || len(r.payload) < len(hash) || [32]byte(r.payload[:len(hash)]) != hash {
			return nil
		}
		found, err := decodeSettlement(r, &intern)
		if err != nil {
			return err
		}
		settlement = found
		return errStop
	})
	switch {
	case errors.Is(err, errStop):
		return settlement, nil
	case err != nil:
		return Settlement{}, fmt.Errorf("finding a settlement: %w", err)
	}
	return Settlement{}, fmt.Errorf("finding a settlement: %w", ErrNotFound)
}
