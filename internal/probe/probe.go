// Package probe finds how long an answer would be, without getting it: it asks the handlers that
// would give it with HEAD, in this process.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Timeout bounds a probe where handlers keep to the deadline of a request's context.
const Timeout = 5 * time.Second

// ErrNothing says that there is nothing at the address: 404 or 410.
var ErrNothing = errors.New("there is nothing at this address")

// removed are the headers that would ask for a part of the answer, for another form of it or for
// none, so that its length would not be that of the whole.
var removed = []string{
	"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
	"Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Trailer", "Expect",
	"Connection", "Upgrade", "Te", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
}

// Size is the length of the answer that next would give to a GET of the request's address, or -1
// where it does not tell. It sends HEAD with the request's headers, without a body, without what
// asks for anything but the whole, and after clean took out what next must not see. What comes
// back is thrown away.
func Size(r *http.Request, next caddyhttp.Handler, clean func(http.Header)) (size int64, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), Timeout)
	defer cancel()
	head := r.Clone(ctx)
	head.Method, head.Body, head.ContentLength, head.TransferEncoding, head.Trailer = http.MethodHead, http.NoBody, 0, nil, nil
	for _, name := range removed {
		head.Header.Del(name)
	}
	head.Header.Set("Accept-Encoding", "identity")
	clean(head.Header)
	defer func() {
		// Handlers panic with http.ErrAbortHandler to break a connection off.
		if fault := recover(); fault != nil {
			size, err = -1, fmt.Errorf("asking for the size: the handler panicked: %v", fault)
		}
	}()
	w := &discard{header: make(http.Header)}
	err = next.ServeHTTP(w, head)
	status := w.status
	if failed := (caddyhttp.HandlerError{}); err != nil && errors.As(err, &failed) && status == 0 {
		status = failed.StatusCode
	}
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		return -1, ErrNothing
	case err != nil && !errors.Is(err, http.ErrBodyNotAllowed):
		return -1, fmt.Errorf("asking for the size: %w", err)
	case status >= 400:
		return -1, fmt.Errorf("asking for the size: the answer is %d", status)
	}
	if length, err := strconv.ParseInt(w.length, 10, 64); err == nil && length >= 0 {
		return length, nil
	}
	// Handlers of this process that write a body to whatever is asked leave it to the server to
	// take it away.
	if w.written > 0 && w.written <= maxWritten {
		return w.written, nil
	}
	return -1, nil // it does not tell
}

// maxWritten bounds how much a handler may write that does not care for HEAD.
const maxWritten = 1 << 20

// discard keeps an answer's status and length and nothing else.
type discard struct {
	header  http.Header
	status  int
	length  string
	written int64
}

// Header implements http.ResponseWriter.
func (d *discard) Header() http.Header { return d.header }

// WriteHeader implements http.ResponseWriter.
func (d *discard) WriteHeader(status int) {
	if d.status == 0 && status >= 200 {
		d.status, d.length = status, d.header.Get("Content-Length")
	}
}

// Write implements http.ResponseWriter. It counts what is thrown away, and refuses what is long, so
// that nobody goes on to send content.
func (d *discard) Write(b []byte) (int, error) {
	d.WriteHeader(http.StatusOK)
	if d.written += int64(len(b)); d.written > maxWritten || d.length != "" {
		return 0, http.ErrBodyNotAllowed
	}
	return len(b), nil
}

// Guard.
var _ http.ResponseWriter = (*discard)(nil)
