package budget

import (
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

var (
	// ErrOverBudget says that a payment would go beyond a limit. Nothing was paid. It is
	// wrapped by a *Refusal.
	ErrOverBudget = errors.New("over budget")
	// ErrBook says that the account cannot be read or written. Nothing was paid: what is not
	// written down is not spent.
	ErrBook = errors.New("book of spending")
	// ErrLimit says that the text of a limit cannot be understood.
	ErrLimit = errors.New("bad budget")
)

// Refusal tells why a payment is over budget. It wraps ErrOverBudget.
type Refusal struct {
	// Limit is the one that does not allow it, Host the host it is for, or empty.
	Limit Limit
	Host  string
	// Spent is what counts against the limit already, Asked what the payment may cost with its
	// fee, both in millisatoshi.
	Spent, Asked lnwire.MilliSatoshi
	// FreeAt is when the payment would fit, zero where it never will.
	FreeAt time.Time
}

// Error names the budget, what is spent of it, what is asked and the cure.
func (r *Refusal) Error() string {
	where := "in all"
	if r.Host != "" {
		where = "for " + r.Host
	}
	text := fmt.Sprintf("%v: this costs up to %s with its fee, and of the budget of %s %s %s are spent",
		ErrOverBudget, pricing.Format(r.Asked), r.Limit, where, pricing.Format(r.Spent))
	if r.FreeAt.IsZero() {
		return text + "; it is more than the whole budget: raise that"
	}
	return text + "; wait until " + r.FreeAt.UTC().Format(time.RFC3339) + " or raise the budget"
}

// Unwrap gives ErrOverBudget.
func (r *Refusal) Unwrap() error { return ErrOverBudget }

// Interface guards
var _ error = (*Refusal)(nil)
