package ledger

import (
	"context"
	"fmt"
	"sort"
	"time"
)

// ReportBy says what a report adds up by.
type ReportBy string

// What reports add up by.
const (
	ByDay     ReportBy = "day" // UTC
	ByService ReportBy = "service"
	ByWallet  ReportBy = "wallet"
	ByTenant  ReportBy = "tenant"
	ByScheme  ReportBy = "scheme"
)

// ReportRow is a line of a report.
type ReportRow struct {
	// Key is the day as 2006-01-02, or the name that was added up by.
	Key string `json:"key"`
	// Payments is the number of settlements.
	Payments int64 `json:"payments"`
	// AmountMsat is their sum in millisatoshi.
	AmountMsat uint64 `json:"amount_msat"`
	// First and Last are the times of the first and the last of them.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// OtherRows is the key of the row that adds up what came after maxRows different keys.
const OtherRows = "(others)"

// maxRows bounds the rows of a report, and so its memory.
const maxRows = 1 << 16

// Report adds up the settlements of all instances that the filter chooses, in the order of the
// keys. It returns ErrInvalid for an unknown by and ErrUnavailable where the storage cannot be
// read to the end.
func (l *Ledger) Report(ctx context.Context, by ReportBy, f Filter) ([]ReportRow, error) {
	var key func(*Settlement) string
	switch by {
	case ByDay:
		days := make(map[int64]string) // formatting is dear
		key = func(s *Settlement) string {
			n := s.Time.Unix() / 86400
			day, ok := days[n]
			if !ok {
				day = s.Time.UTC().Format(time.DateOnly)
				if len(days) < maxRows {
					days[n] = day
				}
			}
			return day
		}
	case ByService:
		key = func(s *Settlement) string { return s.Service }
	case ByWallet:
		key = func(s *Settlement) string { return s.Wallet }
	case ByTenant:
		key = func(s *Settlement) string { return s.Tenant }
	case ByScheme:
		key = func(s *Settlement) string { return s.Scheme }
	default:
		return nil, fmt.Errorf("reporting: %w: by %q: use day, service, wallet, tenant or scheme", ErrInvalid, by)
	}
	rows := make(map[string]*ReportRow)
	for s, err := range l.Settlements(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("reporting: %w", err)
		}
		k := key(&s)
		row := rows[k]
		if row == nil && len(rows) >= maxRows {
			k = OtherRows
			row = rows[k]
		}
		if row == nil {
			row = &ReportRow{Key: k, First: s.Time, Last: s.Time}
			rows[k] = row
		}
		row.add(&s)
	}
	out := make([]ReportRow, 0, len(rows))
	for _, row := range rows {
		out = append(out, *row)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, nil
}

func (r *ReportRow) add(s *Settlement) {
	r.Payments++
	r.AmountMsat += s.AmountMsat
	if s.Time.Before(r.First) {
		r.First = s.Time
	}
	if s.Time.After(r.Last) {
		r.Last = s.Time
	}
}
