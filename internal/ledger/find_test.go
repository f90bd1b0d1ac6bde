package ledger_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/ledger/ledgertest"
)

func TestFindSettlement(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	begin := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	var days atomic.Int64
	clock := func() time.Time { return begin.AddDate(0, 0, int(days.Load())) }
	open := func() *ledger.Ledger {
		l, err := ledger.Open(t.Context(), ledger.Options{Storage: storage, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close(t.Context()) })
		return l
	}
	settlement := func(n byte, service string) ledger.Settlement {
		return ledger.Settlement{
			PaymentHash: [32]byte{n}, Time: clock(), Service: service, Tier: 3, AmountMsat: 1500, Wallet: "w", Scheme: "L402",
			TokenID: [32]byte{n, 1},
		}
	}
	first := open()
	if _, err := first.RecordSettlement(settlement(1, "early")); err != nil {
		t.Fatal(err)
	}
	if err := first.Flush(t.Context()); err != nil { // files are filed by the day they are written on
		t.Fatal(err)
	}
	days.Store(5)
	if _, err := first.RecordSettlement(settlement(2, "late")); err != nil {
		t.Fatal(err)
	}
	if err := first.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := clock()
	second := open() // another instance finds it as well
	for _, l := range []*ledger.Ledger{first, second} {
		for _, since := range []time.Time{{}, now.AddDate(0, 0, -6), now.AddDate(0, 0, -5)} {
			got, err := l.FindSettlement(t.Context(), [32]byte{1}, since)
			if err != nil || got.Service != "early" || got.Tier != 3 || got.AmountMsat != 1500 || got.TokenID != ([32]byte{1, 1}) {
				t.Errorf("since %v: %+v, %v", since, got, err)
			}
		}
		if got, err := l.FindSettlement(t.Context(), [32]byte{2}, now); err != nil || got.Service != "late" {
			t.Error(got, err)
		}
		// Days before the one before are not read.
		if _, err := l.FindSettlement(t.Context(), [32]byte{1}, now); !errors.Is(err, ledger.ErrNotFound) {
			t.Error(err)
		}
		if _, err := l.FindSettlement(t.Context(), [32]byte{3}, time.Time{}); !errors.Is(err, ledger.ErrNotFound) {
			t.Error(err)
		}
	}
	// A payment that another instance notes again counts with its first record.
	if _, err := second.RecordSettlement(settlement(1, "again")); err != nil {
		t.Fatal(err)
	}
	if got, err := second.FindSettlement(t.Context(), [32]byte{1}, now.AddDate(0, 0, -5)); err != nil || got.Service != "early" {
		t.Error(got, err)
	}
}

func TestFindSettlementWhenStorageIsDown(t *testing.T) {
	m := ledgertest.NewMemory(ledgertest.Behavior{})
	l, err := ledger.Open(t.Context(), ledger.Options{Storage: m, OpTimeout: time.Second, ReserveTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	m.Down.Store(true)
	if _, err := l.FindSettlement(t.Context(), [32]byte{1}, time.Time{}); !errors.Is(err, ledger.ErrUnavailable) {
		t.Error(err)
	}
	m.Down.Store(false)
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
