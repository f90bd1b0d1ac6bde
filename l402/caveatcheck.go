package l402

import (
	"crypto/subtle"
	"math"

	"github.com/lightningnetwork/lnd/lntypes"
)

// caveatCheck goes through the caveats of a token whose signature is good, and then says whether
// the token grants what is wanted. What it remembers of the token it remembers as spans: storing
// slices behind a pointer would force the token off the caller's stack.
type caveatCheck struct {
	want     *Want
	known    bool             // a preimage is known and is the right one
	preimage lntypes.Preimage // that preimage
	caveats  []byte           // the caveats as in layout

	named           span // the first services caveat, found before all others are looked at
	services        span // the last one, which is the narrowest
	hasServices     bool
	capabilities    span
	hasCapabilities bool

	validUntil, uses, bytes    limit
	host, path, request, price binding
	limited                    bool // a caveat was seen that limits the token: bindings end here
}

// span is a part of the caveats.
type span struct{ from, to int }

// span remembers a slice of the caveats. How much room is left behind it says where it begins.
func (k *caveatCheck) span(part []byte) span {
	from := cap(k.caveats) - cap(part)
	return span{from, from + len(part)}
}

// text is the slice that a span remembers.
func (k *caveatCheck) text(s span) []byte { return k.caveats[s.from:s.to] }

// limit is a number that repeats of its caveat may only shrink.
type limit struct {
	first uint64 // as it was sold, where the server wrote one
	least uint64
	seen  bool
}

// binding is a value that repeats of its caveat must repeat.
type binding struct {
	value  span
	number uint64 // for prices
	seen   bool
	sold   bool // it stands where Mint writes it; see Want.RequireHost
}

// all reads the caveats in their order and refuses the malformed, unknown and conflicting ones.
func (k *caveatCheck) all() error {
	for rest := k.caveats; len(rest) > 0; {
		var caveat []byte
		caveat, rest = nextCaveat(rest)
		condition, value, found := cut(caveat, '=')
		if found && string(trim(condition)) == ConditionServices {
			k.named = k.span(trim(value))
			break
		}
	}
	for rest := k.caveats; len(rest) > 0; {
		var caveat []byte
		caveat, rest = nextCaveat(rest)
		condition, value, found := cut(caveat, '=')
		if err := k.one(trim(condition), trim(value), found); err != nil {
			return err
		}
	}
	return nil
}

// one reads one caveat. A known condition without "=" is malformed.
func (k *caveatCheck) one(condition, value []byte, found bool) error {
	switch string(condition) {
	case ConditionServices:
		return k.narrowServices(value, found)
	case ConditionPreimage:
		k.limited = true
		return k.samePreimage(value)
	}
	if n := len(k.want.Service); n > 0 && len(condition) > n && string(condition[:n]) == k.want.Service {
		switch string(condition[n:]) {
		case SuffixHost:
			return k.bind(&k.host, value)
		case SuffixPath:
			return k.bind(&k.path, value)
		case SuffixRequest:
			return k.bind(&k.request, value)
		case SuffixPrice:
			number, ok := parseUint(value)
			if !ok || number == 0 {
				return ErrMalformedCaveat
			}
			k.price.number = number
			return k.bind(&k.price, value)
		case SuffixCapabilities:
			k.limited = true
			return k.narrowCapabilities(value, found)
		case SuffixValidUntil:
			k.limited = true
			return k.validUntil.shrink(value, 0, math.MaxInt64)
		case SuffixUses:
			k.limited = true
			return k.uses.shrink(value, 1, math.MaxUint64)
		case SuffixBytes:
			k.limited = true
			return k.bytes.shrink(value, 1, math.MaxUint64)
		}
	}
	k.limited = true
	if k.want.SkipUnknown || k.ofOtherService(condition) {
		return nil
	}
	return ErrUnknownCaveat
}

// shrink takes a number between low and high that is not greater than the one before.
func (l *limit) shrink(value []byte, low, high uint64) error {
	n, ok := parseUint(value)
	if !ok || n < low || n > high {
		return ErrMalformedCaveat
	}
	if l.seen && n > l.least {
		return ErrConflictingCaveats
	}
	if !l.seen {
		l.first = n
	}
	l.least, l.seen = n, true
	return nil
}

// bind takes a value that is the same as the one before.
func (k *caveatCheck) bind(b *binding, value []byte) error {
	if len(value) == 0 {
		return ErrMalformedCaveat
	}
	if b.seen && string(k.text(b.value)) != string(value) {
		return ErrConflictingCaveats
	}
	b.sold = b.sold || !k.limited
	b.value, b.seen = k.span(value), true
	return nil
}

