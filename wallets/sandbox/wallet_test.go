package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t testing.TB) (*Wallet, *clock, *wallettest.Env) {
	t.Helper()
	env := wallettest.NewEnv(t)
	w, err := newWallet(env)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Unix(1_750_000_000, 900_000_000)}
	w.now = c.now
	return w, c, env
}

func create(t testing.TB, w *Wallet, expiry time.Duration) *wallets.Invoice {
	t.Helper()
	inv, err := w.CreateInvoice(t.Context(), wallets.InvoiceRequest{Amount: 21_000, Memo: "m", Expiry: expiry})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func TestPay(t *testing.T) {
	w, _, _ := open(t)
	inv := create(t, w, time.Minute)
	preimage, err := w.Pay(t.Context(), inv.PaymentRequest, 0)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(preimage[:]) != inv.PaymentHash {
		t.Error("the preimage is not the invoice's")
	}
	for name, text := range map[string]string{
		"again": inv.PaymentRequest, "in upper case": strings.ToUpper(inv.PaymentRequest),
		"with a scheme": "lightning:" + inv.PaymentRequest,
	} {
		again, err := w.Pay(t.Context(), text, 0)
		if err != nil || again != preimage {
			t.Errorf("paying %s: %v", name, err)
		}
	}
	if settled := w.books.settlements; len(settled) != 1 {
		t.Errorf("one invoice was settled %d times", len(settled))
	}
}

func TestPayRefuses(t *testing.T) {
	w, clock, _ := open(t)
	expired := create(t, w, time.Minute)
	clock.t = clock.t.Add(61 * time.Second)
	other, _, _ := open(t)
	issue := func(network wallets.Network) string {
		in, err := wallettest.NewNode(t, network).Issue(wallettest.Terms{Amount: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return in.Invoice
	}
	for name, c := range map[string]struct {
		invoice string
		want    error
		says    string
	}{
		"empty":             {"", wallets.ErrBadInvoice, "empty"},
		"garbage":           {"lnbcrt1garbage", wallets.ErrBadInvoice, "decoding"},
		"mainnet":           {issue(wallets.Mainnet), wallets.ErrBadInvoice, "for mainnet"},
		"another node":      {issue(wallets.Regtest), wallets.ErrNotFound, "not made by this sandbox"},
		"another sandbox":   {create(t, other, time.Minute).PaymentRequest, wallets.ErrNotFound, "not made by this sandbox"},
		"expired":           {expired.PaymentRequest, wallets.ErrPaymentFailed, "expired"},
		"signature changed": {flipped(expired.PaymentRequest), wallets.ErrBadInvoice, "decoding"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := w.Pay(t.Context(), c.invoice, 0)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v that says %q", err, c.want, c.says)
			}
			if p != (lntypes.Preimage{}) {
				t.Error("a preimage came with the error")
			}
		})
	}
}

func flipped(invoice string) string {
	last := byte('q')
	if invoice[len(invoice)-1] == 'q' {
		last = 'p'
	}
	return invoice[:len(invoice)-1] + string(last)
}

// TestExpiry follows an invoice second by second over its end.
func TestExpiry(t *testing.T) {
	w, clock, _ := open(t)
	inv := create(t, w, time.Second)
	if left := inv.ExpiresAt.Sub(clock.t); left < time.Second || left >= 2*time.Second {
		t.Errorf("asked for one second, got %s", left)
	}
	clock.t = inv.ExpiresAt.Add(-1)
	if st, err := w.LookupInvoice(t.Context(), inv.PaymentHash); err != nil || st.State != wallets.StatePending {
		t.Errorf("just before its end: %+v, %v", st, err)
	}
	clock.t = inv.ExpiresAt
	if st, err := w.LookupInvoice(t.Context(), inv.PaymentHash); err != nil || st.State != wallets.StateExpired {
		t.Errorf("at its end: %+v, %v", st, err)
	}
	if _, err := w.Pay(t.Context(), inv.PaymentRequest, 0); !errors.Is(err, wallets.ErrPaymentFailed) {
		t.Errorf("paying at its end: %v", err)
	}
	clock.t = inv.ExpiresAt.Add(keepExpired)
	create(t, w, time.Minute)
	if _, err := w.LookupInvoice(t.Context(), inv.PaymentHash); !errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("long after its end: %v", err)
	}
}

