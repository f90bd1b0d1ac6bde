package l402

import (
	"net/http"
	"slices"
	"strings"
)

// Strip removes from h every credential that a Reader with the same allowed forms would find, well
// formed or not, so that it does not reach whoever stands behind. Everything else stays: bearer
// tokens and passwords of other make, other cookies, also where they share a line. A line is put
// together anew only if a part of it goes; the slices in h are replaced, never changed.
//
// Unlike a Reader, Strip has no limits of its own: it goes through all of h.
func Strip(h http.Header, allowed Form) {
	for i := range sources {
		source := &sources[i]
		lines := h[source.header]
		if source.forms&allowed == 0 || len(lines) == 0 {
			continue
		}
		strip := func(line string) string { return stripLine(source.forms, line, allowed) }
		changed := slices.ContainsFunc(lines, func(line string) bool { return strip(line) != line })
		if !changed {
			continue
		}
		var kept []string
		for _, line := range lines {
			if stripped := strip(line); stripped != "" || line == "" {
				kept = append(kept, stripped)
			}
		}
		if len(kept) == 0 {
			delete(h, source.header)
		} else {
			h[source.header] = kept
		}
	}
}

// stripLine returns line without its credentials, or line itself if there are none.
func stripLine(forms Form, line string, allowed Form) string {
	switch forms {
	case FormMacaroonHeader:
		if looksLikeToken(trim(line)) {
			return ""
		}
		return line
	case FormCookie:
		return stripCookies(line)
	}
	return stripAuthorization(line, forms&allowed)
}

// stripAuthorization leaves out the elements that begin a credential and those that go on with it.
func stripAuthorization(line string, allowed Form) string {
	var kept []string
	ours, changed := false, false
	for s := (elements{rest: line}); ; {
		e, more := s.next()
		if !more {
			break
		}
		if e.head {
			ours = e.ours(allowed)
		}
		if ours {
			changed = true
		} else {
			kept = append(kept, e.text)
		}
	}
	if !changed {
		return line
	}
	return strings.Join(kept, ", ")
}

// stripCookies leaves out the cookies that hold a credential.
func stripCookies(line string) string {
	var kept []string
	changed := false
	for rest := line; rest != ""; {
		var pair, name string
		pair, name, _, rest = nextCookie(rest)
		switch {
		case isOurCookie(name):
			changed = true
		case pair != "":
			kept = append(kept, pair)
		}
	}
	if !changed {
		return line
	}
	return strings.Join(kept, "; ")
}
