package caddyl402

import (
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
)

// receiptWriter puts the Payment scheme's receipt on a successful answer, and on no other. Only the
// answers to credentials of that scheme have one.
type receiptWriter struct {
	*caddyhttp.ResponseWriterWrapper
	receipt string
	wrote   bool
}

// receiptOf wraps the writer of an answer that a credential of the Payment scheme paid for. Other
// writers it returns as they are.
func receiptOf(w http.ResponseWriter, r *http.Request, g *l402.Grant) http.ResponseWriter {
	if g.ChallengeID == "" {
		return w
	}
	paywall.Expose(w.Header(), r, payment.HeaderReceipt)
	return &receiptWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		// By the draft the payment is settled when its preimage is verified.
		receipt: payment.NewReceipt(g.PaymentHash, g.ChallengeID, time.Now()).Format(),
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *receiptWriter) WriteHeader(status int) {
	if !w.wrote && status >= 200 {
		w.wrote = true
		h := w.Header()
		h.Del(payment.HeaderReceipt) // of an upstream that knows nothing of this payment
		if status < 300 {
			h.Set(payment.HeaderReceipt, w.receipt)
			if !slices.Contains(h["Cache-Control"], "private") {
				h.Add("Cache-Control", "private")
			}
		}
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *receiptWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom implements io.ReaderFrom.
func (w *receiptWriter) ReadFrom(src io.Reader) (int64, error) {
	w.begin()
	return w.ResponseWriterWrapper.ReadFrom(src)
}

// FlushError implements what http.ResponseController looks for.
func (w *receiptWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *receiptWriter) Flush() { _ = w.FlushError() }

// begin writes the header that an answer has which names no status.
func (w *receiptWriter) begin() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

// Guards.
var (
	_ http.ResponseWriter = (*receiptWriter)(nil)
	_ http.Flusher        = (*receiptWriter)(nil)
	_ io.ReaderFrom       = (*receiptWriter)(nil)
)
