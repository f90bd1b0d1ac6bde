package caddyl402

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/internal/purses"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// cash takes ecash for what a request is about. The deal gets its quote. Where it returns no sale the
// request is answered, and the error is for Caddy.
func (h *Handler) cash(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to *deal, texts []string) (*cashSale, error) {
	if err := refusedBefore(r); err != nil {
		return nil, err // its headers are set
	}
	// Counted before anything is done, and forgiven when it turns out to be a payment.
	if wait := h.limiter.Allow(clientAddr(r), h.rate(), time.Now()); wait > 0 {
		metrics.limited(h.Service)
		return nil, h.answer(w, r, tooMuchEcash(wait))
	}
	if h.app.books.Ledger() == nil {
		return nil, h.uncountable(w, r, ledger.ErrUnavailable)
	}
	if err := h.quote(r, next, to); err != nil {
		return nil, h.nobodyToPay(w, r, err)
	}
	bound, ok := h.bindings(r)
	if !ok {
		return nil, h.answer(w, r, unsellable())
	}
	into, err := h.app.redemption.purseName(r, to.tenant)
	if err != nil {
		return nil, h.nobodyToPay(w, r, err)
	}
	s := &cashSale{handler: h, bound: bound, deal: *to, purse: into}
	err = h.take(r.Context(), s, texts)
	if err == nil {
		err = h.hand(r.Context(), s)
	}
	if err != nil {
		return nil, h.refuseEcash(w, r, *to, err)
	}
	h.limiter.Forgive(clientAddr(r), h.rate(), time.Now())
	return s, nil
}

// cashIn serves a request that pays with ecash. It is swapped for ours first; what it bought is an
// L402 token like any other, which the answer carries and this request is then served with. So a use
// is charged, and given back, as for everybody else, and the payer need not pay for each request.
func (h *Handler) cashIn(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, to deal, texts []string) error {
	s, err := h.cash(w, r, next, &to, texts)
	if s == nil {
		return err
	}
	h.giveChange(w, s)
	w.Header().Set(headerToken, s.line)
	exposeCashu(w, r)
	h.bought(r, s.line)
	var grant l402.Grant
	gate := h.gate
	gate.forms |= l402.FormL402
	if _, refusal := gate.checkIn(r, http.Header{"Authorization": {s.line}}, to.binding, &grant); refusal != nil {
		return h.challenge(w, r, next, to, refusal) // such as one that has expired since it was bought
	}
	return h.admit(w, r, next, to, &grant)
}

// take receives the ecash, within the till's time.
func (h *Handler) take(ctx context.Context, s *cashSale, texts []string) error {
	amount, whole := h.till.amount(s.deal.price)
	switch {
	case len(texts) != 1:
		return errSeveralTokens
	case !whole:
		return errNotForEcash
	}
	t, err := token.Parse(texts[0])
	if err != nil {
		return err
	}
	at := slices.IndexFunc(h.till.mints, func(m string) bool { return token.SameMint(m, t.Mint) })
	if at < 0 {
		return purse.ErrForeignMint
	}
	note, err := s.note()
	if err != nil {
		return err
	}
	address := h.till.mints[at]
	select {
	case h.till.cashing[address] <- struct{}{}:
		defer func() { <-h.till.cashing[address] }()
	default:
		return errTillBusy
	}
	ctx, cancel := context.WithTimeout(ctx, h.till.timeout*2/3)
	defer cancel()
	p, err := h.till.house.Receiver(ctx, purses.Key{Mint: address, Unit: h.till.unit, Name: s.purse}, t)
	if err != nil {
		return err
	}
	terms := purse.Terms{Price: amount, MaxFee: h.till.maxFee, Note: note}
	s.receipt, err = h.till.receive(ctx, p, t, terms)
	if errors.Is(err, purse.ErrSpent) || errors.Is(err, mint.ErrSpent) || errors.Is(err, mint.ErrPending) {
		// Perhaps by another instance, whose answer was lost.
		known, other := h.till.house.ReceivedElsewhere(ctx, purses.Key{Mint: h.till.mints[at], Unit: h.till.unit, Name: s.purse}, t)
		if !errors.Is(other, purse.ErrNotFound) {
			s.receipt, err = known, other
		}
	}
	if err != nil {
		return err
	}
	return s.recall(s.receipt.Note)
}

