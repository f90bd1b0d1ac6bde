package lnurl

import (
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"
)

// pattern is a verify address without the payment hash that stands in it.
type pattern struct {
	before, after string
}

// cutPattern takes the hash out of an address; ok tells whether it stands there, just once and in
// lower-case hex.
func cutPattern(address string, hash lntypes.Hash) (p pattern, ok bool) {
	text := hash.String()
	before, after, found := strings.Cut(address, text)
	if !found || strings.Contains(after, text) {
		return pattern{}, false
	}
	return pattern{strings.Clone(before), strings.Clone(after)}, true
}

// address is the pattern with a hash in it.
func (p *pattern) address(hash lntypes.Hash) string {
	return p.before + hash.String() + p.after
}

// knowledge is what the invoices so far taught about the payee's server.
type knowledge struct {
	// made tells whether there was an invoice, and verifies whether one had an address.
	made, verifies bool
	// warned tells whether a useless address was logged.
	warned bool
	// pattern is that of the latest address, first seen at the invoice of hash. confirmed
	// says that another invoice showed it too, or that it was stored: then nothing in the
	// address but the hash belongs to one invoice.
	pattern   *pattern
	hash      lntypes.Hash
	confirmed bool
	// stored is the pattern that is in storage, as far as known.
	stored pattern
}

// learn takes in an address and gives the pattern that it follows, or nil.
func (k *knowledge) learn(address string, hash lntypes.Hash) *pattern {
	k.made = true
	if address == "" {
		return nil
	}
	k.verifies = true
	p, ok := cutPattern(address, hash)
	if !ok {
		return nil
	}
	switch {
	case k.pattern == nil || *k.pattern != p:
		k.pattern, k.hash, k.confirmed = &p, hash, false
	case k.hash != hash:
		k.confirmed = true
	}
	return k.pattern
}
