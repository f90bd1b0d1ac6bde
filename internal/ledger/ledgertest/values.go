package ledgertest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

func testSettlements(t *testing.T, s certmagic.Storage) {
	opts := Fast(s)
	opts.CompactAfter = 4
	a, b := Open(t, opts), Open(t, opts)
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hashes := make([][32]byte, 60)
	for i := range hashes {
		hashes[i] = Hash()
		st := ledger.Settlement{PaymentHash: hashes[i], Time: day.Add(time.Duration(i) * time.Hour), Service: fmt.Sprint("s", i%2),
			AmountMsat: 1000, Wallet: "w", Scheme: "L402", TokenID: Hash(), Tenant: fmt.Sprint("t", i%3), Tier: uint8(i)}
		for _, l := range []*ledger.Ledger{a, a, b} { // the repetition counts once
			if _, err := l.RecordSettlement(st); err != nil {
				t.Fatal(err)
			}
		}
		if i%7 == 0 {
			if err := a.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(l *ledger.Ledger) {
		t.Helper()
		seen := make(map[[32]byte]bool)
		for st, err := range l.Settlements(t.Context(), ledger.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if seen[st.PaymentHash] {
				t.Fatal("a payment came twice")
			}
			seen[st.PaymentHash] = true
		}
		if len(seen) != len(hashes) {
			t.Fatalf("%d settlements, want %d", len(seen), len(hashes))
		}
		rows, err := l.Report(t.Context(), ledger.ByService, ledger.Filter{Since: day.Add(30 * time.Hour)})
		if err != nil || len(rows) != 2 || rows[0].Key != "s0" || rows[0].Payments != 15 || rows[1].AmountMsat != 15000 {
			t.Fatalf("report %+v, %v", rows, err)
		}
	}
	check(a)
	closeLedger(t, a)
	closeLedger(t, b)
	c := Open(t, opts)
	check(c)
	for _, h := range hashes {
		if !c.Settled(h) {
			t.Fatal("a settlement was forgotten over the restart")
		}
	}
}

func testRevocations(t *testing.T, s certmagic.Storage) {
	a, b := Open(t, Fast(s)), Open(t, Fast(s))
	token, payment, other := Hash(), Hash(), Hash()
	minted := time.Now().Add(-time.Hour)
	for _, r := range []struct {
		kind  ledger.Kind
		value string
		until time.Time
	}{
		{ledger.KindToken, fmt.Sprintf("%x", token), time.Time{}},
		{ledger.KindPayment, fmt.Sprintf("%X", payment), time.Now().Add(time.Hour)},
		{ledger.KindService, "gold", time.Time{}},
	} {
		if err := a.Revoke(t.Context(), r.kind, r.value, r.until); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, l *ledger.Ledger) {
		t.Helper()
		for _, c := range []struct {
			what        string
			token, hash [32]byte
			service     string
			minted      time.Time
			want        bool
		}{
			{"token", token, other, "s", minted, true},
			{"payment", other, payment, "s", minted, true},
			{"service", other, other, "gold", minted, true},
			{"service, minted later", other, other, "gold", time.Now().Add(time.Hour), false},
			{"service, unknown age", other, other, "gold", time.Time{}, true},
			{"nothing", other, other, "silver", minted, false},
			{"id in the other field", payment, token, "s", minted, false},
		} {
			if got := l.Revoked(c.token, c.hash, c.service, c.minted); got != c.want {
				t.Errorf("%s: %s: revoked %t", name, c.what, got)
			}
		}
	}
	check("same instance", a)
	eventually(t, func() bool { return len(b.Revocations()) == 3 })
	check("other instance", b)
	closeLedger(t, a)
	c := Open(t, Fast(s))
	check("after a restart", c)
	if n, err := c.Unrevoke(t.Context(), ledger.KindToken, fmt.Sprintf("%x", token)); err != nil || n != 1 {
		t.Fatalf("taking back: %d, %v", n, err)
	}
	if c.Revoked(token, other, "s", minted) {
		t.Error("still revoked here")
	}
	eventually(t, func() bool { return !b.Revoked(token, other, "s", minted) })
}

// eventually waits for cond, up to 10 s.
func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatal("did not happen within 10 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func testDurable(t *testing.T, s certmagic.Storage) {
	a, b := Open(t, Fast(s)), Open(t, Fast(s))
	ctx := t.Context()
	if _, err := a.GetDurable(ctx, "quote", "none"); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("a value that is not there: %v", err)
	}
	for i := range 5 {
		if err := a.PutDurable(ctx, "quote", "id/../ÄÖ"+fmt.Sprint(i), []byte(fmt.Sprint("v", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.PutDurable(ctx, "quote", "id/../ÄÖ3", []byte("newer")); err != nil {
		t.Fatal(err)
	}
	if d, err := a.GetDurable(ctx, "quote", "id/../ÄÖ3"); err != nil || string(d.Value) != "newer" {
		t.Fatalf("%q, %v", d.Value, err)
	}
	if err := a.DeleteDurable(ctx, "quote", "id/../ÄÖ0"); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteDurable(ctx, "quote", "id/../ÄÖ0"); err != nil {
		t.Fatalf("deleting what is gone: %v", err)
	}
	list, err := b.ListDurable(ctx, "quote")
	if err != nil || len(list) != 4 || list[0].ID != "id/../ÄÖ1" || string(list[2].Value) != "newer" {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, err := b.ListDurable(ctx, "empty"); err != nil || len(list) != 0 {
		t.Fatalf("a kind without values: %v, %v", list, err)
	}
}

func testNotes(t *testing.T, s certmagic.Storage) {
	opts := Fast(s)
	opts.CompactAfter = 3
	a := Open(t, opts)
	for i := range 10 {
		if err := a.Append(t.Context(), "receipt", []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		if err := a.AppendAsync("other", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	closeLedger(t, a)
	b := Open(t, opts)
	var got string
	for n, err := range b.Notes(t.Context(), "receipt") {
		if err != nil {
			t.Fatal(err)
		}
		got += string(n.Value)
	}
	if got != "0123456789" {
		t.Fatalf("notes %q", got)
	}
}