// TestSettledOutlivesExpiry pays just in time.
func TestSettledOutlivesExpiry(t *testing.T) {
	w, clock, _ := open(t)
	inv := create(t, w, time.Minute)
	clock.t = inv.ExpiresAt.Add(-1)
	if _, err := w.Pay(t.Context(), inv.PaymentRequest, 0); err != nil {
		t.Fatal(err)
	}
	clock.t = clock.t.Add(1000 * time.Hour)
	create(t, w, time.Minute)
	st, err := w.LookupInvoice(t.Context(), inv.PaymentHash)
	if err != nil || st.State != wallets.StateSettled || !st.SettledAt.Equal(inv.ExpiresAt.Add(-1)) {
		t.Errorf("settled, long ago: %+v, %v", st, err)
	}
}

func TestRequestRefuses(t *testing.T) {
	w, _, _ := open(t)
	good := wallets.InvoiceRequest{Amount: 1, Memo: "m", Expiry: time.Second}
	for name, change := range map[string]func(*wallets.InvoiceRequest){
		"no amount":      func(r *wallets.InvoiceRequest) { r.Amount = 0 },
		"all and more":   func(r *wallets.InvoiceRequest) { r.Amount = maxAmount + 1 },
		"long memo":      func(r *wallets.InvoiceRequest) { r.Memo = strings.Repeat("x", wallets.MaxMemo+1) },
		"memo no UTF-8":  func(r *wallets.InvoiceRequest) { r.Memo = "\xff" },
		"no expiry":      func(r *wallets.InvoiceRequest) { r.Expiry = 0 },
		"expiry too far": func(r *wallets.InvoiceRequest) { r.Expiry = maxExpiry + 1 },
	} {
		req := good
		change(&req)
		if inv, err := w.CreateInvoice(t.Context(), req); err == nil {
			t.Errorf("%s: made %+v", name, inv)
		}
	}
	if len(w.books.invoices) != 0 {
		t.Error("refused requests leave invoices behind")
	}
	if _, err := w.CreateInvoice(t.Context(), good); err != nil {
		t.Error(err)
	}
}

// TestRandomness fails the source of random bytes: no invoice may then be made.
func TestRandomness(t *testing.T) {
	w, _, _ := open(t)
	w.rand = bytes.NewReader(make([]byte, 40))
	_, err := w.CreateInvoice(t.Context(), wallets.InvoiceRequest{Amount: 1, Expiry: time.Second})
	if err == nil || len(w.books.invoices) != 0 {
		t.Errorf("made an invoice without randomness: %v", err)
	}
}

// TestPreimageNotInInvoice looks for the preimage in all that the invoice tells.
func TestPreimageNotInInvoice(t *testing.T) {
	w, _, _ := open(t)
	inv := create(t, w, time.Minute)
	d, err := zpay32.Decode(inv.PaymentRequest, wallets.Regtest.Params())
	if err != nil {
		t.Fatal(err)
	}
	addr := d.PaymentAddr.UnwrapOr([32]byte{})
	if addr == ([32]byte{}) {
		t.Error("no payment secret")
	}
	for name, guess := range map[string][]byte{
		"payment secret": addr[:], "payment hash": d.PaymentHash[:],
		"both": append(addr[:], d.PaymentHash[:]...), "text": []byte(inv.PaymentRequest),
	} {
		if p := lntypes.Preimage(sha256.Sum256(guess)); p.Matches(inv.PaymentHash) {
			t.Errorf("the preimage is the hash of the %s", name)
		}
		if sha256.Sum256(guess) == inv.PaymentHash {
			t.Errorf("the preimage is the %s", name)
		}
	}
}

func TestWarnsOnce(t *testing.T) {
	w, _, env := open(t)
	if env.Log() != "" {
		t.Error("opening logs, which a mere validation of the configuration should not")
	}
	create(t, w, time.Minute)
	create(t, w, time.Minute)
	if n := strings.Count(env.Log(), "not money"); n != 1 {
		t.Errorf("warned %d times: %s", n, env.Log())
	}
}

