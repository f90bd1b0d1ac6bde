package caddyl402

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// detect serves the holder of a good token who shows no preimage, such as the payer with a
// custodial wallet: the wallet that made the invoice says whether it was paid.
func (h *Handler) detect(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to deal, g *l402.Grant, unproven []byte) error {
	if book := h.app.books.Ledger(); book != nil && book.Settled(g.PaymentHash) {
		g.Paid = true // it was found out before: no wallet needs to be asked, which one there is now
		return h.admit(w, r, next, to, g)
	}
	if err := to.open(); err != nil {
		return h.nobodyToPay(w, r, err)
	}
	standing, err := to.cashier.Standing(r.Context(), g.PaymentHash)
	if errors.Is(err, wallets.ErrLookupUnsupported) {
		return h.challenge(w, r, next, to, l402.ErrPreimageMissing)
	}
	if err != nil {
		if r.Context().Err() != nil {
			return caddyhttp.Error(499, r.Context().Err())
		}
		if c := h.logger.Check(zap.DebugLevel, "payment cannot be looked up"); c != nil {
			c.Write(zap.String("wallet", h.Wallet), zap.Error(err))
		}
		metrics.unavailable(h.Service)
		// Never free and never a new challenge: the client may have paid.
		return h.answer(w, r, unavailable(to.cashier.RetryAfter()))
	}
	switch standing.State {
	case wallets.StateSettled:
		g.Paid = true
		return h.admit(w, r, next, to, g)
	case wallets.StatePending, wallets.StateAccepted:
		invoice := h.pendingInvoice(to, standing, g)
		if invoice == nil {
			return h.challenge(w, r, next, to, l402.ErrPreimageMissing)
		}
		if other, err := h.another(r, g, invoice.Amount); err != nil || other {
			// The client has seen what it would pay, and asks for something else.
			return h.challenge(w, r, next, to, l402.ErrNoCredential)
		}
		h.requote(&to, g, invoice)
		if to.cashier.Blind() {
			// Nobody can say whether it was paid, but the preimage.
			metrics.refused(h.Service, l402.Code(l402.ErrPreimageMissing))
			return h.offer(w, r, to, unproven, invoice, l402.ErrPreimageMissing)
		}
		metrics.refused(h.Service, codePaymentPending)
		return h.offer(w, r, to, unproven, invoice, errPending)
	default:
		return h.challenge(w, r, next, to, errInvoiceExpired)
	}
}

// pendingInvoice is the invoice of a pending token, to be shown again to the client that has it. It
// is nil where nobody knows it. After a restart it comes from the wallet and is what the client
// pays, so it is checked as a new one is: another price than today's gets a new one too.
func (h *Handler) pendingInvoice(to deal, standing cashier.Standing, g *l402.Grant) *wallets.Invoice {
	if invoice := to.cashier.Pending(g.PaymentHash, time.Now()); invoice != nil {
		return invoice
	}
	invoice := &wallets.Invoice{PaymentRequest: standing.Invoice, PaymentHash: g.PaymentHash}
	want := wallets.InvoiceRequest{Amount: h.price}
	if g.Price > 0 {
		want.Amount = g.Price
	}
	if sale, known := sales.Get(g.PaymentHash); known {
		want.Amount = lnwire.MilliSatoshi(sale.AmountMsat)
	}
	if to.cashier.Check(want, invoice) != nil {
		return nil
	}
	return invoice
}
