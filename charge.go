package caddyl402

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/meter"
	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/l402"
)

// serveMetered lets a request go on that costs a part of what was paid for. The part is held
// before the upstream works and spent when its answer begins.
func (h *Handler) serveMetered(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to deal, g *l402.Grant) error {
	book := h.app.books.Ledger()
	if book == nil {
		return h.uncountable(w, r, ledger.ErrUnavailable)
	}
	limit := ledger.Amount{Uses: int64(min(g.Uses, 1<<60)), Bytes: int64(min(g.Bytes, 1<<60))}
	request := ledger.UseRequest{
		Hash: g.PaymentHash, Limit: limit, IdempotencyKey: idempotencyKey(r),
		ValidUntil: h.soldUntil(g),
	}
	if limit.Uses > 0 {
		request.Cost.Uses = 1
	}
	held, err := book.Reserve(r.Context(), request)
	switch {
	case errors.Is(err, ledger.ErrExhausted):
		refusal := l402.ErrUsedUp
		if limit.Uses == 0 {
			refusal = l402.ErrBytesUsedUp
		}
		return h.challenge(w, r, next, to, refusal)
	case err != nil:
		return h.uncountable(w, r, err)
	}
	before := w.Header().Clone()
	writer := meter.NewWriter(w, r, held, limit, h.Charge == chargeAlways)
	defer writer.Abandon() // where the upstream panics
	err = h.pass(writer, r, next, g, writer)
	if errors.Is(err, errOutgrown) {
		writer.GiveBack()
		metrics.givenBack(h.Service)
		if !held.Replay() {
			passageOf(r).giveBack(g.PaymentHash)
		}
		return err
	}
	writer.Finish(err)
	if writer.Spent() {
		metrics.spent(h.Service)
	} else {
		metrics.givenBack(h.Service)
		if !held.Replay() {
			passageOf(r).giveBack(g.PaymentHash)
		}
	}
	if writer.Cut() {
		// An end without the end of the answer: the client must not take a part for the whole.
		panic(http.ErrAbortHandler)
	}
	refusal := writer.Refusal()
	if refusal == nil {
		return err
	}
	// The upstream has set headers for an answer that nobody gets.
	clear(w.Header())
	for name, values := range before {
		w.Header()[name] = values
	}
	if errors.Is(refusal, meter.ErrTooFewBytes) {
		to.served = true
		return h.challenge(w, r, next, to, l402.ErrBytesUsedUp)
	}
	return h.uncountable(w, r, refusal)
}

// soldUntil is when the traces of a payment can be forgotten: when no token of it can still be
// valid, whatever a holder or a change of the configuration shortened.
func (h *Handler) soldUntil(g *l402.Grant) time.Time {
	until := g.TokenID.MintedAt().Add(time.Duration(h.Valid))
	if sold := time.Unix(g.SoldUntil, 0); sold.After(until) {
		return sold
	}
	return until
}

// uncountable answers while a use cannot be counted: never for free.
func (h *Handler) uncountable(w http.ResponseWriter, r *http.Request, err error) error {
	if r.Context().Err() != nil {
		return caddyhttp.Error(499, r.Context().Err())
	}
	problem := notCounted(time.Second)
	switch {
	case errors.Is(err, ledger.ErrInUse):
		problem = allInUse()
	case errors.Is(err, ledger.ErrRepeatedRequest):
		problem = repeated()
	default:
		metrics.unavailable(h.Service)
	}
	if c := h.logger.Check(zap.DebugLevel, "a use cannot be counted"); c != nil {
		c.Write(zap.String("service", h.Service), zap.Error(err))
	}
	return h.answer(w, r, problem)
}

// tellLife says in the answer's headers how long the token is valid.
func tellLife(w http.ResponseWriter, r *http.Request, g *l402.Grant) {
	if g.ValidUntil > 0 {
		w.Header().Set(headerValidUntil, strconv.FormatInt(g.ValidUntil, 10))
	}
	paywall.Expose(w.Header(), r, headerValidUntil, meter.HeaderUses, meter.HeaderBytes)
}

// headerValidUntil tells when a token ends, in Unix seconds.
const headerValidUntil = "X-L402-Valid-Until"

// What a failing upstream costs.
const (
	chargeSuccess = "success"
	chargeAlways  = "always"
)
