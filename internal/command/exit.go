package command

import (
	"errors"
	"fmt"

	"github.com/caddy-l402/caddy-l402/internal/client"
)

// The exit codes, as the help of get documents them.
const (
	exitError   = 1
	exitUsage   = 2
	exitDear    = 3
	exitPayment = 4
	exitRefused = 5
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
	case errors.Is(err, client.ErrPayment):
		return exitPayment
	case errors.Is(err, client.ErrRefused):
		return exitRefused
	case errors.As(err, &status):
		return exitHTTP
	}
	return exitError
}

// Interface guards
var (
	_ error = (*usage)(nil)
	_ error = httpStatus(0)
)