// TestBounds fills the books beyond what they keep. Their entries are made by hand, since
// signatures take time.
func TestBounds(t *testing.T) {
	w, clock, _ := open(t)
	entryAt := func(i int) *entry {
		e := &entry{amount: 1, expires: clock.t.Add(time.Duration(i+1) * time.Second)}
		copy(e.preimage[:], fmt.Sprintf("%032d", i))
		e.hash = e.preimage.Hash()
		return e
	}
	for i := range maxPending + 10 {
		w.books.add(clock.t, entryAt(i))
	}
	if len(w.books.pending) != maxPending || len(w.books.invoices) != maxPending {
		t.Fatalf("%d pending, %d in all", len(w.books.pending), len(w.books.invoices))
	}
	if _, err := w.books.settle(clock.t, entryAt(9).hash); !errors.Is(err, wallets.ErrNotFound) ||
		!strings.Contains(err.Error(), "forgotten") {
		t.Errorf("the one that expires first is still there: %v", err)
	}
	for i := 10; i < maxPending+10; i++ {
		if _, err := w.books.settle(clock.t, entryAt(i).hash); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		w.books.add(clock.t, entryAt(maxPending+10+i))
		if _, err := w.books.settle(clock.t, entryAt(maxPending+10+i).hash); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.books.settlements); n > maxSettled || n < maxSettled/2 {
		t.Errorf("%d settlements are kept", n)
	}
	if len(w.books.invoices) != len(w.books.settlements) {
		t.Errorf("%d invoices for %d settlements", len(w.books.invoices), len(w.books.settlements))
	}
}

func TestCursors(t *testing.T) {
	w, _, _ := open(t)
	for range 3 {
		if _, err := w.Pay(t.Context(), create(t, w, time.Minute).PaymentRequest, 0); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		cursor string
		want   int // settlements told; -1 for an error
	}{
		"empty, from now on":     {"", 0},
		"after the second":       {w.books.run + "-2", 1},
		"at the end":             {w.books.run + "-3", 0},
		"of an earlier process":  {"0123456789abcdef-77", 3},
		"in the future":          {w.books.run + "-4", -1},
		"without a number":       {w.books.run, -1},
		"with a negative number": {w.books.run + "--1", -1},
		"of another wallet":      {"17", -1},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var got int
		if c.want <= 0 {
			cancel()
		}
		err := w.SubscribeSettlements(ctx, c.cursor, func(wallets.Settlement) {
			if got++; got == c.want {
				cancel()
			}
		})
		cancel()
		if failed := !errors.Is(err, context.Canceled); failed != (c.want < 0) || got != max(c.want, 0) {
			t.Errorf("%s: %d settlements, error %v", name, got, err)
		}
	}
}

// TestCursorAfterForgetting goes on with what is still remembered.
func TestCursorAfterForgetting(t *testing.T) {
	w, clock, _ := open(t)
	for i := range maxSettled + 1 {
		e := &entry{expires: clock.t.Add(time.Minute)}
		copy(e.preimage[:], fmt.Sprintf("%032d", i))
		e.hash = e.preimage.Hash()
		w.books.add(clock.t, e)
		if _, err := w.books.settle(clock.t, e.hash); err != nil {
			t.Fatal(err)
		}
	}
	next, err := w.books.position(w.books.run + "-1")
	if err != nil {
		t.Fatal(err)
	}
	told, after, _ := w.books.since(next)
	if len(told) == 0 || after <= maxSettled/2 || told[0].Cursor != fmt.Sprintf("%s-%d", w.books.run, maxSettled/2+1) {
		t.Errorf("%d told, after %d", len(told), after)
	}
}

func FuzzCursor(f *testing.F) {
	w, _, _ := open(f)
	if _, err := w.Pay(f.Context(), create(f, w, time.Minute).PaymentRequest, 0); err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "-", w.books.run + "-1", w.books.run + "-18446744073709551615", "a-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		next, err := w.books.position(cursor)
		if err != nil {
			return
		}
		if told, after, _ := w.books.since(next); after != 1 || len(told) != int(1-next) {
			t.Errorf("cursor %q: %d told, after %d", cursor, len(told), after)
		}
	})
}
