package httpjson

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Answer is what the peer said.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// Header is the answer's headers.
	Header http.Header
	// Body is whole.
	Body []byte

	secrets []string
}

// Decode reads the body as one JSON value. Errors wrap ErrBadAnswer.
func (a *Answer) Decode(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("%w: reading JSON: %s", wallets.ErrBadAnswer, Clean(err.Error(), a.secrets...))
	}
	return nil
}

// Refusal is the error for an answer whose status is not the one that was wanted. reason is what
// the peer says; where it is empty the body is quoted. Whatever it is, it is cleaned. The error
// wraps the sentinel that the status means: 401 and 403 ErrUnauthorized, 429 ErrRateLimited, 408
// and 5xx ErrUnavailable, and any other ErrBadAnswer. 404 is among those, since only the adapter
// knows whether a resource or the whole call is missing.
func (a *Answer) Refusal(reason string) error {
	if reason == "" {
		reason = string(a.Body)
	}
	return fmt.Errorf("%w: status %d: %s", StatusError(a.Status), a.Status, Clean(reason, a.secrets...))
}

// StatusError gives the sentinel that an HTTP status other than the wanted one means, as Refusal
// says.
func StatusError(status int) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return wallets.ErrUnauthorized
	case status == http.StatusTooManyRequests:
		return wallets.ErrRateLimited
	case status == http.StatusRequestTimeout, status >= 500:
		return wallets.ErrUnavailable
	}
	return wallets.ErrBadAnswer
}

// body is an answer's body that tells when it is done with.
type body struct {
	io.ReadCloser
	release func()
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}

// ErrNotSent says that the peer has seen nothing of the call, since no connection came about. A
// payment, for one, has then surely not begun.
var ErrNotSent = errors.New("nothing was sent")

// notSent marks an error as ErrNotSent without a word of its own.
type notSent struct{ err error }

func (e *notSent) Error() string        { return e.err.Error() }
func (e *notSent) Unwrap() error        { return e.err }
func (e *notSent) Is(target error) bool { return target == ErrNotSent }

// errTooLarge says that an answer has no end within the bound.
var errTooLarge = errors.New("answer too large")

func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	case err != nil:
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	return b, nil
}

// Classify turns an error of a call, or of reading a body that Open gave, into one that wraps a
// sentinel of package wallets or the context's error and holds neither address nor secret.
func (c *Client) Classify(ctx context.Context, err error) error { return c.classify(ctx, err) }

func (c *Client) classify(ctx context.Context, err error) error {
	classified := c.classified(ctx, err)
	if errors.Is(err, ErrNotSent) && !errors.Is(classified, ErrNotSent) {
		return &notSent{classified}
	}
	return classified
}

func (c *Client) classified(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case c.isClosed():
		return fmt.Errorf("%w: %w", wallets.ErrUnavailable, net.ErrClosed)
	case isSentinel(err):
		return err
	}
	// Its text would repeat the address, and LNURL's or LNbits' addresses may be secrets.
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	text := Clean(err.Error(), c.secrets()...)
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errRedirect):
		return fmt.Errorf("%w: %s", wallets.ErrBadAnswer, text)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Errorf("%w: %s: set ca to the node's certificate or to that of its authority",
			wallets.ErrUnavailable, text)
	}
	return fmt.Errorf("%w: %s", wallets.ErrUnavailable, text)
}

func isSentinel(err error) bool {
	for _, s := range []error{
		wallets.ErrUnavailable, wallets.ErrUnauthorized, wallets.ErrBadAnswer, wallets.ErrRateLimited,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}
