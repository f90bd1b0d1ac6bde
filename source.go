package caddyl402

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/lightningnetwork/lnd/lnwire"
)

// priceSource finds the prices of unpaid requests that memory does not tell. Tokens of a handler
// with a source are bound to method and address, so that paid requests need it no more.
type priceSource interface {
	// ask sets the price of the deal. It may wait under a deadline, and may ask next for anything
	// but content; next is nil where it cannot be asked. Errors wrap errPriceUnknown or a reason
	// of its own that noDeal knows.
	ask(r *http.Request, next caddyhttp.Handler, to *deal) error
	// String is all its settings: equal sources have equal texts.
	String() string
	// span is between what a payment costs at least and at most, in millisatoshi; zero where
	// that is not known.
	span() (least, most lnwire.MilliSatoshi)
}

// addressBinding is what tokens are bound to whose price only a source knows: method and address,
// and the payee where the request chooses one.
func addressBinding(payee string, r *http.Request) string {
	return bindingOf("address", strings.Join([]string{
		payee, chargedMethod(r.Method), hostOf(r), pathOf(r), r.URL.RawQuery,
	}, "\x00"))
}

// priced is the request that a price and a token are for: of what a payment page asks, the page's
// own.
func (h *Handler) priced(r *http.Request) *http.Request {
	if r.Method != http.MethodPost || !h.isCheckout(r) {
		return r
	}
	mark := markOf(r)
	page := r.WithContext(r.Context())
	if mark == checkoutMark {
		page.Method = http.MethodGet
	}
	u := *r.URL
	u.RawQuery = strings.TrimSuffix(strings.TrimSuffix(u.RawQuery, mark), "&")
	page.URL = &u
	return page
}

// span is between what a payment costs at least and at most where that depends on the request.
func (h *Handler) span() (least, most lnwire.MilliSatoshi) {
	if h.source != nil {
		return h.source.span()
	}
	return h.tariff.span()
}

// errNoSource is for a request that no source can be asked for.
var errNoSource = fmt.Errorf("%w: there is nobody to ask", errPriceUnknown)
