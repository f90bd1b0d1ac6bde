package l402

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/macaroon.v2"
)

// anyKey is a server whose one key answers to every key id, so that mutations of the key id reach
// the signature.
type anyKey struct{}

func (anyKey) MasterKey(KeyID) *MasterKey { return &testMaster }

// oracle says with macaroon.v2 whether mac is a token of ours with a good signature: it decodes, is
// encoded in the one way, and its chain of HMACs ends in its signature.
func oracle(mac []byte) bool {
	m := new(macaroon.Macaroon)
	if len(mac) > MaxMacaroonSize || m.UnmarshalBinary(mac) != nil {
		return false
	}
	again, err := m.MarshalBinary()
	if err != nil || !bytes.Equal(again, mac) || m.Version() != macaroon.V2 || m.Location() != Location || len(m.Caveats()) > MaxCaveats {
		return false
	}
	id, err := ParseIdentifier(m.Id())
	if err != nil {
		return false
	}
	root := RootKey(&testMaster, &id.TokenID)
	_, err = m.VerifySignature(root[:], nil)
	return err == nil
}

// signed reports whether a verdict was given after the signature was found good.
func signed(err error) bool {
	switch err {
	case ErrTokenTooLong, ErrMalformedToken, ErrUnsupportedVersion, ErrUnknownKey, ErrPreimageMismatch, ErrBadSignature:
		return false
	}
	return true
}

// resign puts the right signature into a mutated token if macaroon.v2 can decode it, so that the
// fuzzer gets past the signature, which it cannot guess.
func resign(mac []byte) []byte {
	m := new(macaroon.Macaroon)
	if m.UnmarshalBinary(mac) != nil || !bytes.HasSuffix(mac, m.Signature()) || m.Version() != macaroon.V2 {
		return mac
	}
	id, err := ParseIdentifier(m.Id())
	if err != nil {
		return mac
	}
	root := RootKey(&testMaster, &id.TokenID)
	right, err := macaroon.New(root[:], m.Id(), m.Location(), macaroon.V2)
	if err != nil {
		return mac
	}
	for _, c := range m.Caveats() {
		if err := right.AddFirstPartyCaveat(c.Id); err != nil {
			return mac
		}
	}
	return append(bytes.Clone(mac[:len(mac)-32]), right.Signature()...)
}

// FuzzVerify feeds bytes to Verify and to macaroon.v2: both find the signature good, or neither
// does. Tokens are tried as they are and signed anew.
func FuzzVerify(f *testing.F) {
	full := testTerms()
	full.Capabilities, full.Uses, full.Path, full.Price = []string{"a", "b"}, 3, "/p", 1000
	f.Add(mint(f, testTerms()))
	f.Add(mint(f, full))
	f.Add(mintRaw(f))
	f.Add(mintRaw(f, "", "services="+testService+":0", strings.Repeat("x", 200)))
	f.Add(mintRaw(f, "services="+testService+":0", "preimage="+testPreimage.String()))
	for _, v := range loadVectors(f) {
		f.Add(unhex(f, v.MacaroonHex))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, mac := range [][]byte{data, resign(data)} {
			var c Credential
			if c.SetMacaroon(mac) != nil {
				continue
			}
			good := oracle(mac)
			for _, w := range []*Want{testWant(), {Service: "svc", Now: testNow, SkipUnknown: true}} {
				for _, known := range []bool{false, true} {
					c.HasPreimage, c.Preimage = known, testPreimage
					var g Grant
					err := Verify(anyKey{}, &c, w, &g)
					if signed(err) && !good {
						t.Fatalf("%v, where macaroon.v2 finds the signature of %x bad", err, mac)
					}
					if good && !signed(err) && err != ErrPreimageMismatch {
						t.Fatalf("%v, where macaroon.v2 finds the signature of %x good", err, mac)
					}
					if g.Paid != (err == nil) || err != nil && err != ErrPreimageMissing && g != (Grant{}) {
						t.Fatalf("error %v with grant %+v", err, g)
					}
				}
			}
		}
	})
}

// FuzzCaveats signs caveats of any text and compares Verify with a model of the same rules that is
// written plainly, with strings and maps.
func FuzzCaveats(f *testing.F) {
	for _, seed := range []string{
		"services=svc:0", "services=svc:0,b:1|services=svc:0|b_x=1", "services = svc:0 |svc_valid_until=1800000001",
		"services=svc:0|svc_host=h|svc_path=/p|svc_request=r|svc_price_msat=1000|svc_uses=4|svc_uses=3",
		"services=svc:0|svc_capabilities=a,b|svc_capabilities=a|svc_bytes=1", "services=svc:0|svc_valid_until=5|foo",
		"services=svc:0|svc_uses=1|svc_host=h", "services=svc:0,svc_b:0|svc_b_host=1|foo=bar", "services=svc:0|svc_host=h|svc_host=g",
	} {
		for mode := range uint8(8) {
			f.Add(seed, mode)
		}
	}
	f.Fuzz(func(t *testing.T, text string, mode uint8) {
		caveats := strings.Split(text, "|")
		w := &Want{Service: "svc", Now: testNow, SkipUnknown: mode&1 != 0}
		if mode&2 != 0 {
			w.Host, w.Path, w.Request, w.Price, w.Capabilities = "h", "/p", "r", 1000, []string{"a"}
		}
		if mode&4 != 0 {
			w.RequireHost, w.RequirePath, w.RequireRequest, w.RequirePrice = true, true, true, true
		}
		mac := mintRaw(t, caveats...)
		if len(mac) > MaxMacaroonSize || len(caveats) > MaxCaveats {
			return
		}
		g, err := verify(mac, &testPreimage, w)
		if !signed(err) {
			t.Fatalf("%v for a token that is signed", err)
		}
		if want := model(caveats, w); (err == nil) != want {
			t.Fatalf("Verify says %v (%+v), the model %v, on %q", err, g, want, caveats)
		}
	})
}

