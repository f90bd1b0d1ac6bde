package pricing

import (
	"math"

	"github.com/lightningnetwork/lnd/lnwire"
)

// BySize is a price that grows with a number of bytes. The zero value of Least and Most means that
// there is no such bound; they move a price to the bound.
type BySize struct {
	// Base is what anything costs, in millisatoshi.
	Base lnwire.MilliSatoshi
	// Per is what each begun Unit costs besides, in millisatoshi.
	Per lnwire.MilliSatoshi
	// Unit is a number of bytes greater than zero.
	Unit int64
	// Least and Most bound the price, in millisatoshi.
	Least, Most lnwire.MilliSatoshi
}

// AnySize is a number of bytes that nothing exceeds.
const AnySize = math.MaxInt64

// Price is what a number of bytes costs, and how many bytes can be had for that: whole units, and
// AnySize where the price is the greatest one. A size below zero is one that is not known, which
// costs the most; ok is false where there is no bound to charge, or the price is above MaxAmount.
func (b *BySize) Price(size int64) (price lnwire.MilliSatoshi, bytes int64, ok bool) {
	if size < 0 {
		return b.Most, AnySize, b.Most > 0
	}
	units := max(1, size/b.Unit)
	if size > b.Unit && size%b.Unit != 0 {
		units++
	}
	most := MaxAmount
	if b.Most > 0 {
		most = b.Most
	}
	// Nothing here can overflow: the amounts are at most MaxAmount, which is below 2^61.
	if b.Base > most || b.Per > 0 && lnwire.MilliSatoshi(units) > (most-b.Base)/b.Per {
		return b.Most, AnySize, b.Most > 0
	}
	price = max(b.Base+lnwire.MilliSatoshi(units)*b.Per, b.Least)
	if units > AnySize/b.Unit {
		return price, AnySize, true
	}
	return price, units * b.Unit, true
}
