package l402

import "strings"

// CookieName is the name of the cookie that holds a credential. Cookies with more behind an
// underscore ("l402_premium") hold one as well, so that a browser can keep several.
const CookieName = "l402"

// isOurCookie reports whether a cookie of this name holds a credential.
func isOurCookie(name string) bool {
	rest, ok := strings.CutPrefix(name, CookieName)
	return ok && (rest == "" || rest[0] == '_')
}

// nextCookie cuts the first cookie off a Cookie line. pair is its text, trimmed.
func nextCookie(line string) (pair, name, value, rest string) {
	pair, rest, _ = cut(line, ';')
	pair = trim(pair)
	name, value, _ = cut(pair, '=')
	name, value = trim(name), trim(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return pair, name, value, rest
}
