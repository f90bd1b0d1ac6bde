package l402

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"gopkg.in/macaroon.v2"
)

// The cast of the tests: one server with one master key, one paid invoice, one service.
const (
	testService = "api.example.com"
	testNow     = int64(1_800_000_000)
)

var (
	testMaster   = MasterKey{1, 2, 3, 31: 4}
	testKeyID    = KeyID{0xaa, 0xbb, 7: 0xcc}
	testPreimage = lntypes.Preimage{9, 8, 7, 31: 6}
	testKeys     = keyRing{testKeyID: &testMaster}
)

// keyRing is the Keys of a server that has its keys in memory.
type keyRing map[KeyID]*MasterKey

func (k keyRing) MasterKey(id KeyID) *MasterKey { return k[id] }

// testID is the identifier of a token for testPreimage.
func testID() Identifier {
	token := TokenID{8: 1, 9: 2, 31: 3}
	copy(token[:], testKeyID[:])
	return Identifier{PaymentHash: sha256.Sum256(testPreimage[:]), TokenID: token}
}

// testTerms are terms with three caveats.
func testTerms() Terms {
	return Terms{Service: testService, Host: testService, ValidUntil: time.Unix(testNow+3600, 0)}
}

// testWant is what testTerms sells.
func testWant() *Want {
	return &Want{Service: testService, Host: testService, RequireHost: true, Now: testNow}
}

// mint makes a token on the given terms for testPreimage.
func mint(t testing.TB, terms Terms) []byte {
	t.Helper()
	mac, err := Mint(&testMaster, testID(), terms.Caveats())
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

// mintRaw makes a token with caveats of any text, also such as Mint refuses.
func mintRaw(t testing.TB, caveats ...string) []byte {
	t.Helper()
	id := testID()
	return mintWith(t, RootKey(&testMaster, &id.TokenID), id.Bytes(), Location, caveats...)
}

// mintWith makes a macaroon with everything given.
func mintWith(t testing.TB, root [32]byte, id [IdentifierSize]byte, location string, caveats ...string) []byte {
	t.Helper()
	m, err := macaroon.New(root[:], id[:], location, macaroon.V2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range caveats {
		if err := m.AddFirstPartyCaveat([]byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	mac, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

// verify verifies a token with a preimage, which may be nil.
func verify(mac []byte, preimage *lntypes.Preimage, w *Want) (Grant, error) {
	var c Credential
	if err := c.SetMacaroon(mac); err != nil {
		return Grant{}, err
	}
	if preimage != nil {
		c.Preimage, c.HasPreimage = *preimage, true
	}
	var g Grant
	err := Verify(testKeys, &c, w, &g)
	return g, err
}

// read collects what a Reader finds. Credentials that are read are copied, errors kept in order.
func read(h http.Header, allowed Form) (found []Credential, errs []error) {
	r := NewReader(h, allowed)
	for {
		var c Credential
		ok, err := r.Next(&c)
		switch {
		case !ok:
			return found, errs
		case err != nil:
			errs = append(errs, err)
		default:
			found = append(found, c)
		}
	}
}

// header makes a header from "Name: value" lines.
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}
