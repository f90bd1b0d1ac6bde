package l402

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"gopkg.in/macaroon.v2"
)

// Location is the location hint of every token. Clients expect it, and Verify accepts no other.
const Location = "lsat"

// Terms is what a token sells. The zero value of a field means that its caveat is not written.
type Terms struct {
	// Service is the name of the service; see ValidServiceName.
	Service string
	// Tier is the tier of the service.
	Tier uint8
	// LowerTiers is how many of the tiers below Tier the token opens too; at most Tier.
	LowerTiers uint8
	// Capabilities are the capabilities of the service that the token opens; none means all.
	Capabilities []string
	// ValidUntil is when the token ends, cut to whole seconds.
	ValidUntil time.Time
	// Uses is how often the token can be used.
	Uses uint64
	// Bytes is how many bytes the token buys.
	Bytes uint64
	// Host, Path and Request bind the token to a host, a path and a request. Request is any
	// text that is the same for the same request, such as a hash of it.
	Host, Path, Request string
	// RequestSize is the size of Request that is sold, as Want.SizedRequest has it; zero for none.
	RequestSize uint64
	// Price is the price in millisatoshi that the token is sold at.
	Price lnwire.MilliSatoshi
}

// Caveats returns the caveats of the terms in the order that Verify counts on: services, then what
// binds the token, then what limits it.
func (t Terms) Caveats() []Caveat {
	services := t.Service + ":" + strconv.Itoa(int(t.Tier))
	for i := range int(min(t.LowerTiers, t.Tier)) {
		services += "," + t.Service + ":" + strconv.Itoa(int(t.Tier)-1-i)
	}
	cs := []Caveat{{ConditionServices, services}}
	add := func(suffix, value string) {
		cs = append(cs, Caveat{t.Service + suffix, value})
	}
	if t.Host != "" {
		add(SuffixHost, t.Host)
	}
	if t.Path != "" {
		add(SuffixPath, t.Path)
	}
	switch {
	case t.Request != "" && t.RequestSize > 0:
		add(SuffixRequest, t.Request+"~"+strconv.FormatUint(t.RequestSize, 10))
	case t.Request != "":
		add(SuffixRequest, t.Request)
	}
	if t.Price != 0 {
		add(SuffixPrice, strconv.FormatUint(uint64(t.Price), 10))
	}
	if len(t.Capabilities) > 0 {
		add(SuffixCapabilities, strings.Join(t.Capabilities, ","))
	}
	if !t.ValidUntil.IsZero() {
		add(SuffixValidUntil, strconv.FormatInt(t.ValidUntil.Unix(), 10))
	}
	if t.Uses != 0 {
		add(SuffixUses, strconv.FormatUint(t.Uses, 10))
	}
	if t.Bytes != 0 {
		add(SuffixBytes, strconv.FormatUint(t.Bytes, 10))
	}
	return cs
}

// Mint makes a token with the given master key, which must be the one that id names by its key id.
// The first caveat must be a services caveat: without one the holder could write his own. Mint
// returns ErrTokenTooLong if Verify would not take the token for its length, which a long path can
// cause, and ErrMalformedCaveat if a caveat would not be read back as it is.
func Mint(key *MasterKey, id Identifier, caveats []Caveat) ([]byte, error) {
	if len(caveats) == 0 || caveats[0].Condition != ConditionServices {
		return nil, fmt.Errorf("minting token: the first caveat is not %q: %w", ConditionServices, ErrNoServices)
	}
	if !validServices(caveats[0].Value) {
		return nil, fmt.Errorf("minting token: reading %q: %w", caveats[0].Encode(), ErrMalformedCaveat)
	}
	root := RootKey(key, &id.TokenID)
	identifier := id.Bytes()
	m, err := macaroon.New(root[:], identifier[:], Location, macaroon.V2)
	if err != nil {
		return nil, fmt.Errorf("minting token: %w", err)
	}
	token, err := addCaveats(m, caveats)
	if err != nil {
		return nil, fmt.Errorf("minting token: %w", err)
	}
	return token, nil
}

// Attenuate returns a copy of the token with more caveats. It needs no key: whoever holds a token
// can narrow it. It takes any binary macaroon, whoever made it.
func Attenuate(mac []byte, caveats ...Caveat) ([]byte, error) {
	m := new(macaroon.Macaroon)
	if err := m.UnmarshalBinary(mac); err != nil {
		return nil, fmt.Errorf("attenuating token: %w: %w", ErrMalformedToken, err)
	}
	token, err := addCaveats(m, caveats)
	if err != nil {
		return nil, fmt.Errorf("attenuating token: %w", err)
	}
	return token, nil
}

// addCaveats adds caveats to m and returns it in binary form.
func addCaveats(m *macaroon.Macaroon, caveats []Caveat) ([]byte, error) {
	for _, c := range caveats {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("adding caveat %q: %w", c, err)
		}
		if err := m.AddFirstPartyCaveat([]byte(c.Encode())); err != nil {
			return nil, fmt.Errorf("adding caveat %q: %w", c, err)
		}
	}
	token, err := m.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding token: %w", err)
	}
	if len(token) > MaxMacaroonSize || len(m.Caveats()) > MaxCaveats {
		return nil, fmt.Errorf("%w: %d bytes and %d caveats, at most %d and %d are taken",
			ErrTokenTooLong, len(token), len(m.Caveats()), MaxMacaroonSize, MaxCaveats)
	}
	return token, nil
}

// validServices reports whether list is a well-formed value of a services caveat.
func validServices[T text](list T) bool {
	for more := true; more; {
		var item T
		item, list, more = nextItem(list)
		if _, _, ok := parseService(item); !ok {
			return false
		}
	}
	return true
}
