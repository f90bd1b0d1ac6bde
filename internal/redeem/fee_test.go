package redeem

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

func TestParseFee(t *testing.T) {
	for text, want := range map[string]struct {
		ppm  uint64
		base lnwire.MilliSatoshi
	}{
		"0": {}, "1%": {10_000, 0}, "10 sat": {0, 10_000}, "1% 10 sat": {10_000, 10_000},
		"0.5% 1500 msat": {5_000, 1500}, "0.0001%": {1, 0}, "100%": {1_000_000, 0}, "1% 0 sat": {10_000, 0}, "0% 0 sat": {},
	} {
		if ppm, base, err := ParseFee(text); err != nil || ppm != want.ppm || base != want.base {
			t.Errorf("%q: got %d, %d, %v", text, ppm, base, err)
		}
	}
	for _, text := range []string{
		"", "1", "%", "-1%", "101%", "1e2%", "0.00001%", "1/2%", ".5%", "1 %", "1% 10", "1% sat", "10 sat 1%", "10 eur", "1% 1% 1 sat",
		"1% 0.0001 sat", "1% 22000000 btc",
	} {
		if ppm, base, err := ParseFee(text); err == nil {
			t.Errorf("%q: got %d, %d", text, ppm, base)
		}
	}
}

func FuzzParseFee(f *testing.F) {
	for _, text := range []string{"0", "1%", "10 sat", "1% 10 sat", "0.5% 1500 msat", "100%", "-1%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ppm, base, err := ParseFee(text)
		if err != nil {
			return
		}
		r := Rules{FeePPM: ppm, FeeBase: base}
		for _, payable := range []lnwire.MilliSatoshi{0, 1, 999, 1000, 123_456, 2_100_000_000_000_000_000} {
			amount := r.invoice(payable)
			if amount%1000 != 0 || amount > 0 && amount+r.maxFee(amount) > payable {
				t.Fatalf("%q: %d of %d, fee %d", text, amount, payable, r.maxFee(amount))
			}
		}
	})
}

// The invoice is as great as can be.
func TestInvoiceLeavesRoomForFeesAndNoMore(t *testing.T) {
	for _, r := range []Rules{{}, {FeePPM: 10_000}, {FeePPM: 10_000, FeeBase: 10 * sat}, {FeePPM: maxPPM}, {FeePPM: 1, FeeBase: 1}} {
		for payable := lnwire.MilliSatoshi(0); payable < 300*sat; payable += 777 {
			amount := r.invoice(payable)
			if amount > 0 && amount+r.maxFee(amount) > payable {
				t.Fatalf("%+v: %d of %d", r, amount, payable)
			}
			if next := amount + 1000; next+r.maxFee(next) <= payable {
				t.Fatalf("%+v: %d of %d, where %d is possible", r, amount, payable, next)
			}
		}
	}
}
