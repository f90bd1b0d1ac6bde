package budget

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func hash(n int) lntypes.Hash { return lntypes.Hash{byte(n), byte(n >> 8), byte(n >> 16), 1} }

func spending(n int, host string, sat lnwire.MilliSatoshi) Spending {
	return Spending{PaymentHash: hash(n), Network: wallets.Mainnet, Host: host, Price: sat * 1000}
}

func rule(t testing.TB, text string) Rule {
	t.Helper()
	r, err := ParseHostLimit(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func whole(t testing.TB, text string) Rule {
	t.Helper()
	l, err := ParseLimit(text)
	if err != nil {
		t.Fatal(err)
	}
	return Rule{Limit: l}
}

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]string{
		"1000sat/day": "1000 sat per 24h", "1000 sat/24h": "1000 sat per 24h", "5000 sat per 90m": "5000 sat per 1h30m",
		"1500msat/minute": "1500 msat per 1m", "0.001 btc per week": "100000 sat per 168h", "7 sat / 31d": "7 sat per 744h",
	} {
		if l, err := ParseLimit(text); err != nil || l.String() != want {
			t.Errorf("%q: got %s, %v", text, l, err)
		}
	}
	for _, text := range []string{"", "10", "10 sat", "10/day", "sat/day", "0 sat/day", "-1 sat/day", "10 sat/", "10 sat/never",
		"10 sat/59s", "10 sat/32d", "10 usd/day", "10 sat/-5h", "0.0001 msat/day", "22000000 btc/day"} {
		if l, err := ParseLimit(text); !errors.Is(err, ErrLimit) {
			t.Errorf("%q: got %v, %v", text, l, err)
		}
	}
	for _, text := range []string{"=1 sat/day", "a b=1 sat/day", "http://a=1 sat/day", "a.test=1 sat"} {
		if r, err := ParseHostLimit(text); !errors.Is(err, ErrLimit) {
			t.Errorf("%q: got %v, %v", text, r, err)
		}
	}
	if r := rule(t, "A.Test:8443=1 sat/day"); r.Host != "a.test:8443" || r.EachHost {
		t.Errorf("got %+v", r)
	}
}

func FuzzParseHostLimit(f *testing.F) {
	for _, seed := range []string{"1000sat/day", "a.test=5 sat per 1h", "0.1btc/7d", "=", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseHostLimit(text)
		if err != nil {
			if !errors.Is(err, ErrLimit) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if r.Check() != nil || r.EachHost == (r.Host != "") {
			t.Errorf("%q gave %+v", text, r)
		}
		again, err := ParseLimit(r.String())
		if err != nil || again != r.Limit {
			t.Errorf("%q is written as %q, which reads %v, %v", text, r.String(), again, err)
		}
	})
}

// TestWindow shows that a limit holds for any stretch of its length, to the instant.
func TestWindow(t *testing.T) {
	b, rules := new(Book), []Rule{whole(t, "100 sat/day")}
	if err := b.Reserve(rules, spending(1, "a", 60), noon); err != nil {
		t.Fatal(err)
	}
	if err := b.Reserve(rules, spending(2, "b", 40), noon.Add(time.Hour)); err != nil {
		t.Fatal("the whole budget cannot be spent:", err)
	}
	err := b.Reserve(rules, spending(3, "c", 1), noon.Add(24*time.Hour-1))
	var r *Refusal
	if !errors.As(err, &r) || !errors.Is(err, ErrOverBudget) || !r.FreeAt.Equal(noon.Add(24*time.Hour)) || r.Spent != 100_000 {
		t.Fatalf("got %v, %+v", err, r)
	}
	for _, part := range []string{"1 sat", "100 sat per 24h in all", "100 sat are spent", "2026-01-03T12:00:00Z", "raise"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q leaves out %q", err, part)
		}
	}
	if err := b.Reserve(rules, spending(3, "c", 60), noon.Add(24*time.Hour)); err != nil {
		t.Error("what is a day old counts:", err)
	}
	if err := b.Reserve(rules, spending(4, "c", 1), noon.Add(24*time.Hour)); !errors.Is(err, ErrOverBudget) {
		t.Error("got", err)
	}
	if err := b.Reserve(rules, spending(5, "c", 101), noon.Add(100*time.Hour)); !errors.As(err, &r) || !r.FreeAt.IsZero() ||
		!strings.Contains(err.Error(), "more than the whole budget") {
		t.Error("got", err)
	}
	// A clock that was set back opens nothing.
	if err := b.Reserve(rules, spending(6, "c", 50), noon); !errors.Is(err, ErrOverBudget) {
		t.Error("got", err)
	}
}

func TestRules(t *testing.T) {
	b := new(Book)
	rules := []Rule{whole(t, "100 sat/day"), rule(t, "50 sat/day"), rule(t, "a.test=10 sat/day")}
	must := func(n int, host string, sat lnwire.MilliSatoshi, allowed bool) {
		t.Helper()
		if err := b.Reserve(rules, spending(n, host, sat), noon); (err == nil) != allowed || err != nil && !errors.Is(err, ErrOverBudget) {
			t.Errorf("%d sat at %s: got %v", sat, host, err)
		}
	}
	must(1, "a.test", 11, false)
	must(2, "a.test", 10, true)
	must(3, "b.test", 51, false)
	must(4, "b.test", 50, true)
	must(5, "c.test", 41, false) // in all
	other := spending(6, "c.test", 41)
	other.Network = wallets.Regtest
	if err := b.Reserve(rules, other, noon); err != nil {
		t.Error("play money uses the budget up:", err)
	}
	must(7, "c.test", 40, true)
	for _, l := range b.Left(rules, wallets.Mainnet, "a.test", noon) {
		if want := map[string]lnwire.MilliSatoshi{"": 0, "a.test": 0}[l.Host]; l.EachHost && l.Left != 40_000 || !l.EachHost && l.Left != want {
			t.Errorf("left %+v", l)
		}
	}
	if n := len(b.Left(rules, wallets.Mainnet, "z.test", noon)); n != 2 {
		t.Errorf("%d rules hold for z.test", n)
	}
}

