package caddyl402

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/pricer"
	"github.com/caddy-l402/caddy-l402/internal/rates"
)

// priceTimeout bounds how long an unpaid request waits for its price: for a price program and for
// exchange rates, of which the first request after a while has to wait for the sources.
const priceTimeout = 15 * time.Second

// floats tells whether the price in millisatoshi is known only at the moment of the challenge.
func (a *amount) floats() bool { return !a.fiat.IsZero() || a.currency != "" || a.program != "" }

// provisionPrices finds what the prices need: exchange rates and price programs.
func (h *Handler) provisionPrices() error {
	if h.tariff == nil {
		return nil
	}
	for i := range h.tariff.rows {
		row := &h.tariff.rows[i]
		currency := row.currency
		if !row.fiat.IsZero() {
			currency = row.fiat.Currency()
		}
		if currency != "" {
			if err := h.app.useRates(currency); err != nil {
				return fmt.Errorf("price %s: %w", &row.amount, err)
			}
		}
		if row.program != "" {
			var err error
			if row.asks, err = h.app.program(row.program); err != nil {
				return fmt.Errorf("price: %w", err)
			}
		}
	}
	return nil
}

// question is what the row's price program is told of a request, from memory alone. An address that
// an upstream may take for another one is refused: the program would price one and the upstream
// would serve the other.
func (row *tariffRow) question(r *http.Request, service string) (pricer.Question, error) {
	if readAgain(r.URL.Path) != r.URL.Path || wanders(r.URL.Path) {
		return pricer.Question{}, errAmbiguous
	}
	var headers []string
	if row.asks != nil {
		headers = row.asks.headers
	}
	q, err := pricer.Ask(r, service, headers)
	q.Method = chargedMethod(q.Method)
	if err != nil {
		return q, fmt.Errorf("%w: %w", errPriceRefused, err)
	}
	return q, nil
}

// settlePrice turns what a request costs into millisatoshi, at the moment of its challenge. It asks
// the price program and needs an exchange rate, and fails where either gives nothing: no price is
// guessed.
func (h *Handler) settlePrice(r *http.Request, to *deal) error {
	ctx, cancel := context.WithTimeout(r.Context(), priceTimeout)
	defer cancel()
	f := to.floats
	fault := errPriceUnknown
	if f.row.number != "" {
		fault = f.row.fault()
	}
	if f.row.asks != nil {
		price, err := f.row.asks.Price(ctx, f.question)
		if err != nil {
			return fmt.Errorf("%w: %w", errPriceUnknown, err)
		}
		to.price, f.fiat = price.Msat, price.Fiat
	}
	if !f.fiat.IsZero() {
		x := &h.app.exchange
		rate, err := x.market.Rate(ctx, f.fiat.Currency())
		if err != nil {
			return err
		}
		if to.price, err = rate.Price(f.fiat, x.unit); err != nil {
			return fmt.Errorf("%w: %w", fault, errPricedTooHigh)
		}
	}
	if err := h.tariff.check(to.price); err != nil {
		return fmt.Errorf("%w: %w", fault, err)
	}
	return nil
}

// about says what a deal's price is worth in a currency, for people, where the price is not in that
// currency anyway and a rate is at hand.
func (h *Handler) about(to deal) string {
	if to.fiat() != "" {
		return ""
	}
	var currency rates.Currency
	if h.tariff.same() {
		currency = h.tariff.rows[0].fiat.Currency()
	}
	return h.app.exchange.about(to.price, currency)
}
