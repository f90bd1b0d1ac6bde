package pricing

import (
	"math"
	"math/big"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

func TestBySize(t *testing.T) {
	const mib = 1 << 20
	plain := BySize{Base: 1000, Per: 2000, Unit: mib}
	bounded := BySize{Base: 1000, Per: 2000, Unit: mib, Least: 6000, Most: 100_000}
	for _, tc := range []struct {
		name  string
		by    BySize
		size  int64
		price lnwire.MilliSatoshi
		bytes int64
		ok    bool
	}{
		{"nothing", plain, 0, 3000, mib, true},
		{"a byte", plain, 1, 3000, mib, true},
		{"a unit", plain, mib, 3000, mib, true},
		{"a byte more", plain, mib + 1, 5000, 2 * mib, true},
		{"unknown", plain, -1, 0, AnySize, false},
		{"too dear", plain, math.MaxInt64, 8796093022208*2000 + 1000, AnySize, true},
		{"least", bounded, 1, 6000, mib, true},
		{"just below the most", bounded, 49 * mib, 99_000, 49 * mib, true},
		{"the most", bounded, 49*mib + 1, 100_000, AnySize, true},
		{"far above", bounded, math.MaxInt64, 100_000, AnySize, true},
		{"unknown costs the most", bounded, -1, 100_000, AnySize, true},
		{"more than there is", BySize{Base: 1000, Per: MaxAmount, Unit: 1}, 2, 0, AnySize, false},
		{"more than there is, by bytes", BySize{Base: 1, Per: 1000_000, Unit: 1}, math.MaxInt64, 0, AnySize, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			price, bytes, ok := tc.by.Price(tc.size)
			if price != tc.price || bytes != tc.bytes || ok != tc.ok {
				t.Errorf("got %d, %d, %v", price, bytes, ok)
			}
		})
	}
}

func FuzzBySize(f *testing.F) {
	f.Add(int64(5), uint64(1000), uint64(2000), int64(1<<20), uint64(0))
	f.Add(int64(math.MaxInt64), uint64(1), uint64(MaxAmount), int64(1), uint64(500))
	f.Fuzz(func(t *testing.T, size int64, base, per uint64, unit int64, most uint64) {
		by := BySize{
			Base: lnwire.MilliSatoshi(base) % (MaxAmount + 1), Per: lnwire.MilliSatoshi(per) % (MaxAmount + 1),
			Unit: max(1, unit), Most: lnwire.MilliSatoshi(most) % (MaxAmount + 1),
		}
		price, bytes, ok := by.Price(size)
		if !ok {
			return
		}
		if price > MaxAmount || by.Most > 0 && price > by.Most || bytes < size {
			t.Fatalf("%+v: %d bytes cost %d, for %d", by, size, price, bytes)
		}
		if bytes == AnySize {
			return
		}
		units := new(big.Int).SetInt64(bytes / by.Unit)
		want := units.Mul(units, new(big.Int).SetUint64(uint64(by.Per)))
		if want.Add(want, new(big.Int).SetUint64(uint64(by.Base))); !want.IsUint64() || want.Uint64() != uint64(price) {
			t.Fatalf("%+v: %d bytes cost %d, want %v", by, size, price, want)
		}
	})
}
