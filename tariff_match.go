package caddyl402

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// row finds the first row for a request. It is never a cheaper one than the row of what an
// upstream may take the request for: letters' case of a method does not matter, HEAD is GET, and
// a path that could mean another one with another price has none.
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
	path := readAgain(r.URL.Path)
	if path == r.URL.Path {
		return row, nil
	}
	other := r.WithContext(r.Context())
	u := *r.URL
	u.Path, u.RawPath = path, ""
	other.URL = &u
	if second, err := t.first(other); err != nil || second != row {
		return nil, errAmbiguous
	}
	return row, nil
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

// readAgain is a decoded path as an upstream may read it that decodes once more, takes a backslash
// for a slash or leaves out what stands behind a semicolon.
func readAgain(path string) string {
	if !strings.ContainsAny(path, `%\;`) {
		return path
	}
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	segments := strings.Split(strings.ReplaceAll(path, `\`, "/"), "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}

// methodOverrides are the headers by which clients ask for another method than the request's.
var methodOverrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// settleMethod takes away what could make another method of the request behind the gate, where
// prices may depend on the method.
func (h *Handler) settleMethod(header http.Header) {
	if h.source == nil && (h.tariff == nil || len(h.tariff.rows) == 1 && h.tariff.rows[0].program == "") {
		return
	}
	for _, name := range methodOverrides {
		delete(header, name)
	}
}
