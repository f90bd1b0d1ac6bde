package l402

// The vocabulary of caveats. A caveat is text of the form condition=value, split at the first "=";
// blanks around the sign and around the items of a list are ignored. Constraints belong to one
// service: their condition is the service's name, an underscore and one of the suffixes below.
//
//	services=name:tier[,name:tier]     what the token opens; tier is a number from 0 to 255
//	<service>_capabilities=a,b         what of the service may be used; without it everything
//	<service>_valid_until=<unix>       valid while the time in seconds is less than this
//	<service>_uses=<n>                 number of uses, at least 1
//	<service>_bytes=<n>                number of bytes to be had, at least 1
//	<service>_host=<host>              the host the token is bound to
//	<service>_path=<path>              the path the token is bound to
//	<service>_request=<text>           the request the token is bound to, such as its hash
//	<service>_price_msat=<n>           the price it was sold at, in millisatoshi
//	preimage=<64 hex digits>           the proof of payment, added by the client
//
// A holder may add caveats. A repeat of services or capabilities may only narrow the list, a repeat
// of valid_until, uses or bytes may only shrink the number, all other repeats must be equal.
const (
	// ConditionServices lists what the token opens.
	ConditionServices = "services"
	// ConditionPreimage carries the proof of payment inside the token.
	ConditionPreimage = "preimage"

	// SuffixCapabilities limits a service to some of its capabilities.
	SuffixCapabilities = "_capabilities"
	// SuffixValidUntil ends the token's life at a Unix time in seconds.
	SuffixValidUntil = "_valid_until"
	// SuffixUses limits how often the token can be used.
	SuffixUses = "_uses"
	// SuffixBytes limits how many bytes the token buys.
	SuffixBytes = "_bytes"
	// SuffixHost binds the token to a host.
	SuffixHost = "_host"
	// SuffixPath binds the token to a path.
	SuffixPath = "_path"
	// SuffixRequest binds the token to one request.
	SuffixRequest = "_request"
	// SuffixPrice names the price in millisatoshi that the token was sold at.
	SuffixPrice = "_price_msat"
)

// Caveat is one restriction of a token.
type Caveat struct {
	// Condition is the part before the "=", without blanks around it.
	Condition string
	// Value is the part behind the "=", without blanks around it.
	Value string
}

// ParseCaveat reads a caveat from the text in a token. It returns ErrMalformedCaveat if the text
// has no "=" or nothing before it.
func ParseCaveat(s string) (Caveat, error) {
	condition, value, found := cut(s, '=')
	c := Caveat{Condition: trim(condition), Value: trim(value)}
	if !found || c.Condition == "" {
		return Caveat{}, ErrMalformedCaveat
	}
	return c, nil
}

// Encode returns the caveat as it stands in a token.
func (c Caveat) Encode() string { return c.Condition + "=" + c.Value }

// String returns the caveat as it stands in a token, with a preimage left out: that is a secret.
func (c Caveat) String() string {
	if c.Condition == ConditionPreimage {
		return ConditionPreimage + "=…"
	}
	return c.Encode()
}

// check returns ErrMalformedCaveat if the caveat would not be read back as it is.
func (c Caveat) check() error {
	if back, err := ParseCaveat(c.Encode()); err != nil || back != c {
		return ErrMalformedCaveat
	}
	return nil
}

// parseService reads one "name:tier" item of a services caveat.
func parseService[T text](item T) (name T, tier uint8, ok bool) {
	name, number, found := cut(item, ':')
	name = trim(name)
	n, isNumber := parseUint(trim(number))
	if !found || !isNumber || n > 255 || !validServiceName(name) {
		return name, 0, false
	}
	return name, uint8(n), true
}
