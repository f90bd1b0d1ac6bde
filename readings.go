package caddyl402

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// readings are the other requests that an upstream may take a request for: of paths that mean another
// one after a further round of decoding, of queries that programs take apart in different ways, and
// where parameters and headers are there twice, of which some take the first and some the last. There
// are none for a plain request and a few dozen at most.
func readings(r *http.Request) (all []*http.Request) {
	paths := distinct(r.URL.Path, readAgain(r.URL.Path))
	hosts := distinct(r.Host, strings.TrimSuffix(r.Host, "."))
	queries := append([]string{r.URL.RawQuery}, queryReadings(r.URL.RawQuery)...)
	headers := append([]http.Header{r.Header}, headerReadings(r.Header)...)
	for p, path := range paths {
		for _, host := range hosts {
			for _, query := range queries {
				for _, header := range headers {
					other := r.WithContext(r.Context())
					u := *r.URL
					if u.RawQuery = query; p > 0 {
						u.Path, u.RawPath = path, ""
					}
					other.URL, other.Host, other.Header = &u, host, header
					all = append(all, other)
				}
			}
		}
	}
	return all[1:] // the first is the request itself
}

func distinct(text, other string) []string {
	if text == other {
		return []string{text}
	}
	return []string{text, other}
}

// queryReadings are the queries that programs may make of one that they read differently: some take
// a semicolon for an ampersand, some leave out what cannot be decoded, and some let the first or the
// last of several parameters count. Each is written so that all read it alike.
func queryReadings(query string) []string {
	strict, err := url.ParseQuery(query)
	if err == nil && !slices.ContainsFunc(slices.Collect(maps.Values(strict)), several) {
		return nil
	}
	var found []string
	known := map[string]bool{strict.Encode(): err == nil}
	for _, separators := range []string{"&", "&;"} {
		values := looseQuery(query, separators)
		first, last := make(url.Values), make(url.Values)
		for name, all := range values {
			first[name], last[name] = all[:1], all[len(all)-1:]
		}
		for _, reading := range []url.Values{values, first, last} {
			if text := reading.Encode(); !known[text] {
				known[text] = true
				found = append(found, text)
			}
		}
	}
	return found
}

func several(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return v != values[0] })
}

// looseQuery takes a query apart as forgiving programs do: what cannot be decoded counts as it is.
func looseQuery(query, separators string) url.Values {
	values := make(url.Values)
	decode := func(text string) string {
		if decoded, err := url.QueryUnescape(text); err == nil {
			return decoded
		}
		return text
	}
	for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
		name, value, _ := strings.Cut(pair, "=")
		values.Add(decode(name), decode(value))
	}
	return values
}

// headerReadings are the headers with the first and with the last line alone of those that have
// different ones.
func headerReadings(header http.Header) []http.Header {
	var first, last http.Header
	for name, lines := range header {
		if !several(lines) {
			continue
		}
		if first == nil {
			first, last = maps.Clone(header), maps.Clone(header)
		}
		first[name], last[name] = lines[:1], lines[len(lines)-1:]
	}
	if first == nil {
		return nil
	}
	return []http.Header{first, last}
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

// wanders tells whether a path has segments that a server may leave out or resolve, so that it serves
// what lies at another address.
func wanders(path string) bool {
	if strings.Contains(path, "//") {
		return true
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
