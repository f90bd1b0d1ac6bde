package restpeer

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// maxAmount is all bitcoin there is.
	maxAmount = lnwire.MilliSatoshi(21_000_000 * 100_000_000 * 1000)
	maxExpiry = 365 * 24 * time.Hour
)

// CheckRequest refuses what no peer can make an invoice of. Errors wrap ErrAmount where the amount
// is at fault.
func CheckRequest(req wallets.InvoiceRequest) error {
	switch {
	case req.Amount == 0:
		return fmt.Errorf("%w: it must be more than 0 msat", wallets.ErrAmount)
	case req.Amount > maxAmount:
		return fmt.Errorf("%w: %d msat is more than all bitcoin", wallets.ErrAmount, uint64(req.Amount))
	case req.Expiry < time.Second || req.Expiry > maxExpiry:
		return fmt.Errorf("expiry %s is not between 1s and %s", req.Expiry, maxExpiry)
	case len(req.Memo) > wallets.MaxMemo:
		return fmt.Errorf("memo has %d bytes: at most %d are possible", len(req.Memo), wallets.MaxMemo)
	case !utf8.ValidString(req.Memo):
		return errors.New("memo is not UTF-8")
	}
	return nil
}

// WholeSats gives the amount in satoshi. It wraps ErrAmount where that would round.
func WholeSats(amount lnwire.MilliSatoshi, peer string) (uint64, error) {
	if amount%1000 != 0 {
		return 0, fmt.Errorf("%w: %d msat is no whole number of satoshis, which is all that %s can do",
			wallets.ErrAmount, uint64(amount), peer)
	}
	return uint64(amount / 1000), nil
}

// Msat gives an amount in millisatoshi of a peer's number of satoshis; a number that cannot be an
// amount is zero.
func Msat(sats int64) lnwire.MilliSatoshi {
	if sats <= 0 || sats > int64(maxAmount/1000) {
		return 0
	}
	return lnwire.MilliSatoshi(sats) * 1000
}

// Proof reads a preimage. It gives nil unless it is that of the hash.
func Proof(text string, hash lntypes.Hash) *lntypes.Preimage {
	p, err := lntypes.MakePreimageFromStr(text)
	if err != nil || !p.Matches(hash) {
		return nil
	}
	return &p
}

// UnixMilli reads a peer's time in milliseconds; one that cannot be is the zero time.
func UnixMilli(ms int64) time.Time {
	// Beyond 2^50 ms, 35,000 years, sums of times get near their limits.
	if ms <= 0 || ms > 1<<50 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Payable checks an invoice before the peer is told to pay it. Errors wrap ErrBadInvoice.
func Payable(text string, net wallets.Network, now time.Time) (*wallets.Decoded, error) {
	d, err := wallets.DecodeInvoice(text)
	if err != nil {
		return nil, err
	}
	switch {
	case d.Bolt12:
		return nil, fmt.Errorf("%w: it is BOLT 12, and this wallet pays BOLT 11 only", wallets.ErrBadInvoice)
	case d.Network != net:
		return nil, fmt.Errorf("%w: it is for %s and the wallet for %s", wallets.ErrBadInvoice, d.Network, net)
	case d.Amount == 0:
		return nil, fmt.Errorf("%w: it names no amount", wallets.ErrBadInvoice)
	case !now.Before(d.ExpiresAt):
		return nil, fmt.Errorf("%w: it expired at %s", wallets.ErrBadInvoice, d.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return d, nil
}
