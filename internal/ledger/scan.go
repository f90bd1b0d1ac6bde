package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"time"
)

// errStop ends a scan without being an error.
var errStop = errors.New("stop")

// scan reads the records of all instances that merged files of settlements keep, day by day, one
// file at a time. Records may come twice when files are merged meanwhile.
func (l *Ledger) scan(ctx context.Context, newestFirst bool, found func(record) error) error {
	return l.scanSince(ctx, "", newestFirst, found)
}

// scanSince is scan for what was written on a date (yyyymmdd) and later.
func (l *Ledger) scanSince(ctx context.Context, date string, newestFirst bool, found func(record) error) error {
	keys, err := l.objects.listArea(ctx, areaLedger)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	folders := make(map[folder][]segName)
	for _, key := range keys {
		if n, ok := l.objects.parseSegment(key); ok && n.date >= date {
			f := folder{n.inc, n.date}
			folders[f] = append(folders[f], n)
		}
	}
	keys = nil
	order := make([]folder, 0, len(folders))
	for f := range folders {
		order = append(order, f)
	}
	sort.Slice(order, func(i, j int) bool {
		if order[i].date != order[j].date {
			return order[i].date < order[j].date
		}
		return order[i].inc < order[j].inc
	})
	if newestFirst {
		slices.Reverse(order)
	}
	for _, f := range order {
		if err := l.scanFolder(ctx, f, folders[f], newestFirst, found); err != nil {
			return err
		}
		delete(folders, f)
	}
	return nil
}

func (l *Ledger) scanFolder(ctx context.Context, f folder, files []segName, newestFirst bool, found func(record) error) error {
	done := make(map[segName]bool)
	gone := make(unwritten[segName])
	for range tries {
		missing := false
		todo := plan(gone.leaveOut(files), sufSettlements)
		if newestFirst {
			slices.Reverse(todo)
		}
		for _, n := range todo {
			if done[n] {
				continue
			}
			key := l.objects.segment(n)
			b, err := l.objects.load(ctx, key)
			if isMissing(err) {
				missing = true
				gone.missing(n)
				break
			}
			if err != nil {
				return fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			done[n] = true
			err = readSegment(b, found)
			if errors.Is(err, ErrCorrupt) {
				l.health.damaged(l.logger(), key, err)
			} else if err != nil {
				return err
			}
		}
		if !missing {
			return nil
		}
		// A merge was under way: what is missing stands in a file that came after the listing.
		keys, err := l.objects.listIn(ctx, areaLedger, l.objects.area(areaLedger)+"/"+f.inc+"/"+f.date)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		files = files[:0]
		for _, key := range keys {
			if n, ok := l.objects.parseSegment(key); ok {
				files = append(files, n)
			}
		}
	}
	return fmt.Errorf("%w: the files of %s change all the time", ErrUnavailable, f.date)
}

// Filter chooses settlements. The zero value chooses all.
type Filter struct {
	// Since and Until bound the time: Since ≤ time < Until. Zero means no bound.
	Since, Until time.Time
	// Service, Wallet and Tenant choose by name; empty means any.
	Service, Wallet, Tenant string
}

func (f *Filter) match(s *Settlement) bool {
	return (f.Since.IsZero() || !s.Time.Before(f.Since)) && (f.Until.IsZero() || s.Time.Before(f.Until)) &&
		(f.Service == "" || s.Service == f.Service) && (f.Wallet == "" || s.Wallet == f.Wallet) &&
		(f.Tenant == "" || s.Tenant == f.Tenant)
}

// Settlements reads the settlements of all instances, each payment hash once, by day and within a
// day in no order. It holds one file and eleven to twenty-two bytes for each payment in memory.
// An error ends it; what came before is good. What waits to be written is written first where the
// storage allows it.
//
// A payment that was noted again after a restart counts with its first record, which is why older
// days are read even when they are filtered out.
func (l *Ledger) Settlements(ctx context.Context, f Filter) iter.Seq2[Settlement, error] {
	return func(yield func(Settlement, error) bool) {
		flushCtx, cancel := context.WithTimeout(ctx, l.opts.ReserveTimeout)
		_ = l.journal.flush(flushCtx) // Stats tells what is pending
		cancel()
		seen := newBigSet()
		var intern interner
		err := l.scan(ctx, false, func(r record) error {
			if r.typ != recSettlement {
				return nil
			}
			s, err := decodeSettlement(r, &intern)
			if err != nil {
				return err
			}
			if seen.add(&s.PaymentHash) && f.match(&s) && !yield(s, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Settlement{}, fmt.Errorf("reading settlements: %w", err))
		}
	}
}

// recall fills the memory of settlements with the newest ones, so that after a restart a token
// that is shown again is not noted again.
func (l *Ledger) recall(ctx context.Context) error {
	n := 0
	var intern interner
	err := l.scan(ctx, true, func(r record) error {
		if ctx.Err() != nil || n >= l.opts.Remembered {
			return errStop
		}
		if r.typ != recSettlement {
			return nil
		}
		s, err := decodeSettlement(r, &intern)
		if err != nil {
			return err
		}
		if first, _ := l.settled.add(s.PaymentHash, func() error { return nil }); first {
			n++
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// Note is a record of another package's own form.
type Note struct {
	// Kind says whose it is.
	Kind string
	// Time is when it was written.
	Time time.Time
	// Value is what was written.
	Value []byte
}

func encodeNote(kind string, value []byte) ([]byte, error) {
	if !isKind(kind) {
		return nil, fmt.Errorf("%w: kind %q: use up to 32 lower-case letters and digits", ErrInvalid, kind)
	}
	if len(value) > 1<<20 {
		return nil, fmt.Errorf("%w: note of %d bytes", ErrTooLarge, len(value))
	}
	return append(appendBytes(nil, kind), value...), nil
}

// Append writes a note of up to 1 MiB and returns when the storage has it. After an error it may
// still be written later. The kind is of lower-case letters and digits.
func (l *Ledger) Append(ctx context.Context, kind string, value []byte) error {
	payload, err := encodeNote(kind, value)
	if err == nil {
		err = l.journal.appendWait(ctx, recNote, l.opts.Now().UnixNano(), payload)
	}
	if err != nil {
		return fmt.Errorf("writing a note: %w", err)
	}
	return nil
}

// AppendAsync writes a note with the next group commit, without waiting for it.
func (l *Ledger) AppendAsync(kind string, value []byte) error {
	payload, err := encodeNote(kind, value)
	if err == nil {
		err = l.journal.append(recNote, l.opts.Now().UnixNano(), payload)
	}
	if err != nil {
		return fmt.Errorf("writing a note: %w", err)
	}
	return nil
}

// Notes reads the notes of a kind of all instances, by day. A note may come twice when segments
// are merged at that moment. An error ends it.
func (l *Ledger) Notes(ctx context.Context, kind string) iter.Seq2[Note, error] {
	return func(yield func(Note, error) bool) {
		err := l.scan(ctx, false, func(r record) error {
			if r.typ != recNote {
				return nil
			}
			d := decoder{b: r.payload}
			k := d.bytes()
			if d.bad {
				return fmt.Errorf("%w: note of a wrong form", ErrCorrupt)
			}
			if string(k) == kind && !yield(Note{kind, time.Unix(0, r.time), append([]byte(nil), d.b...)}, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Note{}, fmt.Errorf("reading notes: %w", err))
		}
	}
}
