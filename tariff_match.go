package caddyl402

import (
	"fmt"
	"net/http"
	"strings"
)

// row finds the first row for a request. It is never a cheaper one than the row of what an
// upstream may take the request for: letters' case of a method does not matter, HEAD is GET, and
// a request that could mean another one with another price has none.
func (t *tariff) row(r *http.Request) (*tariffRow, error) {
	last := &t.rows[len(t.rows)-1]
	if len(t.rows) == 1 {
		return last, nil
	}
	if method := chargedMethod(r.Method); method != r.Method {
		r = r.WithContext(r.Context())
		r.Method = method
	}
	row, err := t.first(r)
	if err != nil {
		return nil, err
	}
	for _, other := range readings(r) {
		if second, err := t.first(other); err != nil || second != row && !row.atLeast(second) {
			return nil, errAmbiguous
		}
	}
	return row, nil
}

// atLeast tells whether a row is known to cost no less than another one.
func (row *tariffRow) atLeast(other *tariffRow) bool {
	return other.fixed > 0 && row.fixed >= other.fixed
}

func (t *tariff) first(r *http.Request) (*tariffRow, error) {
	last := len(t.rows) - 1
	for i := range t.rows[:last] {
		matched, err := t.rows[i].match.MatchWithError(r)
		if err != nil {
			return nil, fmt.Errorf("%w: matching price row %d: %w", errPriceUnknown, i+1, err)
		}
		if matched {
			return &t.rows[i], nil
		}
	}
	return &t.rows[last], nil
}

// chargedMethod is the method that a request is charged as. Methods are case-sensitive, but many
// upstreams take "post" for "POST"; and HEAD tells what GET costs and shows its headers.
func chargedMethod(method string) string {
	method = strings.ToUpper(method)
	if method == http.MethodHead {
		return http.MethodGet
	}
	return method
}

// methodOverrides are the headers by which clients ask for another method than the request's.
var methodOverrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// settleMethod takes away what could make another method of the request behind the gate, where
// whether it is charged, or how much, may depend on the method.
func (h *Handler) settleMethod(header http.Header) {
	if !h.byMethod || h.DryRun {
		return
	}
	for _, name := range methodOverrides {
		delete(header, name)
	}
}

// dependsOnMethod tells whether what a request costs may depend on its method.
func (h *Handler) dependsOnMethod() bool {
	if len(h.Methods) > 0 || h.source != nil || h.tariff != nil && (len(h.tariff.rows) > 1 || h.tariff.rows[0].program != "") {
		return true
	}
	for _, set := range h.ExemptRaw {
		for name, matcher := range set {
			// Matchers hold others, and expressions.
			if strings.Contains(name+string(matcher), "method") {
				return true
			}
		}
	}
	return false
}