// TestOnePaymentCountsOnce shows what becomes of a payment in its ways.
func TestOnePaymentCountsOnce(t *testing.T) {
	b, rules := new(Book), []Rule{whole(t, "100 sat/day")}
	s := spending(1, "a", 50)
	s.MaxFee = 20_000
	for range 3 { // the same payment taken up again
		if err := b.Reserve(rules, s, noon); err != nil {
			t.Fatal(err)
		}
	}
	spent := func() lnwire.MilliSatoshi { return b.Left(rules, wallets.Mainnet, "a", noon)[0].Spent }
	if spent() != 70_000 {
		t.Fatal("the greatest fee is not counted:", spent())
	}
	b.Settle(hash(1), 51_000)
	b.Settle(hash(1), 90_000) // a payee cannot raise what was allowed
	b.Settle(hash(9), 1)
	if spent() != 51_000 {
		t.Error(spent())
	}
	b.Release(hash(9))
	b.Release(hash(1))
	if spent() != 0 {
		t.Error(spent())
	}
	huge := Spending{PaymentHash: hash(2), Network: wallets.Mainnet, Price: 1 << 63, MaxFee: 1 << 63}
	if err := b.Reserve(rules, huge, noon); !errors.Is(err, ErrOverBudget) {
		t.Error("amounts overflow:", err)
	}
}

// TestSumsNeverForgetEarly compares a Book that sums up with a list of all payments.
func TestSumsNeverForgetEarly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	limit := whole(t, "1000 sat/day")
	b := new(Book)
	type payment struct {
		at   time.Time
		cost lnwire.MilliSatoshi
	}
	var all []payment
	now, refused := noon, 0
	for n := range 5000 {
		now = now.Add(time.Duration(random.IntN(600)) * time.Second)
		s := spending(n, "a", lnwire.MilliSatoshi(1+random.IntN(30)))
		if err := b.Reserve([]Rule{limit}, s, now); err != nil {
			refused++
			continue
		}
		b.Settle(s.PaymentHash, s.Price)
		all = append(all, payment{now, s.Price})
		var sum lnwire.MilliSatoshi
		for i := len(all) - 1; i >= 0 && now.Sub(all[i].at) < limit.Window; i-- {
			sum += all[i].cost
		}
		if sum > limit.Amount {
			t.Fatalf("%d msat were spent within a day", sum)
		}
	}
	if refused == 0 || len(all) < 1000 {
		t.Errorf("%d refused, %d paid: the test shows nothing", refused, len(all))
	}
	if len(b.entries) > 48*4+31*4+200 {
		t.Errorf("%d entries are kept", len(b.entries))
	}
}

func TestParseBookRefuses(t *testing.T) {
	for _, text := range []string{"{", "[]", `{"version":2}`, `{"version":1,"entries":[{}]}`,
		`{"version":1,"entries":[{"time":"2026-01-01T00:00:00Z","network":"mainnet","payment_hash":"zz"}]}`,
		`{"version":1,"entries":[{"time":"2026-01-01T00:00:00Z","network":"mainnet","amount_msat":-1}]}`,
		`{"version":1,"entries":[{"time":"2026-01-01T00:00:00Z","network":"mainnet","amount_msat":18446744073709551615}]}`} {
		if _, err := ParseBook([]byte(text)); !errors.Is(err, ErrBook) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func FuzzParseBook(f *testing.F) {
	b := new(Book)
	_ = b.Reserve(nil, spending(1, "a", 5), noon)
	data, err := b.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBook(data)
		if err != nil {
			if !errors.Is(err, ErrBook) {
				t.Error(err)
			}
			return
		}
		_ = b.Reserve([]Rule{{Limit: Limit{Amount: 1000, Window: time.Hour}}}, spending(7, "a", 1), noon)
		again, err := b.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseBook(again); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}

// TestFileIsShared has many writers spend from one file; together they keep to the budget.
func TestFileIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "spending.json")
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for n := range 20 {
		f := &File{Path: path, Rules: []Rule{whole(t, "70 sat/day")}} // each as another process has it
		wg.Go(func() {
			err := f.Reserve(t.Context(), spending(n, "a", 10))
			if err != nil && !errors.Is(err, ErrOverBudget) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				allowed++
			}
		})
	}
	wg.Wait()
	if allowed != 7 {
		t.Errorf("%d of 7 payments were allowed", allowed)
	}
	for _, name := range []string{path, path + ".lock"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// TestFileFailsClosed shows that no payment is allowed that cannot be written down.
func TestFileFailsClosed(t *testing.T) {
	dir := t.TempDir()
	broken, folder := filepath.Join(dir, "broken"), filepath.Join(dir, "folder")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{broken, folder, filepath.Join(broken, "below")} {
		f := &File{Path: path}
		if err := f.Reserve(t.Context(), spending(1, "a", 1)); !errors.Is(err, ErrBook) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if data, err := os.ReadFile(broken); err != nil || string(data) != "{" {
		t.Errorf("the broken file was changed: %q, %v", data, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := &File{Path: filepath.Join(dir, "new")}
	if err := f.Reserve(ctx, spending(1, "a", 1)); !errors.Is(err, ErrBook) {
		t.Errorf("a canceled call: %v", err)
	}
}
