package ledger_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

// TestDamagedSegments damages segments in several ways: the rest is read and each is told once.
func TestDamagedSegments(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	a := ledgertest.Open(t, ledgertest.Fast(m))
	for range 5 {
		for range 3 {
			if _, err := a.RecordSettlement(ledger.Settlement{PaymentHash: ledgertest.Hash(), AmountMsat: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	m.BeforeStore = func(key string) error { // no merge at the end
		if strings.HasSuffix(key, ".set") {
			return ledgertest.ErrInjected
		}
		return nil
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var segments []string
	for _, k := range m.Keys() {
		if strings.HasSuffix(k, ".seg") {
			segments = append(segments, k)
		}
	}
	if len(segments) < 5 {
		t.Fatalf("segments: %v", segments)
	}
	m.Change(segments[0], func(b []byte) []byte { return b[:len(b)-1] }) // all three records are good
	m.Change(segments[1], func(b []byte) []byte { return []byte{} })     // none
	m.Change(segments[2], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	opts := ledgertest.Fast(m)
	var logs *observer.ObservedLogs
	opts.Logger, logs = logged()
	b := ledgertest.Open(t, opts)
	for range 3 {
		rows, err := b.Report(t.Context(), ledger.ByDay, ledger.Filter{})
		if err != nil || len(rows) != 1 {
			t.Fatalf("%+v, %v", rows, err)
		}
		if n := rows[0].Payments; n < 9 || n > 12 {
			t.Errorf("%d payments of 15 after damaging three of five segments", n)
		}
	}
	if n := logs.FilterMessageSnippet("damaged").Len(); n != 3 || b.Stats().Damaged != 3 {
		t.Errorf("%d lines, %d counted, want 3 of each", n, b.Stats().Damaged)
	}
}

// TestDamagedWhileRunning damages a segment before it is merged: the merge leaves it and its
// neighbors' ranges alone.
func TestDamagedWhileRunning(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	opts := ledgertest.Fast(m)
	opts.CompactAfter = 1000
	a := ledgertest.Open(t, opts)
	for i := range 9 {
		if _, err := a.RecordSettlement(ledger.Settlement{PaymentHash: ledgertest.Hash()}); err != nil {
			t.Fatal(err)
		}
		if err := a.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			keys := m.Keys()
			m.Change(keys[len(keys)-1], func(b []byte) []byte { return b[:len(b)-2] }) // the record is good, the end is not
		}
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := ledgertest.Open(t, opts)
	rows, err := b.Report(t.Context(), ledger.ByDay, ledger.Filter{})
	if err != nil || len(rows) != 1 || rows[0].Payments != 9 {
		t.Fatalf("%+v, %v", rows, err)
	}
	var left []string
	for _, k := range m.Keys() {
		if strings.Contains(k, "/ledger/") {
			left = append(left, k[len(k)-37:])
		}
	}
	if len(left) != 3 {
		t.Errorf("want two merged files around the damaged one: %q", left)
	}
}

// TestMergeIsInterrupted stops merging between writing and deleting: nothing counts twice.
func TestMergeIsInterrupted(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	base := &undeleting{Memory: m}
	opts := ledgertest.Fast(base)
	opts.CompactAfter = 4
	a := ledgertest.Open(t, opts)
	req := ledgertest.Uses(ledgertest.Hash(), 100)
	for range 20 {
		if err := spend(a, req); err != nil {
			t.Fatal(err)
		}
		if err := a.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_ = a.Close(ctx) // it complains of what it could not delete
	b := ledgertest.Open(t, ledgertest.Fast(m))
	for range 80 {
		if err := spend(b, req); err != nil {
			t.Fatal(err)
		}
	}
	if err := spend(b, req); !errors.Is(err, ledger.ErrExhausted) {
		t.Fatal(err)
	}
}

// undeleting is a storage whose deletions of segments fail.
type undeleting struct{ *ledgertest.Memory }

func (u *undeleting) Delete(ctx context.Context, key string) error {
	if strings.HasSuffix(key, ".seg") {
		return ledgertest.ErrInjected
	}
	return u.Memory.Delete(ctx, key)
}
