// Package authparam takes the lines of a WWW-Authenticate header apart (RFC 9110, section 11.6.1):
// schemes with their parameters, several in a line. It is lenient, as deployed servers want it: blanks
// or semicolons between parameters, values with and without quotes.
package authparam

import "strings"

// Next reads the scheme at the beginning of line and its parameters up to the next scheme. It calls
// set for each parameter in order, repeated ones too, with escapes of quoted strings undone.
func Next(line string, set func(name, value string)) (scheme, rest string) {
	scheme, rest = CutToken(strings.TrimLeft(line, " \t,"))
	for rest = skipSeparators(rest); rest != ""; rest = skipSeparators(rest) {
		name, behind := CutToken(rest)
		behind = strings.TrimLeft(behind, " \t")
		if name == "" || !strings.HasPrefix(behind, "=") {
			if name == "" {
				rest = rest[1:] // a character that belongs nowhere
				continue
			}
			if isBareData(rest) {
				_, rest = cutBare(rest) // the token68 of another scheme, such as Negotiate's
				continue
			}
			return scheme, rest
		}
		var value string
		value, rest = cutValue(strings.TrimLeft(behind[1:], " \t"))
		set(name, value)
	}
	return scheme, ""
}

// CutToken cuts off a token in the sense of RFC 9110, the name of a scheme or a parameter.
func CutToken(s string) (word, rest string) {
	for i := range len(s) {
		if !IsTokenChar(s[i]) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// IsTokenChar reports whether c may stand in the name of a scheme or a parameter (RFC 9110).
func IsTokenChar(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func skipSeparators(s string) string { return strings.TrimLeft(s, " \t,;") }

// isBareData reports whether s begins with something that only data can be: a run with characters
// that no name of a scheme has.
func isBareData(s string) bool {
	bare, _ := cutBare(s)
	word, _ := CutToken(bare)
	return word != bare
}

// cutBare cuts off everything up to a separator.
func cutBare(s string) (bare, rest string) {
	if end := strings.IndexAny(s, " \t,"); end >= 0 {
		return s[:end], s[end:]
	}
	return s, ""
}

// cutValue cuts off the value of a parameter, quoted or not. An unclosed quote reaches to the end.
func cutValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		return cutBare(s)
	}
	var plain []byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return string(plain), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			plain = append(plain, s[i])
		default:
			plain = append(plain, c)
		}
	}
	return string(plain), ""
}