var errModel = errors.New("refused")

// model reports whether a token with these caveats, paid with testPreimage, grants what is wanted.
func model(caveats []string, w *Want) bool {
	blanks := func(s string) string { return strings.Trim(s, " \t") }
	list := func(s string) (items []string) {
		for item := range strings.SplitSeq(s, ",") {
			items = append(items, blanks(item))
		}
		return items
	}
	number := func(s string, low uint64) (uint64, error) {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil || strconv.FormatUint(n, 10) != s || n < low {
			return 0, errModel
		}
		return n, nil
	}
	services := func(s string) (map[string]bool, error) {
		pairs := map[string]bool{}
		for _, item := range list(s) {
			parts := strings.Split(item, ":")
			if len(parts) != 2 || !ValidServiceName(blanks(parts[0])) {
				return nil, errModel
			}
			if tier, err := number(blanks(parts[1]), 0); err != nil || tier > 255 {
				return nil, errModel
			}
			pairs[blanks(parts[0])+":"+blanks(parts[1])] = true
		}
		return pairs, nil
	}
	subset := func(a, b map[string]bool) bool {
		for k := range a {
			if !b[k] {
				return false
			}
		}
		return true
	}

	named := map[string]bool{}
	for _, c := range caveats {
		if condition, value, ok := strings.Cut(c, "="); ok && blanks(condition) == "services" {
			if pairs, err := services(blanks(value)); err == nil {
				for pair := range pairs {
					name, _, _ := strings.Cut(pair, ":")
					named[name] = true
				}
			}
			break
		}
	}

	var granted, capabilities map[string]bool
	bound, sold, numbers := map[string]string{}, map[string]bool{}, map[string]uint64{}
	fence := false
	for _, c := range caveats {
		condition, value, found := strings.Cut(c, "=")
		condition, value = blanks(condition), blanks(value)
		suffix, own := strings.CutPrefix(condition, w.Service+"_")
		switch {
		case condition == "services":
			next, err := services(value)
			if !found || err != nil || granted != nil && !subset(next, granted) {
				return false
			}
			granted = next
		case condition == "preimage":
			b, err := hex.DecodeString(value)
			if err != nil || !bytes.Equal(b, testPreimage[:]) {
				return false
			}
			fence = true
		case own && slices.Contains([]string{"host", "path", "request", "price_msat"}, suffix):
			if suffix == "price_msat" {
				if _, err := number(value, 1); err != nil {
					return false
				}
			}
			if old, again := bound[suffix]; value == "" || again && old != value {
				return false
			}
			bound[suffix] = value
			sold[suffix] = sold[suffix] || !fence
		case own && slices.Contains([]string{"valid_until", "uses", "bytes"}, suffix):
			low := uint64(1)
			if suffix == "valid_until" {
				low = 0
			}
			n, err := number(value, low)
			if old, again := numbers[suffix]; err != nil || again && n > old || suffix == "valid_until" && n >= 1<<63 {
				return false
			}
			numbers[suffix] = n
			fence = true
		case own && suffix == "capabilities":
			next := map[string]bool{}
			if value != "" {
				for _, item := range list(value) {
					if !ValidCapability(item) {
						return false
					}
					next[item] = true
				}
			}
			if !found || capabilities != nil && !subset(next, capabilities) {
				return false
			}
			capabilities = next
			fence = true
		default:
			fence = true
			owner := ""
			for name := range named {
				if rest, ok := strings.CutPrefix(condition, name+"_"); ok && rest != "" && len(name) > len(owner) {
					owner = name
				}
			}
			if !w.SkipUnknown && (owner == "" || owner == w.Service) {
				return false
			}
		}
	}

	if !granted[w.Service+":"+strconv.Itoa(int(w.Tier))] {
		return false
	}
	for _, c := range w.Capabilities {
		if capabilities != nil && !capabilities[c] {
			return false
		}
	}
	if until, ok := numbers["valid_until"]; ok && uint64(w.Now) >= until {
		return false
	}
	fits := func(suffix, wanted string, required bool) bool {
		value, ok := bound[suffix]
		return (!ok || value == wanted) && (sold[suffix] || !required)
	}
	return fits("host", w.Host, w.RequireHost) && fits("path", w.Path, w.RequirePath) && fits("request", w.Request, w.RequireRequest) &&
		(!w.RequirePrice || sold["price_msat"] && bound["price_msat"] == strconv.FormatUint(uint64(w.Price), 10))
}
