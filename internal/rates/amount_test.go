package rates

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

func TestParseAmount(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		is         error
	}{
		{"0.02 usd", "0.02 USD", nil},
		{"0.020 USD", "0.02 USD", nil},
		{"00.5 Eur", "0.5 EUR", nil},
		{"100 jpy", "100 JPY", nil},
		{"100.00 chf", "100 CHF", nil},
		{"0 usd", "", ErrAmount},
		{"0.00 usd", "", ErrAmount},
		{"-1 usd", "", ErrAmount},
		{"1e3 usd", "", ErrAmount},
		{"1/2 usd", "", ErrAmount},
		{".5 usd", "", ErrAmount},
		{"5. usd", "", ErrAmount},
		{"1.2.3 usd", "", ErrAmount},
		{"1,5 usd", "", ErrAmount},
		{strings.Repeat("9", 33) + " usd", "", ErrAmount},
		{"1", "", ErrAmount},
		{"1 usd now", "", ErrAmount},
		{"1 sats", "", ErrCurrency},
		{"1 sat", "", ErrCurrency},
		{"1 btc", "", ErrCurrency},
		{"1 xxx", "", ErrCurrency},
		{"1 xau", "", ErrCurrency},
		{"1 u d", "", ErrAmount},
		{"1 \u0131nr", "", ErrCurrency},
	} {
		a, err := ParseAmountText(tt.text)
		if a.String() != tt.want || !errors.Is(err, tt.is) || (err == nil) != (tt.is == nil) {
			t.Errorf("%q: got %q, %v", tt.text, a, err)
		}
		if a.IsZero() != (tt.want == "") {
			t.Errorf("%q: zero is %t", tt.text, a.IsZero())
		}
	}
}

func mustAmount(t testing.TB, text string) Amount {
	t.Helper()
	a, err := ParseAmountText(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func rateOf(c Currency, perBTC string) Rate {
	value, _ := new(big.Rat).SetString(perBTC)
	return Rate{Currency: c, PerBTC: value}
}

func TestPrice(t *testing.T) {
	for _, tt := range []struct {
		amount, perBTC string
		sat, msat      lnwire.MilliSatoshi
	}{
		{"0.02 usd", "100000", 20_000, 20_000},
		{"0.02 usd", "66666", 31_000, 30_001}, // 30.0003 sat
		{"0.000001 usd", "100000", 1000, 1},
		{"0.0000000000001 usd", "100000", 1000, 1},
		{"100000 usd", "100000", 100_000_000_000, 100_000_000_000},
		{"1 usd", "67187.3358936566", 1_489_000, 1_488_376},
	} {
		rate := rateOf("USD", tt.perBTC)
		for unit, want := range map[lnwire.MilliSatoshi]lnwire.MilliSatoshi{WholeSat: tt.sat, WholeMsat: tt.msat} {
			got, err := rate.Price(mustAmount(t, tt.amount), unit)
			if err != nil || got != want {
				t.Errorf("%s at %s in units of %d: got %d, %v; want %d", tt.amount, tt.perBTC, unit, got, err, want)
			}
		}
	}
	if got, err := rateOf("USD", "1").Price(mustAmount(t, "21000000 usd"), WholeSat); err != nil || got != pricing.MaxAmount {
		t.Errorf("all bitcoins: %d, %v", got, err)
	}
	for name, wrong := range map[string]func() (lnwire.MilliSatoshi, error){
		"more than all": func() (lnwire.MilliSatoshi, error) {
			return rateOf("USD", "1").Price(mustAmount(t, "21000000.01 usd"), WholeSat)
		},
		"other currency": func() (lnwire.MilliSatoshi, error) { return rateOf("EUR", "1").Price(mustAmount(t, "1 usd"), WholeSat) },
		"no rate": func() (lnwire.MilliSatoshi, error) {
			return Rate{Currency: "USD"}.Price(mustAmount(t, "1 usd"), WholeSat)
		},
		"no amount": func() (lnwire.MilliSatoshi, error) { return rateOf("", "1").Price(Amount{}, WholeSat) },
	} {
		if got, err := wrong(); !errors.Is(err, ErrNoRate) || got != 0 {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}

func TestWorth(t *testing.T) {
	for msat, want := range map[lnwire.MilliSatoshi]string{
		100_000_000_000: "100000.00 USD",
		1_234_500:       "1.23 USD",
		123_000:         "0.12 USD",
		10_000:          "0.010 USD",
		6_100:           "0.0061 USD",
		1:               "0.0000010 USD",
		0:               "0.00 USD",
	} {
		if got := rateOf("USD", "100000").Worth(msat); got != want {
			t.Errorf("%d: got %s, want %s", msat, got, want)
		}
	}
}

func TestCmp(t *testing.T) {
	if mustAmount(t, "1 usd").Cmp(mustAmount(t, "1.0 usd")) != 0 || mustAmount(t, "2 usd").Cmp(mustAmount(t, "10 usd")) >= 0 {
		t.Error("amounts are in no order")
	}
	defer func() {
		if recover() == nil {
			t.Error("two currencies were compared")
		}
	}()
	mustAmount(t, "1 usd").Cmp(mustAmount(t, "1 eur"))
}

func TestParsePercent(t *testing.T) {
	for text, want := range map[string]string{"5%": "1/20", "0.5%": "1/200", "100%": "1/1"} {
		if got, err := ParsePercent(text); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "%", "5", "0%", "101%", "-5%", "5 %", "1e1%"} {
		if _, err := ParsePercent(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzParseAmountText(f *testing.F) {
	f.Add("0.02 usd")
	f.Add("000.10 EUR")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAmountText(s)
		if err != nil {
			if !a.IsZero() || !errors.Is(err, ErrAmount) && !errors.Is(err, ErrCurrency) {
				t.Fatalf("%q: %v, %v", s, a, err)
			}
			return
		}
		again, err := ParseAmountText(a.String())
		if err != nil || again.String() != a.String() || again.Cmp(a) != 0 || a.value.Sign() <= 0 {
			t.Fatalf("%q gave %s, which reads back as %s, %v", s, a, again, err)
		}
		if msat, err := rateOf(a.Currency(), "67187.33").Price(a, WholeSat); err == nil && (msat == 0 || msat%1000 != 0) {
			t.Fatalf("%q costs %d msat", s, msat)
		}
	})
}

func FuzzParsePercent(f *testing.F) {
	f.Add("5%")
	f.Fuzz(func(t *testing.T, s string) {
		if share, err := ParsePercent(s); err == nil && (share.Sign() <= 0 || share.Cmp(big.NewRat(1, 1)) > 0) {
			t.Fatalf("%q gave %s", s, share)
		}
	})
}
