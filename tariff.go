package caddyl402

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// PriceRow is the price of some of a route's requests.
type PriceRow struct {
	// What a payment costs for requests that match, as in the handler's price. Required.
	Price string `json:"price,omitempty"`

	// The matchers that a request must all match. Required.
	MatchRaw caddy.ModuleMap `json:"match,omitempty" caddy:"namespace=http.matchers"`
}

// maxRows bounds a table of prices, which is gone through for every request.
const maxRows = 100

// tariff is how a route's price depends on the request. Handlers whose price is the same for all
// requests have none.
type tariff struct {
	// rows are tried in their order. The last one has no matchers and takes everything.
	rows []tariffRow
	// least and most bound every price; zero where there is no bound.
	least, most lnwire.MilliSatoshi
	// text is the whole of it: equal tariffs have equal texts.
	text string
}

// tariffRow is a row of a tariff.
type tariffRow struct {
	amount
	match caddyhttp.MatcherSet
	// identity is the row's matchers in JSON. Tokens are bound to it and not to the row's price,
	// so that a payer keeps what he bought when the operator changes the price.
	identity string
	// binding is the finished binding of a row with a fixed price and a fixed payee.
	binding string
	// asks is the price program of the row, nil where it has none.
	asks *program
}

// readTariff checks the settings of a price that depends on the request. Matchers are loaded
// later, by provisionTariff.
func (h *Handler) readTariff() error {
	base, err := readAmount(h.Price)
	if err != nil {
		return fmt.Errorf("price: %w", err)
	}
	t := &tariff{}
	if t.least, err = readBound("min", h.Min); err != nil {
		return err
	}
	if t.most, err = readBound("max", h.Max); err != nil {
		return err
	}
	if t.least > 0 && t.most > 0 && t.least > t.most {
		return fmt.Errorf("min %s is more than max %s", pricing.Format(t.least), pricing.Format(t.most))
	}
	if len(h.Prices) > maxRows {
		return fmt.Errorf("%d rows of prices: use at most %d", len(h.Prices), maxRows)
	}
	for i, row := range h.Prices {
		read, err := row.read()
		if err != nil {
			return fmt.Errorf("price row %d: %w", i+1, err)
		}
		t.rows = append(t.rows, read)
	}
	t.rows = append(t.rows, tariffRow{amount: base, identity: "base"})
	for i := range t.rows {
		if err := t.checkRow(&t.rows[i], h.PerSize != nil); err != nil {
			return err
		}
	}
	h.price, h.tariff = base.fixed, nil
	if len(t.rows) > 1 || base.depends() || base.floats() {
		t.describe()
		h.tariff = t
	}
	return h.readSize(base, t.least, t.most)
}

func readBound(setting, text string) (lnwire.MilliSatoshi, error) {
	if text == "" {
		return 0, nil
	}
	bound, err := pricing.ParseText(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", setting, err)
	}
	return bound, nil
}

func (p *PriceRow) read() (tariffRow, error) {
	price, err := readAmount(p.Price)
	if err != nil {
		return tariffRow{}, err
	}
	if len(p.MatchRaw) == 0 {
		return tariffRow{}, errors.New("it has no matcher: what is for all other requests is the price of the directive itself")
	}
	if p.MatchRaw["file"] != nil {
		return tariffRow{}, errors.New("the matcher file would look at the disk for every request, paid or not: use another one")
	}
	identity, err := json.Marshal(p.MatchRaw)
	if err != nil {
		return tariffRow{}, fmt.Errorf("reading the matchers: %w", err)
	}
	if strings.Contains(string(identity), "{http.request.body") {
		return tariffRow{}, errors.New("{http.request.body…} would be read before anything is paid: match something else")
	}
	return tariffRow{amount: price, identity: string(identity)}, nil
}

// checkRow compares a price with the bounds, and demands them where requests fill the price in.
func (t *tariff) checkRow(row *tariffRow, bySize bool) error {
	switch {
	case row.number != "" && (t.least == 0 || t.most == 0):
		return fmt.Errorf("price %s: what stands in a placeholder may be a client's words: add `min` and `max`, "+
			"such as `min 1 sat` and `max 1000 sat`", &row.amount)
	case row.fixed > 0 && !bySize && t.check(row.fixed) != nil:
		return fmt.Errorf("price %s is outside of min and max", &row.amount)
	}
	return nil
}

