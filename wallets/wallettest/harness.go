package wallettest

import (
	"fmt"
	"slices"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

var abilities = []Ability{
	Lookup, Preimage, Memo, Millisatoshi, Pay, Expire, Cancel, Subscribe, Resume, Order, Hold, Outgoing, Ping,
}

var faults = []Ability{
	Slow, Hang, Garbage, Huge, WrongAmount, WrongHash, WrongNetwork, DuplicateHash, Disconnect,
	Unauthorized, ServerError,
}

// complete fills in the defaults and refuses a harness that would test less than it seems to.
func (h Harness) complete() (Harness, error) {
	if h.Open == nil {
		return h, fmt.Errorf("wallettest: Harness.Open is nil")
	}
	if h.Network.Params() == nil {
		return h, fmt.Errorf("wallettest: Harness.Network %q is unknown", h.Network)
	}
	for a, reason := range h.Cannot {
		if !slices.Contains(abilities, a) && !slices.Contains(faults, a) {
			return h, fmt.Errorf("wallettest: Harness.Cannot names %q, which is no ability", a)
		}
		if len(reason) < 10 {
			return h, fmt.Errorf("wallettest: Harness.Cannot gives no reason for %q", a)
		}
	}
	setDefault(&h.MinAmount, lnwire.MilliSatoshi(1))
	if h.cannot(Millisatoshi) {
		h.MinAmount = max(h.MinAmount, 1000)
	}
	setDefault(&h.MaxAmount, lnwire.MilliSatoshi(100_000_000))
	setDefault(&h.Concurrency, 100)
	setDefault(&h.Prompt, 2*time.Second)
	setDefault(&h.Patience, 10*time.Second)
	return h, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (h Harness) cannot(a Ability) bool {
	_, ok := h.Cannot[a]
	return ok
}

// missing names the first hook that is neither there nor excused.
func (s *Subject) missing(h Harness) error {
	for _, hook := range []struct {
		name string
		nil  bool
		a    Ability
	}{
		{"Pay", s.Pay == nil, Pay},
		{"Expire", s.Expire == nil, Expire},
		{"Cancel", s.Cancel == nil, Cancel},
	} {
		if hook.nil && !h.cannot(hook.a) {
			return fmt.Errorf("Subject.%s is nil: give it, or the reason in Harness.Cannot[%q]", hook.name, hook.a)
		}
	}
	if s.Fault == nil {
		for _, f := range faults {
			if !h.cannot(f) {
				return fmt.Errorf("Subject.Fault is nil: give it, or the reason in Harness.Cannot[%q]", f)
			}
		}
	}
	for _, secret := range s.Secrets {
		if len(secret) < 6 {
			return fmt.Errorf("Subject.Secrets holds one of %d bytes, too short to be looked for", len(secret))
		}
	}
	return nil
}
