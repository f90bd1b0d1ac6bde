package caddyl402

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/cashier"
	"github.com/caddy-l402/caddy-l402/internal/limit"
	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/internal/rates"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/l402/payment"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// challenge answers a request that did not prove a payment: with a fresh invoice and token, or
// with the reason why there is none.
func (h *Handler) challenge(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to deal, refusal error) error {
	if err := refusedBefore(r); err != nil {
		return err // its headers are set
	}
	if p := passageOf(r); p != nil && p.probing {
		return caddyhttp.Error(http.StatusPaymentRequired, refusal) // nobody reads this
	}
	metrics.refused(h.Service, l402.Code(refusal))
	if wait := h.limiter.Allow(clientAddr(r), h.rate(), time.Now()); wait > 0 {
		metrics.limited(h.Service)
		return h.answer(w, r, tooMany(wait, refusal))
	}
	if errors.Is(refusal, payment.ErrMethodUnsupported) {
		return h.answer(w, r, methodUnsupported(refusal))
	}
	if err := to.open(); err != nil {
		return h.nobodyToPay(w, r, err)
	}
	if err := h.quote(r, next, &to); err != nil {
		return h.nobodyToPay(w, r, err)
	}
	bound, ok := h.bindings(r)
	if !ok {
		return h.answer(w, r, unsellable())
	}
	invoice, err := to.cashier.Take(r.Context(), h.invoiceRequest(r, to), h.prefetch(to))
	if err != nil {
		return h.walletFailed(w, r, next, to, err)
	}
	macaroon, err := h.mint(r, bound, invoice, to)
	if err != nil {
		// No matter of the wallet, so never free.
		return h.walletFailed(w, r, nil, to, err)
	}
	metrics.challenged(h.Service, r.Method)
	return h.offer(w, r, to, macaroon, invoice, refusal)
}

// offer writes the challenge lines and the body of a 402.
func (h *Handler) offer(w http.ResponseWriter, r *http.Request, to deal, macaroon []byte, inv *wallets.Invoice, refusal error) error {
	challenge := l402.Challenge{Macaroon: macaroon, Invoice: inv.PaymentRequest}
	id := h.writeChallenge(w.Header(), r, challenge, inv)
	manifest, guide := h.announce(w, r)
	ecash := h.askForEcash(w, r, to.price)
	token := encodeToken(macaroon)
	return h.answer(w, r, paymentRequired(refusal, &paywall.Offer{
		Service: h.Service, Tier: to.tier, Offers: h.alternatives(r),
		Price:          inv.Amount,
		Fiat:           to.fiat(),
		About:          h.about(to),
		Invoice:        inv.PaymentRequest,
		PaymentHash:    inv.PaymentHash.String(),
		Macaroon:       token,
		ChallengeID:    id,
		InvoiceExpires: inv.ExpiresAt,
		Terms:          h.termsOf(to).bought(),
		Uses:           to.uses,
		Bytes:          to.bytes,
		NotMoney:       h.notMoney,
		Subject:        h.subject(r),
		Ecash:          ecash,
		Manifest:       manifest,
		Guide:          guide,
		Address:        h.pageAddress(r),
		Checkout:       h.offerCheckout(w, r, to, token, refusal),
	}))
}

// subject says to people what is sold.
func (h *Handler) subject(r *http.Request) string {
	switch {
	case h.Scope == scopePath:
		return r.Host + originalRequest(r).URL.Path
	case h.Service == defaultService:
		return r.Host
	}
	return h.Service + " at " + r.Host
}

// answer writes a problem, or hands it to the site's error routes where it has any.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, p *paywall.Problem) error {
	passageOf(r).waive()
	p.Look = h.look
	setProblemPlaceholders(r, p)
	if err := handOver(r, p); err != nil {
		paywall.Headers(w.Header(), r, p)
		return err
	}
	paywall.Write(w, r, p)
	return nil
}

// walletFailed answers while no invoice can be made. Without next it never lets the request pass.
func (h *Handler) walletFailed(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to deal, err error) error {
	if r.Context().Err() != nil {
		return caddyhttp.Error(499, r.Context().Err()) // the client went away; nobody reads this
	}
	metrics.unavailable(h.Service)
	if c := h.logger.Check(zap.DebugLevel, "no invoice for an unpaid request"); c != nil {
		c.Write(zap.String("wallet", h.Wallet), zap.Error(err))
	}
	// A wallet that lies, or that clients keep busy, opens nothing.
	open := !errors.Is(err, wallets.ErrBadInvoice) && !errors.Is(err, cashier.ErrBusy)
	if next != nil && h.OnWalletError == "pass" && open && !to.served {
		return h.give(w, r, next)
	}
	return h.answer(w, r, unavailable(to.cashier.RetryAfter()))
}