// receive takes a token without asking the mint where that is allowed and possible, and else by a
// swap. What is more than the price is never taken so, since there could be no change.
func (t *till) receive(ctx context.Context, p *purse.Purse, tok *token.Token, terms purse.Terms) (*purse.Receipt, error) {
	if t.offline && t.house.MayTakeOffline() {
		if sum, err := tok.Amount(); err == nil && sum == terms.Price {
			receipt, err := p.ReceiveOffline(ctx, tok, terms, purse.Offline{MaxValue: t.maxValue, MaxAge: t.maxAge, Hold: t.maxAge})
			if err == nil || !online(err) {
				return receipt, err
			}
		}
	}
	return p.Receive(ctx, tok, terms)
}

// online tells whether a token that is not taken without the mint may be good with it.
func online(err error) bool {
	for _, target := range []error{token.ErrNotLocked, token.ErrTakeBack, token.ErrLock, token.ErrNotOurs, purse.ErrBound, ecash.ErrDLEQ} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// hand makes the L402 token for a payment, the same one for a repetition, and writes the payment
// down.
func (h *Handler) hand(ctx context.Context, s *cashSale) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.till.timeout/3)
	defer cancel()
	secret, err := h.till.house.Secret(ctx, "preimage")
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(s.receipt.ID))
	s.preimage = [32]byte(mac.Sum(nil))
	s.hash = s.preimage.Hash()
	s.at = time.Now()
	if s.receipt.Replayed {
		// The token runs from when it was first given, which need not be when it was paid for.
		known, err := h.app.desk.find(ctx, l402.Identifier{PaymentHash: s.hash, TokenID: s.since()}, true)
		switch {
		case err == nil:
			s.at = known.Time
		case !errors.Is(err, ledger.ErrNotFound):
			return err
		}
	}
	keyID, key, err := h.app.keys.Minting(ctx)
	if err != nil {
		if mintingLogged.due() {
			h.logger.Error("no token can be made", zap.Error(err))
		}
		return err
	}
	tokenID, macaroon, err := s.mint(keyID, key, secret)
	if err != nil {
		return err
	}
	s.macaroon, s.line = macaroon, l402.FormatAuthorization(macaroon, s.preimage)
	if book := h.app.books.Ledger(); book != nil {
		h.app.record(book, ledger.Settlement{
			PaymentHash: s.hash, Time: s.at, Service: h.Service, Tier: s.deal.tier,
			AmountMsat: h.till.worth(s.receipt.Amount), Wallet: "cashu", Scheme: "Cashu", TokenID: tokenID, Tenant: s.deal.tenant,
		})
	}
	return nil
}

// giveChange adds the change, which is the payer's whatever becomes of the request.
func (h *Handler) giveChange(w http.ResponseWriter, s *cashSale) {
	if text := h.changeOf(s); text != "" {
		w.Header().Set(headerCashu, text)
	}
}

// changeOf is the change as text; empty where there is none.
func (h *Handler) changeOf(s *cashSale) string {
	if s.receipt.Change == nil {
		return ""
	}
	text, err := s.receipt.Change.Encode()
	if err != nil {
		// The same token brought again gives the same change.
		h.logger.Error("change cannot be written", zap.Error(err))
	}
	return text
}

// refuseEcash answers a payment that was not taken, or not yet.
func (h *Handler) refuseEcash(w http.ResponseWriter, r *http.Request, to deal, err error) error {
	if r.Context().Err() != nil {
		return caddyhttp.Error(499, r.Context().Err()) // the client went away; nobody reads this
	}
	p := ecashRefused(err)
	if h.isCheckout(r) && p.Status < 500 {
		p.Cure = cureEcashForm
	}
	if h.isCheckout(r) && markOf(r) == checkoutMark {
		p.Back = backTo(r)
	}
	if p.Status < 500 {
		metrics.refused(h.Service, p.Code)
		h.askForEcash(w, r, to.price)
	} else {
		metrics.unavailable(h.Service)
	}
	level := zap.DebugLevel
	if errors.Is(err, purse.ErrDisputed) {
		level = zap.ErrorLevel
	}
	if c := h.logger.Check(level, "ecash was not taken"); c != nil {
		c.Write(zap.String("code", p.Code), zap.Error(err))
	}
	return h.answer(w, r, p)
}
