// Package meter charges for an answer at the moment it begins: not before, so that a request
// that fails costs nothing, and not after, so that nobody gets one for nothing.
package meter

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
)

// The headers that tell what is left of a payment.
const (
	HeaderUses  = "X-L402-Remaining-Uses"
	HeaderBytes = "X-L402-Remaining-Bytes"
)

var (
	// ErrNotCharged says that the answer was withheld because the use could not be spent.
	ErrNotCharged = errors.New("the use could not be spent, so the answer is withheld")
	// ErrTooFewBytes says that the answer is longer than what is left of the payment.
	ErrTooFewBytes = errors.New("the answer has more bytes than are left of the payment")
	// ErrGone says that the client went away before the answer began. It may have closed only its
	// half of the connection and go on to read, so what is not charged is withheld.
	ErrGone = errors.New("the client went away before the answer began")
	// ErrBytesUsedUp ends an answer whose length was not known before.
	ErrBytesUsedUp = errors.New("the payment's bytes are used up")
)

// Writer passes an answer on and spends a reservation when it begins with a status below 500. It
// belongs to one request and is used as http.ResponseWriter is.
type Writer struct {
	*caddyhttp.ResponseWriterWrapper
	r     *http.Request
	held  *ledger.Reservation
	limit ledger.Amount
	// always charges for answers of 500 and above too, for those that nobody waits for any more
	// and for those that end in a panic.
	always bool

	begun   bool
	spent   bool
	cut     bool
	refusal error // why the answer is withheld
}

// NewWriter wraps the writer of a request's answer. The limit tells which numbers matter.
func NewWriter(w http.ResponseWriter, r *http.Request, held *ledger.Reservation, limit ledger.Amount, always bool) *Writer {
	return &Writer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, r: r,
		held: held, limit: limit, always: always}
}

// Refusal tells why the answer was withheld, after the upstream returned; nil if it was not.
// Nothing was written then, and nothing was spent.
func (w *Writer) Refusal() error { return w.refusal }

// Spent tells whether the reservation was spent.
func (w *Writer) Spent() bool { return w.spent }

// WriteHeader charges and begins the answer.
func (w *Writer) WriteHeader(status int) {
	if w.begun {
		w.pass(func() { w.ResponseWriter.WriteHeader(status) })
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status) // an interim answer; the real one follows
		return
	}
	w.begin(status)
	w.pass(func() { w.ResponseWriter.WriteHeader(status) })
}

// begin decides once whether the request is charged.
func (w *Writer) begin(status int) {
	w.begun = true
	switch {
	case status >= 500 && !w.always:
		w.held.Release()
		return
	case w.r.Context().Err() != nil && !w.always:
		w.held.Release()
		w.refusal = ErrGone
		return
	case w.tooLong(status):
		w.held.Release()
		w.refusal = ErrTooFewBytes
		return
	}
	w.charge()
	if w.spent {
		w.tell()
	}
}

// charge spends the reservation.
func (w *Writer) charge() {
	// The request's context may end at any moment now; the decision stands.
	if err := w.held.Commit(context.WithoutCancel(w.r.Context())); err != nil {
		w.refusal = errors.Join(ErrNotCharged, err)
		return
	}
	w.spent = true
}

// tooLong tells whether an answer of known length has more bytes than are left.
func (w *Writer) tooLong(status int) bool {
	if w.limit.Bytes == 0 || w.r.Method == http.MethodHead || status == http.StatusNotModified || status == http.StatusNoContent {
		return false
	}
	length, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	return err == nil && length > w.held.Remaining().Bytes
}

// tell writes what is left into the answer's headers.
func (w *Writer) tell() {
	left := w.held.Remaining()
	if w.limit.Uses > 0 {
		w.Header().Set(HeaderUses, strconv.FormatInt(left.Uses, 10))
	}
	if w.limit.Bytes > 0 {
		w.Header().Set(HeaderBytes, strconv.FormatInt(left.Bytes, 10))
	}
}

// pass does f unless the answer is withheld.
func (w *Writer) pass(f func()) {
	if w.refusal == nil {
		f()
	}
}

// Write begins the answer if that has not happened and counts its bytes.
func (w *Writer) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.refusal != nil {
		return 0, w.refusal
	}
	if err := w.count(int64(len(b))); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(b)
}

// count spends bytes before they are sent. An answer of unknown length that uses the last ones up
// ends there, and the connection with it, so that the client knows that it is not whole.
func (w *Writer) count(n int64) error {
	if w.limit.Bytes == 0 || !w.spent || w.r.Method == http.MethodHead {
		return nil
	}
	if err := w.held.SpendBytes(w.r.Context(), n); err != nil {
		w.cut = true
		return errors.Join(ErrBytesUsedUp, err)
	}
	return nil
}

// Cut tells whether an answer ended before its end because the payment's bytes are used up. The
// caller then breaks the connection.
func (w *Writer) Cut() bool { return w.cut }

// ReadFrom copies an answer. Where bytes are counted they go through Write, else the faster way
// of the writer below stays open.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.refusal != nil {
		return 0, w.refusal
	}
	if w.limit.Bytes == 0 {
		return w.ResponseWriterWrapper.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w}, src)
}

// FlushError begins the answer, as flushing does, and flushes it.
func (w *Writer) FlushError() error {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.refusal != nil {
		return w.refusal
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for callers that know only http.Flusher.
func (w *Writer) Flush() { _ = w.FlushError() }

// Hijack charges, if the answer has not begun, and hands the connection over. Where bytes are
// counted, those that are sent over it count too.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.begun {
		w.begin(http.StatusSwitchingProtocols)
	}
	if w.refusal != nil {
		return nil, nil, w.refusal
	}
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil || w.limit.Bytes == 0 || !w.spent {
		return conn, buffered, err
	}
	return countBytes(conn, buffered, w.held)
}

// Finish ends the charge after the upstream returned with an error or without. An answer that was
// never begun begins now: with the error's status, which error routes write, or with 200.
func (w *Writer) Finish(err error) {
	if w.begun {
		return
	}
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		if handled := (caddyhttp.HandlerError{}); errors.As(err, &handled) && handled.StatusCode > 0 {
			status = handled.StatusCode
		}
	}
	w.begin(status)
}

// GiveBack gives the reservation back for an answer that was withheld before it came to this writer,
// whatever is charged otherwise.
func (w *Writer) GiveBack() {
	if !w.begun {
		w.begun = true
		w.held.Release()
	}
}

// Abandon gives the reservation back if nothing was spent; for a handler that panics.
func (w *Writer) Abandon() {
	if w.begun {
		return
	}
	w.begun = true
	if w.always {
		w.charge()
		return
	}
	w.held.Release()
}

// Guards.
var (
	_ http.ResponseWriter = (*Writer)(nil)
	_ http.Flusher        = (*Writer)(nil)
	_ http.Hijacker       = (*Writer)(nil)
	_ io.ReaderFrom       = (*Writer)(nil)
)
