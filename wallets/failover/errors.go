package failover

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// fault is why a member could not do what was asked.
type fault struct {
	name string
	err  error
}

// shared are the errors that the whole has if all members have them.
var shared = []error{
	wallets.ErrAmount, wallets.ErrLookupUnsupported, wallets.ErrUnauthorized, wallets.ErrRateLimited, wallets.ErrBadAnswer,
}

// sum makes one error of the faults of all members. It wraps one sentinel only: a mixture would be
// taken for whichever is looked for first.
func sum(step string, faults []fault) error {
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = f.name + ": " + f.err.Error()
	}
	return fmt.Errorf("%s: %w: %s", step, kind(faults), strings.Join(texts, "; "))
}

func kind(faults []fault) error {
	all := func(sentinel error) bool {
		for _, f := range faults {
			if !errors.Is(f.err, sentinel) {
				return false
			}
		}
		return true
	}
	for _, f := range faults {
		// Somebody may be cheating, which must not pass for a wallet that is down.
		if errors.Is(f.err, wallets.ErrBadInvoice) {
			return wallets.ErrBadInvoice
		}
	}
	for _, sentinel := range shared {
		if all(sentinel) {
			return sentinel
		}
	}
	return wallets.ErrUnavailable
}
