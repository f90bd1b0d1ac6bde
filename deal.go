package caddyl402

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricer"
	"github.com/caddy-l402/caddy-l402/internal/rates"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// deal is what a request is offered: whom to pay, how much, and what that buys. Every request has
// one; its quote is filled in only for those that did not pay.
type deal struct {
	payee
	quote
	// filled says that the request filled the price in, so that hardly another one has the same.
	filled bool
	// served says that the upstream has worked on the request, so that nothing is given away any more.
	served bool
	// floats is set where the price in millisatoshi is known only at the moment of a challenge.
	floats *floating
}

// floating is a price that is turned into millisatoshi when somebody has to pay.
type floating struct {
	row *tariffRow
	// fiat is the price in a currency; the zero Amount where it is in bitcoin, or not known yet.
	fiat rates.Amount
	// question is what the row's price program is to be asked.
	question pricer.Question
}

// fiat is the price in a currency as the operator set it; empty where it is in bitcoin.
func (d *deal) fiat() string {
	if d.floats == nil {
		return ""
	}
	return d.floats.fiat.String()
}

// quote is a price with what it buys.
type quote struct {
	price lnwire.MilliSatoshi
	uses  uint64 // zero: no limit
	bytes uint64 // zero: no limit
	valid time.Duration
	size  uint64 // bytes that the price is for; zero where it is for no size
	tier  uint8
}

// dealOf finds what a request is about, from memory alone: paid requests ask for it too.
func (h *Handler) dealOf(r *http.Request) (deal, error) {
	to, err := h.payee(r)
	d := deal{payee: to}
	if err != nil || h.tariff == nil && h.source == nil {
		return d, err
	}
	r = h.priced(r)
	if h.tariff != nil {
		err = h.tariff.apply(r, h.Service, &d)
	}
	if h.source != nil {
		d.binding, d.filled = addressBinding(d.binding, r), true
	}
	return d, err
}

// quote finds what is sold to an unpaid request now, and for how much.
func (h *Handler) quote(r *http.Request, next caddyhttp.Handler, to *deal) error {
	price := h.price
	switch {
	case h.source != nil:
		if err := h.source.ask(h.priced(r), next, to); err != nil {
			return err
		}
		price = to.price
	case h.tariff != nil:
		if to.floats != nil {
			if err := h.settlePrice(r, to); err != nil {
				return err
			}
		}
		price = to.price
	}
	size := to.size
	to.quote = h.baseQuote()
	to.price, to.size = price, size
	chosen, err := h.choose(r)
	if chosen != nil {
		to.quote = chosen.quote
	}
	return err
}

// requote gives a deal the terms of a token that was sold before, whatever is asked for today.
func (h *Handler) requote(to *deal, g *l402.Grant, inv *wallets.Invoice) {
	to.floats = nil // what the price was in a currency is not known any more
	to.quote = quote{price: inv.Amount, uses: g.Uses, bytes: g.Bytes, valid: time.Duration(h.Valid), tier: h.Tier}
	if g.SoldUntil > 0 {
		// The two moments were read one after the other, so a second may lie between them.
		if sold := time.Unix(g.SoldUntil, 0).Sub(g.TokenID.MintedAt()); (sold - to.valid).Abs() > time.Second {
			to.valid = sold
		}
	}
}

// prefetch is how many invoices for such a deal may be made beforehand. The price of one that the
// request filled in is hardly asked for again.
func (h *Handler) prefetch(to deal) int {
	if to.filled {
		return 0
	}
	return h.Prefetch
}

// termsOf gives the deal in the words of the configuration.
func (h *Handler) termsOf(to deal) terms {
	t := h.terms()
	t.Price, t.Uses, t.Bytes, t.Valid = to.price, to.uses, to.bytes, to.valid
	return t
}