// samePreimage takes a preimage that is the one already found right. If none was found, then this
// one is malformed: findPreimage would have taken it.
func (k *caveatCheck) samePreimage(value []byte) error {
	var p lntypes.Preimage
	if !decodePreimage(&p, value) {
		return ErrMalformedCaveat
	}
	if !k.known || subtle.ConstantTimeCompare(p[:], k.preimage[:]) != 1 {
		return ErrConflictingCaveats
	}
	return nil
}

// narrowServices takes a list of services that is a part of the one before.
func (k *caveatCheck) narrowServices(list []byte, found bool) error {
	if !found {
		return ErrMalformedCaveat
	}
	for rest, more := list, true; more; {
		var item []byte
		item, rest, more = nextItem(rest)
		name, tier, ok := parseService(item)
		if !ok {
			return ErrMalformedCaveat
		}
		if _, granted := grants(k.text(k.services), name, tier); k.hasServices && !granted {
			return ErrConflictingCaveats
		}
	}
	k.services, k.hasServices = k.span(list), true
	return nil
}

// narrowCapabilities takes a list of capabilities that is a part of the one before. The empty list
// is well-formed and grants none.
func (k *caveatCheck) narrowCapabilities(list []byte, found bool) error {
	if !found {
		return ErrMalformedCaveat
	}
	for rest, more := list, len(list) > 0; more; {
		var item []byte
		item, rest, more = nextItem(rest)
		if !validCapability(item) {
			return ErrMalformedCaveat
		}
		if k.hasCapabilities && !contains(k.text(k.capabilities), item) {
			return ErrConflictingCaveats
		}
	}
	k.capabilities, k.hasCapabilities = k.span(list), true
	return nil
}

// ofOtherService reports whether a condition that is unknown for the wanted service belongs to
// another service that the token names in its first services caveat. Where several names fit, as
// with services "a" and "a_b", the longest decides. Later services caveats do not count: they may
// be the holder's, and only narrow.
func (k *caveatCheck) ofOtherService(condition []byte) bool {
	longest, other := -1, false
	for rest, more := k.text(k.named), true; more; {
		var item []byte
		item, rest, more = nextItem(rest)
		name, _, ok := parseService(item)
		if !ok {
			return false
		}
		if n := len(name); n > longest && len(condition) > n+1 && condition[n] == '_' && string(condition[:n]) == string(name) {
			longest, other = n, string(name) != k.want.Service
		}
	}
	return other
}

// verdict says whether what was read grants what is wanted at the Unix time now.
func (k *caveatCheck) verdict(now int64) error {
	w := k.want
	if !k.hasServices {
		return ErrNoServices
	}
	if named, granted := grants(k.text(k.services), w.Service, w.Tier); !named {
		return ErrWrongService
	} else if !granted {
		return ErrWrongTier
	}
	if k.hasCapabilities {
		for _, capability := range w.Capabilities {
			if !contains(k.text(k.capabilities), capability) {
				return ErrMissingCapability
			}
		}
	}
	switch {
	case k.validUntil.seen && now >= int64(k.validUntil.least):
		return ErrExpired
	case !k.fits(&k.host, w.Host, w.RequireHost):
		return ErrWrongHost
	case !k.fits(&k.path, w.Path, w.RequirePath):
		return ErrWrongPath
	case !w.SizedRequest && !k.fits(&k.request, w.Request, w.RequireRequest), w.SizedRequest && !k.sized():
		return ErrWrongRequest
	case w.RequirePrice && (!k.price.sold || k.price.number != uint64(w.Price)):
		return ErrWrongPrice
	}
	return nil
}

// fits reports whether a binding lets the wanted value pass.
func (k *caveatCheck) fits(b *binding, wanted string, required bool) bool {
	if b.seen && string(k.text(b.value)) != wanted {
		return false
	}
	return b.sold || !required
}

// sized reports whether the token was sold for the wanted request and a size of it.
func (k *caveatCheck) sized() bool {
	_, ok := k.size()
	request, _, _ := cut(k.text(k.request.value), '~')
	return ok && k.request.sold && string(request) == k.want.Request
}

// size is the one that the binding to a request tells, if it does.
func (k *caveatCheck) size() (uint64, bool) {
	_, number, found := cut(k.text(k.request.value), '~')
	size, ok := parseUint(number)
	return size, found && ok && size > 0
}

// grants looks for a service and a tier of it in the well-formed value of a services caveat.
func grants[T text](list []byte, service T, tier uint8) (named, granted bool) {
	for rest, more := list, len(list) > 0; more && !granted; {
		var item []byte
		item, rest, more = nextItem(rest)
		if name, t, ok := parseService(item); ok && string(name) == string(service) {
			named, granted = true, t == tier
		}
	}
	return named, granted
}

// contains looks for an item in a list.
func contains[T text](list []byte, wanted T) bool {
	for rest, more := list, len(list) > 0; more; {
		var item []byte
		item, rest, more = nextItem(rest)
		if string(item) == string(wanted) {
			return true
		}
	}
	return false
}