// nobodyToPay answers a request whose payee or price cannot be found. It is never free, nobody else
// is paid, and no price is guessed.
func (h *Handler) nobodyToPay(w http.ResponseWriter, r *http.Request, err error) error {
	if c := h.logger.Check(zap.DebugLevel, "nothing to pay"); c != nil {
		c.Write(zap.String("wallet", h.Wallet), zap.Error(err))
	}
	problem := h.noDeal(err)
	if problem.Status == http.StatusServiceUnavailable {
		metrics.unavailable(h.Service)
	}
	return h.answer(w, r, problem)
}

// noDeal is the problem of a request that has no deal.
func (h *Handler) noDeal(err error) *paywall.Problem {
	switch {
	case errors.Is(err, errPriceRefused):
		return priceRefused(h.tariff)
	case errors.Is(err, rates.ErrNoRate):
		return rateUnknown(h.app.exchange.market.RetryAfter())
	case errors.Is(err, errPriceUnknown):
		return priceUnknown()
	case errors.Is(err, errOfferUnknown):
		return offerUnknown(h.offerNames())
	case errors.Is(err, errNothingThere):
		return nothingThere()
	case errors.Is(err, errNoLength):
		return noLength()
	case errors.Is(err, errAmbiguous):
		return ambiguous()
	}
	return noPayee()
}

// maxBound is the longest host and path together that a token is bound to; it leaves room for
// all else that a token says.
const maxBound = 2048

// bindings are the host and the path that a token sold for this request is bound to. They are the
// client's words: it returns false for what no token can be bound to.
func (h *Handler) bindings(r *http.Request) (bound l402.Terms, ok bool) {
	if h.gate.want.RequireHost {
		if bound.Host = hostOf(r); bound.Host == "" {
			return bound, false
		}
	}
	if h.gate.want.RequirePath {
		bound.Path = pathOf(r)
	}
	return bound, len(bound.Host)+len(bound.Path) <= maxBound
}

// mintingLogged bounds how often a failing storage is reported.
var mintingLogged seldom

// mint makes the token that the invoice's preimage completes.
func (h *Handler) mint(r *http.Request, bound l402.Terms, inv *wallets.Invoice, to deal) ([]byte, error) {
	ctx, cancel := context.WithTimeout(r.Context(), keyTimeout)
	defer cancel()
	keyID, key, err := h.app.keys.Minting(ctx)
	if err != nil {
		if mintingLogged.due() {
			h.logger.Error("no token can be made", zap.Error(err))
		}
		return nil, err
	}
	tokenID, err := l402.NewTokenID(keyID, time.Now(), h.app.random)
	if err != nil {
		return nil, fmt.Errorf("making a token id: %w", err)
	}
	h.offered(inv, tokenID, to, h.likelyScheme(r))
	return l402.Mint(key, l402.Identifier{PaymentHash: inv.PaymentHash, TokenID: tokenID}, h.sold(bound, to).Caveats())
}

// sold is what a token says that is sold now.
func (h *Handler) sold(bound l402.Terms, to deal) l402.Terms {
	bound.Service, bound.Tier, bound.Capabilities = h.Service, to.tier, h.Capabilities
	bound.LowerTiers = to.tier - h.Tier
	bound.ValidUntil, bound.Request = time.Now().Add(to.valid), to.binding
	bound.Uses, bound.Bytes = to.uses, to.bytes
	if h.tariff != nil || h.source != nil || len(h.choices) > 0 {
		bound.Price = to.price // nothing else tells it later, when the request is another one
	}
	bound.RequestSize = to.size
	return bound
}

func (h *Handler) invoiceRequest(r *http.Request, to deal) wallets.InvoiceRequest {
	memo := h.Memo
	if memo == "" {
		memo = h.Service + " at " + hostOf(r)
	} else if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		memo = repl.ReplaceAll(memo, "")
	}
	return wallets.InvoiceRequest{Amount: to.price, Memo: trimMemo(memo), Expiry: time.Duration(h.InvoiceExpiry)}
}

// trimMemo makes valid UTF-8 of at most MaxMemo bytes without control characters: hosts and
// placeholders are the client's words.
func trimMemo(memo string) string {
	memo = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(memo, "\uFFFD"))
	if len(memo) > wallets.MaxMemo {
		memo = strings.ToValidUTF8(memo[:wallets.MaxMemo], "")
	}
	return memo
}

// rate is the handler's limit.
func (h *Handler) rate() limit.Rate {
	if h.Limit.Off {
		return limit.Rate{}
	}
	return limit.Rate{Events: h.Limit.Events, Window: time.Duration(h.Limit.Window)}
}

// clientAddr is the client's address as Caddy's trusted proxies give it; a header that anyone can
// send counts only where the operator trusts the proxy that sent it.
func clientAddr(r *http.Request) netip.Addr {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		// Caddy gives host:port where it could not split them, and a unix socket has none:
		// then all such clients share one place.
		if with, err := netip.ParseAddrPort(ip); err == nil {
			return with.Addr()
		}
	}
	return addr
}