// check refuses a price outside of the bounds.
func (t *tariff) check(price lnwire.MilliSatoshi) error {
	if price < t.least || t.most > 0 && price > t.most {
		return fmt.Errorf("%s is outside of min and max", pricing.Format(price))
	}
	return nil
}

func (t *tariff) describe() {
	var parts []string
	for i := range t.rows {
		row := &t.rows[i]
		if i < len(t.rows)-1 {
			parts = append(parts, row.String()+" for "+row.identity)
		} else {
			parts = append(parts, row.String())
		}
	}
	t.text = strings.Join(parts, ", else ")
	if t.least > 0 {
		t.text += ", at least " + pricing.Format(t.least)
	}
	if t.most > 0 {
		t.text += ", at most " + pricing.Format(t.most)
	}
}

// span is between what a payment costs at least and at most; both are zero where that is not known.
func (t *tariff) span() (least, most lnwire.MilliSatoshi) {
	for i := range t.rows {
		low, high := t.rows[i].fixed, t.rows[i].fixed
		if low == 0 {
			low, high = t.least, t.most
		}
		if low == 0 || high == 0 {
			return 0, 0
		}
		if least == 0 || low < least {
			least = low
		}
		most = max(most, high)
	}
	return least, most
}

// provisionTariff loads the matchers of the rows.
func (h *Handler) provisionTariff(ctx caddy.Context) error {
	if h.tariff == nil {
		return nil
	}
	for i := range h.Prices {
		loaded, err := ctx.LoadModule(&h.Prices[i], "MatchRaw")
		if err != nil {
			return fmt.Errorf("loading the matchers of price row %d: %w", i+1, err)
		}
		var sets caddyhttp.MatcherSets
		if err := sets.FromInterface([]map[string]any{loaded.(map[string]any)}); err != nil {
			return fmt.Errorf("price row %d: %w", i+1, err)
		}
		h.tariff.rows[i].match = sets[0]
	}
	for i := range h.tariff.rows {
		h.tariff.rows[i].binding = bindingOf("price", "\x00"+h.tariff.rows[i].identity+"\x00")
	}
	return nil
}

// apply finds what a request costs and what its token must be bound to. A price in a currency is
// turned into millisatoshi later, and only for those who have to pay.
func (t *tariff) apply(r *http.Request, service string, to *deal) error {
	row, err := t.row(r)
	if err != nil {
		return err
	}
	if row.floats() {
		to.floats = &floating{row: row, fiat: row.fiat}
	}
	if t.same() {
		return nil // a token is bound to no request then
	}
	value, err := row.value(r, service, to)
	if err != nil {
		return err
	}
	if !row.depends() && to.binding == "" {
		to.binding = row.binding
		return nil
	}
	if row.number != "" && !row.floats() {
		if err := t.check(to.price); err != nil {
			return fmt.Errorf("%w: %w", row.fault(), err)
		}
	}
	to.filled = row.depends()
	to.binding = bindingOf("price", to.binding+"\x00"+row.identity+"\x00"+value)
	return nil
}

// same tells whether all requests cost the same, in a currency.
func (t *tariff) same() bool { return t != nil && len(t.rows) == 1 && !t.rows[0].fiat.IsZero() }

// value finds the row's price for a request as far as memory tells it, and gives what a token must be
// bound to of it: never an exchange rate, so that tokens outlive rates.
func (row *tariffRow) value(r *http.Request, service string, to *deal) (value string, err error) {
	switch {
	case row.fixed > 0:
		to.price = row.fixed
	case !row.fiat.IsZero():
	case row.program != "":
		to.floats.question, err = row.question(r, service)
		value = to.floats.question.Key()
	case row.currency != "":
		to.floats.fiat, err = row.ask(r)
		value = to.floats.fiat.String()
	default:
		to.price, err = row.in(r)
		value = strconv.FormatUint(uint64(to.price), 10)
	}
	return value, err
}
