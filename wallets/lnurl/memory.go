package lnurl

import (
	"sync/atomic"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// pending is what is remembered of an invoice.
type pending struct {
	amount  lnwire.MilliSatoshi
	expires time.Time
	// pattern gives the verify address; where it is nil, verify is the address, or empty where
	// the invoice came without.
	pattern *pattern
	verify  string
	// stored says that nothing more has to be written to find the address again.
	stored atomic.Bool
}

func (p *pending) address(hash lntypes.Hash) string {
	if p.pattern != nil {
		return p.pattern.address(hash)
	}
	return p.verify
}

// remember keeps an invoice with its verify address in memory.
func (w *Wallet) remember(d *wallets.Decoded, verify string) {
	entry := &pending{amount: d.Amount, expires: d.ExpiresAt}
	w.mu.Lock()
	entry.pattern = w.known.learn(verify, d.PaymentHash)
	w.mu.Unlock()
	if entry.pattern == nil {
		entry.verify = verify
	}
	w.pending.Add(d.PaymentHash, entry)
}
