package l402

// MaxNameLength is the greatest length in bytes of the name of a service or a capability.
const MaxNameLength = 64

// ValidServiceName reports whether s can name a service: 1 to MaxNameLength letters, digits, dots,
// underscores and hyphens of ASCII. Everything that separates names in a caveat is ruled out.
func ValidServiceName(s string) bool { return validServiceName(s) }

// ValidCapability reports whether s can name a capability: 1 to MaxNameLength visible ASCII
// characters other than comma, equals sign, double quote and backslash, so that names such as
// "/looprpc.SwapServer/LoopOut" or "files:read" are possible.
func ValidCapability(s string) bool { return validCapability(s) }

// text is what caveats are read from: a slice of the token on the paid path, a string elsewhere.
type text interface{ ~string | ~[]byte }

func validServiceName[T text](s T) bool {
	if len(s) == 0 || len(s) > MaxNameLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func validCapability[T text](s T) bool {
	if len(s) == 0 || len(s) > MaxNameLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c > '~' || c == ',' || c == '=' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// trim removes blanks (space and tab) at both ends.
func trim[T text](s T) T {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// cut splits s at the first sep, as strings.Cut does.
func cut[T text](s T, sep byte) (before, after T, found bool) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, s[len(s):], false
}

// nextItem cuts the first item off a comma-separated list and trims it. It must not be called with
// a list that is used up (more is false), only once with an empty one.
func nextItem[T text](list T) (item, rest T, more bool) {
	item, rest, more = cut(list, ',')
	return trim(item), rest, more
}

// parseUint reads a decimal number without sign and without needless zeros.
func parseUint[T text](s T) (n uint64, ok bool) {
	if len(s) == 0 || len(s) > 20 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := range len(s) {
		d := uint64(s[i]) - '0'
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
