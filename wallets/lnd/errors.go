package lnd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// classify turns an error of gRPC into one that wraps a sentinel of package wallets, or the
// context's error where that is the cause. LND answers most refusals with the code Unknown, so
// its words decide.
func (c *Client) classify(ctx context.Context, err error) error {
	if ended := ended(ctx, err); ended != nil {
		return ended
	}
	s, ok := status.FromError(err)
	if !ok {
		// Not from the peer: the connection itself says what is wrong on this side.
		if errors.Is(err, net.ErrClosed) || isSentinel(err) {
			return err
		}
		return fmt.Errorf("%w: %s", wallets.ErrUnavailable, clean(err.Error()))
	}
	return fmt.Errorf("%w: %s", sentinel(s), clean(s.Message()))
}

// ended gives the context's error if that is why a call failed. The peer knows the deadline too,
// and its word of it may arrive a moment before the context itself ends.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	deadline, ok := ctx.Deadline()
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded:
		if ok && time.Until(deadline) < 100*time.Millisecond {
			return context.DeadlineExceeded
		}
	}
	return nil
}

func isSentinel(err error) bool {
	for _, s := range []error{wallets.ErrUnavailable, wallets.ErrUnauthorized, wallets.ErrBadAnswer, wallets.ErrRateLimited} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// sentinel picks the error of package wallets that a status means.
func sentinel(s *status.Status) error {
	text := strings.ToLower(s.Message())
	switch s.Code() {
	case codes.NotFound:
		return wallets.ErrNotFound
	case codes.Unauthenticated, codes.PermissionDenied:
		return wallets.ErrUnauthorized
	case codes.ResourceExhausted:
		// The same code serves for the local bound on the size of answers.
		if strings.Contains(text, "larger than max") {
			return wallets.ErrBadAnswer
		}
		return wallets.ErrRateLimited
	case codes.Internal, codes.DataLoss:
		if strings.Contains(text, "unmarshal") || strings.Contains(text, "decompress") {
			return wallets.ErrBadAnswer
		}
		return wallets.ErrUnavailable
	case codes.Unknown:
		return sentinelByText(text)
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition, codes.AlreadyExists:
		return errRefused
	}
	// Unimplemented is here too: while LND starts or is locked, its services are missing.
	return wallets.ErrUnavailable
}

// errRefused says that LND understood the call and will not do it.
var errRefused = errors.New("LND refuses")

var byText = []struct {
	text string
	err  error
}{
	{"unable to locate invoice", wallets.ErrNotFound},
	{"there are no existing invoices", wallets.ErrNotFound},
	// LND says this while it starts, when it does not know its own macaroons yet.
	{"unable to determine macaroon permissions", wallets.ErrUnavailable},
	{"permission denied", wallets.ErrUnauthorized},
	{"macaroon", wallets.ErrUnauthorized},
	{"verification failed", wallets.ErrUnauthorized},
	{"caveat", wallets.ErrUnauthorized},
	{"unknown permissions required", wallets.ErrUnauthorized},
	{"invalid id", wallets.ErrUnauthorized},
	{"waiting to start", wallets.ErrUnavailable},
	{"wallet locked", wallets.ErrUnavailable},
	{"wallet not created", wallets.ErrUnavailable},
	{"starting up", wallets.ErrUnavailable},
	{"shutting down", wallets.ErrUnavailable},
}

func sentinelByText(text string) error {
	for _, b := range byText {
		if strings.Contains(text, b.text) {
			return b.err
		}
	}
	return errRefused
}

// unauthorized tells whether LND refused the macaroon.
func unauthorized(err error) bool {
	s, ok := status.FromError(err)
	return ok && s.Code() != codes.OK && sentinel(s) == wallets.ErrUnauthorized
}

const maxErrorText = 300

// longRun matches whatever could be a macaroon, a preimage or an invoice.
var longRun = regexp.MustCompile(`[A-Za-z0-9+/_=-]{32,}`)

// clean makes a text from the other side fit for an error: no secret that it echoes, no control
// characters, not too long.
func clean(text string) string {
	// The bound comes after the removal, or a cut secret would be too short to be seen.
	if len(text) > 64<<10 {
		text = text[:64<<10]
	}
	text = longRun.ReplaceAllString(text, "…")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	if strings.TrimSpace(text) == "" {
		return "no reason given"
	}
	return text
}
