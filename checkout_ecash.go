package caddyl402

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-l402/caddy-l402/internal/paywall"
	"github.com/caddy-l402/caddy-l402/internal/watch"
)

// errNoEcash refuses ecash on a page that did not ask for any.
var errNoEcash = errors.New("This page cannot be paid with ecash.")

// cashesOnPages tells whether the payment page takes ecash: where the price is the same whichever request
// asks, so that the form, which is another request than the page's own, pays for the page.
func (h *Handler) cashesOnPages() bool {
	return h.till != nil && h.tariff == nil && h.source == nil && len(h.choices) == 0
}

// offerEcash lets a person pay with ecash on the page. It returns nil where that cannot be.
func (h *Handler) offerEcash(to deal) *paywall.Ecash {
	if !h.cashesOnPages() {
		return nil
	}
	request := h.ecashRequest(to.price)
	if request == nil {
		return nil
	}
	a, err := request.Encode()
	if err != nil {
		return nil // askForEcash tells
	}
	b, err := request.EncodeB()
	if err != nil {
		return nil
	}
	return &paywall.Ecash{Request: a, Unified: b, Mints: request.Mints}
}

// serveEcashForm takes the ecash that a person has put into the page. It gives the cookie for what was
// bought, with the preimage, and leads back to the page; change is shown first. The same form sent again
// pays nothing, and shows the same change.
func (h *Handler) serveEcashForm(w http.ResponseWriter, r *http.Request, c *checkout) error {
	// The page's token tells that the page is of this gate, and not of one behind it: the ecash would
	// pay for what the person has already.
	if !h.cashesOnPages() || c.token == "" || c.refusal != nil {
		return h.answer(w, r, checkoutRefused(errNoEcash))
	}
	// Wallets break long texts into lines.
	text := strings.Join(strings.Fields(r.PostForm.Get("ecash")), "")
	text = strings.TrimPrefix(text, "cashu:")
	// The price is the same for all requests, so that nobody asks next for it.
	none := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.Error(http.StatusServiceUnavailable, errNoEcash)
	})
	sale, err := h.cash(w, r, none, &c.deal, []string{text})
	if sale == nil {
		return err
	}
	h.setCookie(w, r, c.deal, encodeToken(sale.macaroon), sale.preimage.String(), time.Until(sale.at.Add(sale.deal.valid)))
	w.Header().Set("Cache-Control", "no-store")
	if change := h.changeOf(sale); change != "" {
		paywall.Write(w, r, &paywall.Problem{
			Status: http.StatusOK, Title: "Paid", Code: "paid",
			Detail: "The ecash was worth more than the price. The rest is yours: copy this token into your wallet before you go on.",
			Change: change, Back: c.back, Look: h.look,
		})
		return nil
	}
	if c.back == "" {
		p := sendAgain(watch.State{Name: watch.Settled})
		p.Look = h.look
		paywall.Write(w, r, p)
		return nil
	}
	w.Header().Set("Location", c.back)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
