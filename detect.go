package caddyl402

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// detect serves the holder of a good token who shows no preimage, such as the payer with a
// custodial wallet: the wallet that made the invoice says whether it was paid.
func (h *Handler) detect(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to payee, g *l402.Grant, unproven []byte) error {
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
		invoice, err := offered(standing, g)
		if err != nil {
			return h.challenge(w, r, next, to, l402.ErrPreimageMissing)
		}
		metrics.refused(h.Service, codePaymentPending)
		return h.offer(w, r, unproven, invoice, errPending)
	default:
		return h.challenge(w, r, next, to, errInvoiceExpired)
	}
}

// offered is the invoice of a pending token, to be shown again to the client that has it.
func offered(standing cashier.Standing, g *l402.Grant) (*wallets.Invoice, error) {
	decoded, err := wallets.DecodeInvoice(standing.Invoice)
	if err != nil {
		return nil, err
	}
	return &wallets.Invoice{
		PaymentRequest: standing.Invoice, PaymentHash: g.PaymentHash,
		Amount: decoded.Amount, ExpiresAt: decoded.ExpiresAt,
	}, nil
}
