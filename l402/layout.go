package l402

// MaxCaveats is the greatest number of caveats of a token. Each costs an HMAC to check.
const MaxCaveats = 64

// Field tags of the binary V2 encoding of macaroons.
const (
	macaroonVersion = 2
	tagEnd          = 0
	tagIdentifier   = 2
	tagSignature    = 6
)

// layout points into a token in binary form that was found to be well-formed.
type layout struct {
	identifier []byte // IdentifierSize bytes
	caveats    []byte // the encoded caveats; see nextCaveat
	signature  []byte // 32 bytes
}

// parseLayout checks that mac is laid out exactly as Mint and Attenuate write tokens and finds its
// parts. What the caveats say is not looked at. The layout is returned by value because writing it
// through a pointer would force the token off the caller's stack.
func parseLayout(mac []byte) (l layout, err error) {
	if len(mac) > MaxMacaroonSize {
		return layout{}, ErrTokenTooLong
	}
	if len(mac) == 0 {
		return layout{}, ErrMalformedToken
	}
	if mac[0] != macaroonVersion {
		return layout{}, ErrUnsupportedVersion
	}
	const header = len(tokenPrefix)
	if len(mac) < header+IdentifierSize+1 || string(mac[:header]) != tokenPrefix {
		return layout{}, ErrMalformedToken
	}
	l.identifier = mac[header : header+IdentifierSize]
	rest := mac[header+IdentifierSize:]
	if rest[0] != tagEnd {
		return layout{}, ErrMalformedToken
	}
	rest = rest[1:]

	l.caveats = rest
	for n := 0; ; n++ {
		if len(rest) == 0 {
			return layout{}, ErrMalformedToken
		}
		if rest[0] == tagEnd {
			l.caveats = l.caveats[:len(l.caveats)-len(rest)]
			break
		}
		if n == MaxCaveats {
			return layout{}, ErrTokenTooLong
		}
		size, start := caveatSize(rest)
		if start == 0 || len(rest) <= start+size || rest[start+size] != tagEnd {
			return layout{}, ErrMalformedToken
		}
		rest = rest[start+size+1:]
	}
	rest = rest[1:]
	if len(rest) != 2+32 || rest[0] != tagSignature || rest[1] != 32 {
		return layout{}, ErrMalformedToken
	}
	l.signature = rest[2:]
	return l, nil
}

// caveatSize reads the tag and the length in front of a caveat and returns the caveat's length and
// where it starts, or zeros if it is no first-party caveat with a minimal length. Two bytes of
// length reach beyond MaxMacaroonSize.
func caveatSize(b []byte) (size, start int) {
	switch {
	case len(b) < 2 || b[0] != tagIdentifier:
		return 0, 0
	case b[1] < 0x80:
		return int(b[1]), 2
	case len(b) < 3 || b[2] == 0 || b[2] >= 0x80:
		return 0, 0
	}
	return int(b[1]&0x7f) | int(b[2])<<7, 3
}

// nextCaveat cuts the first caveat off the caveats of a layout, which must not be used up.
func nextCaveat(caveats []byte) (caveat, rest []byte) {
	size, start := caveatSize(caveats)
	return caveats[start : start+size], caveats[start+size+1:]
}
