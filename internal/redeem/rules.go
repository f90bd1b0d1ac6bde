package redeem

import (
	"math/bits"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// Rules say when how much of a purse is redeemed. Amounts are in millisatoshi.
type Rules struct {
	// Above redeems when a purse holds more than this; zero is never.
	Above lnwire.MilliSatoshi
	// Every redeems when so much time has passed since the last time; zero is never.
	Every time.Duration
	// Min is the smallest invoice; less than a satoshi means one.
	Min lnwire.MilliSatoshi
	// Keep stays in the purse.
	Keep lnwire.MilliSatoshi
	// FeePPM and FeeBase are the most that Lightning may cost: millionths of the invoice, and
	// an amount besides.
	FeePPM  uint64
	FeeBase lnwire.MilliSatoshi
}

// maxPPM is all of the invoice.
const maxPPM = 1_000_000

// maxFee is the most that Lightning may cost for an invoice.
func (r Rules) maxFee(amount lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	hi, lo := bits.Mul64(uint64(amount), min(r.FeePPM, maxPPM))
	part, _ := bits.Div64(hi, lo, maxPPM) // hi is less than maxPPM
	return lnwire.MilliSatoshi(part) + r.FeeBase
}

// invoice is the greatest invoice in whole satoshi that can be paid out of so much together with its
// greatest fee, or zero.
func (r Rules) invoice(payable lnwire.MilliSatoshi) lnwire.MilliSatoshi {
	if payable <= r.FeeBase {
		return 0
	}
	rest := payable - r.FeeBase
	hi, lo := bits.Mul64(uint64(rest), maxPPM)
	amount, _ := bits.Div64(hi, lo, maxPPM+min(r.FeePPM, maxPPM))
	return lnwire.MilliSatoshi(amount / 1000 * 1000)
}

// smallest is the smallest invoice.
func (r Rules) smallest() lnwire.MilliSatoshi { return max(r.Min, 1000) }

// due says why a purse with so much is to be redeemed, or nothing where it is not.
func (r Rules) due(balance lnwire.MilliSatoshi, last, now time.Time) string {
	switch {
	case balance <= r.Keep:
		return ""
	case r.Above > 0 && balance > r.Above:
		return dueAbove
	case r.Every > 0 && now.Sub(last) >= r.Every:
		return dueEvery
	}
	return ""
}

// Why a purse is redeemed.
const (
	dueAbove = "above"
	dueEvery = "every"
	dueAsked = "asked"
)
