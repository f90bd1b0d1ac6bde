package l402

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"gopkg.in/macaroon.v2"
)

// Description explains a token to a person. It is made without a key, so nothing in it is verified,
// and it holds neither the signature nor a preimage, so that it can be shown around.
type Description struct {
	// Version is the version of the macaroon's encoding; tokens of this package have 2.
	Version int `json:"version"`
	// Size is the length of the token in bytes.
	Size int `json:"size"`
	// Location is the location hint; tokens of this package have "lsat".
	Location string `json:"location"`
	// PaymentHash is the payment hash of the invoice that buys the token, in hex. It is empty
	// if the identifier is not one of L402.
	PaymentHash string `json:"payment_hash,omitempty"`
	// TokenID is the token id, in hex.
	TokenID string `json:"token_id,omitempty"`
	// KeyID is the id of the master key, in hex. It means something only if the token was made
	// by this package.
	KeyID string `json:"key_id,omitempty"`
	// Caveats are the caveats in their order.
	Caveats []CaveatDescription `json:"caveats"`
	// ValidUntil is the earliest end of any service's time, zero if there is none before the
	// year 10000.
	ValidUntil time.Time `json:"valid_until,omitzero"`
	// HasPreimage says that a caveat carries a preimage.
	HasPreimage bool `json:"has_preimage"`
	// Problems says why a server with this package would refuse the token whatever its key.
	Problems []string `json:"problems,omitempty"`
}

// CaveatDescription explains one caveat.
type CaveatDescription struct {
	// Text is the caveat as it stands in the token, a preimage left out.
	Text string `json:"text"`
	// Meaning says in a few words what it does.
	Meaning string `json:"meaning"`
}

// Describe explains a token in binary form. It takes any macaroon that can be decoded, also those
// of other servers that Verify would refuse.
func Describe(mac []byte) (*Description, error) {
	m := new(macaroon.Macaroon)
	if err := m.UnmarshalBinary(mac); err != nil {
		return nil, fmt.Errorf("decoding macaroon: %w: %w", ErrMalformedToken, err)
	}
	d := &Description{Version: int(m.Version()), Size: len(mac), Location: m.Location()}
	if id, err := ParseIdentifier(m.Id()); err != nil {
		d.Problems = append(d.Problems, "the identifier is not one of L402: "+err.Error())
	} else {
		d.PaymentHash, d.TokenID, d.KeyID = id.PaymentHash.String(), id.TokenID.String(), id.TokenID.KeyID().String()
	}
	if _, err := parseLayout(mac); err != nil {
		d.Problems = append(d.Problems, err.Error())
	}

	services := false
	for _, c := range m.Caveats() {
		if len(c.VerificationId) > 0 {
			d.Caveats = append(d.Caveats, CaveatDescription{strconv.Quote(string(c.Id)), "third-party caveat, not part of L402"})
			continue
		}
		caveat, err := ParseCaveat(string(c.Id))
		if err != nil {
			d.Caveats = append(d.Caveats, CaveatDescription{printable(string(c.Id)), "unknown: not of the form condition=value"})
			continue
		}
		meaning := caveat.meaning()
		d.Caveats = append(d.Caveats, CaveatDescription{printable(caveat.String()), printable(meaning)})
		services = services || caveat.Condition == ConditionServices
		var p lntypes.Preimage
		d.HasPreimage = d.HasPreimage || caveat.Condition == ConditionPreimage && decodePreimage(&p, caveat.Value)
		if t, ok := caveat.validUntil(); ok && (d.ValidUntil.IsZero() || t.Before(d.ValidUntil)) {
			d.ValidUntil = t
		}
	}
	if !services {
		d.Problems = append(d.Problems, ErrNoServices.Error())
	}
	return d, nil
}

// lastSecond is the end of the year 9999, beyond which times have no common text.
const lastSecond = 253402300799

// validUntil returns the time of a valid_until caveat, if it is not later than lastSecond.
func (c Caveat) validUntil() (time.Time, bool) {
	_, ok := strings.CutSuffix(c.Condition, SuffixValidUntil)
	n, isNumber := parseUint(c.Value)
	if !ok || !isNumber || n > lastSecond {
		return time.Time{}, false
	}
	return time.Unix(int64(n), 0).UTC(), true
}

// meanings explains the constraints of a service. %s stands for the service and the value.
var meanings = []struct{ suffix, format string }{
	{SuffixCapabilities, "%s: only the capabilities %s"},
	{SuffixUses, "%s: at most %s uses"},
	{SuffixBytes, "%s: at most %s bytes"},
	{SuffixHost, "%s: only on host %s"},
	{SuffixPath, "%s: only for path %s"},
	{SuffixRequest, "%s: only for request %s"},
	{SuffixPrice, "%s: sold at %s msat"},
}

// meaning says in a few words what a caveat does.
func (c Caveat) meaning() string {
	switch c.Condition {
	case ConditionServices:
		if !validServices(c.Value) {
			return "malformed: not a list of name:tier"
		}
		return "opens " + c.Value + " (service:tier)"
	case ConditionPreimage:
		return "carries the proof of payment"
	}
	if service, ok := strings.CutSuffix(c.Condition, SuffixValidUntil); ok {
		t, ok := c.validUntil()
		if !ok {
			return service + ": valid until no Unix time before the year 10000"
		}
		return service + ": valid until " + t.Format(time.RFC3339)
	}
	for _, m := range meanings {
		if service, ok := strings.CutSuffix(c.Condition, m.suffix); ok {
			return fmt.Sprintf(m.format, service, c.Value)
		}
	}
	return "unknown: refuses the token unless it belongs to another service that the token names"
}

// printable makes text of a stranger safe for a terminal.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if inner := quoted[1 : len(quoted)-1]; inner != s {
		return quoted
	}
	return s
}

// String returns the description as lines of text.
func (d *Description) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "macaroon version %d, %d bytes, location %s\n", d.Version, d.Size, printable(d.Location))
	if d.PaymentHash != "" {
		fmt.Fprintf(&b, "payment hash  %s\ntoken id      %s\nkey id        %s\n", d.PaymentHash, d.TokenID, d.KeyID)
	}
	if !d.ValidUntil.IsZero() {
		fmt.Fprintf(&b, "valid until   %s\n", d.ValidUntil.Format(time.RFC3339))
	}
	for _, c := range d.Caveats {
		fmt.Fprintf(&b, "caveat        %s\n              %s\n", c.Text, c.Meaning)
	}
	for _, p := range d.Problems {
		fmt.Fprintf(&b, "problem       %s\n", printable(p))
	}
	return b.String()
}

// Interface guards
var (
	_ fmt.Stringer = (*Description)(nil)
	_ fmt.Stringer = Caveat{}
)
