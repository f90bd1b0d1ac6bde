package command

import (
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// The exit codes, as the help of get documents them.
const (
	exitError   = 1
	exitUsage   = 2
	exitDear    = 3
	exitPayment = 4
	exitRefused = 5
	exitBudget  = 6
	exitHTTP    = 22
)

// usage is a mistake in how a command was called.
type usage struct{ text string }

// Error implements error.
func (u *usage) Error() string { return u.text }

func usageError(format string, args ...any) error {
	return &usage{fmt.Sprintf(format, args...)}
}

// httpStatus is an answer of 400 or more where --fail was given.
type httpStatus int

// Error implements error.
func (s httpStatus) Error() string { return fmt.Sprintf("the answer has status %d", int(s)) }

// codeOf gives the exit code for an error.
func codeOf(err error) int {
	var wrongUse *usage
	var status httpStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrongUse), errors.Is(err, client.ErrRequest):
		return exitUsage
	case errors.Is(err, client.ErrTooDear):
		return exitDear
	case errors.Is(err, budget.ErrOverBudget), errors.Is(err, budget.ErrBook):
		return exitBudget
	case errors.Is(err, client.ErrPayment):
		return exitPayment
	case errors.Is(err, client.ErrRefused):
		return exitRefused
	case errors.As(err, &status):
		return exitHTTP
	}
	return exitError
}

// wordOf names the kind of an error for programs, finer than the exit code.
func wordOf(err error) string {
	var wrongUse *usage
	var status httpStatus
	if errors.As(err, &wrongUse) {
		return "usage"
	}
	if errors.As(err, &status) {
		return "http_status"
	}
	for _, kind := range []struct {
		err  error
		word string
	}{
		{client.ErrRequest, "usage"},
		{client.ErrTooDear, "price_above_max"},
		{budget.ErrOverBudget, "over_budget"},
		{budget.ErrBook, "budget_unavailable"},
		{wallets.ErrPaymentFailed, "payment_failed"},
		{wallets.ErrBadInvoice, "payment_failed"},
		{client.ErrPayment, "payment_unknown"},
		{client.ErrRefused, "refused_after_payment"},
		{client.ErrChallenge, "bad_challenge"},
		{client.ErrRedirect, "bad_redirect"},
		{client.ErrTimeout, "timeout"},
	} {
		if errors.Is(err, kind.err) {
			return kind.word
		}
	}
	return "other"
}

// Interface guards
var (
	_ error = (*usage)(nil)
	_ error = httpStatus(0)
)
