package bolt12

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	tlv "github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
)

// Fields of a BOLT 12 offer.
const (
	typeChains      = 2
	typeCurrency    = 6
	typeAmount      = 8
	typeDescription = 10
	typeFeatures    = 12
	typeExpiry      = 14
	typePaths       = 16
	typeIssuer      = 18
	typeQuantityMax = 20
	typeIssuerID    = 22
)

// knownEven are the even fields that BOLT 12 gives an offer. A reader must refuse others, since
// they change what the offer means.
var knownEven = []uint64{
	2, 4, typeCurrency, typeAmount, typeDescription, typeFeatures, typeExpiry, typePaths, typeIssuer,
	typeQuantityMax, typeIssuerID,
}

// recurrence are the fields by which Core Lightning marks offers for payments again and again.
const firstRecurrence, lastRecurrence = 24, 29

// offer is a BOLT 12 offer that was checked. It does not change.
type offer struct {
	// text is in lower case and in one piece.
	text    string
	records []tlv.Record
	// signers are the keys of which one signs the invoices: the issuer's, or where the offer
	// names none, those at the ends of its paths.
	signers [][33]byte
	// amount is in millisatoshi; zero where the offer leaves it to the payer or names it in a
	// currency.
	amount lnwire.MilliSatoshi
	// expiry is zero where the offer has none.
	expiry time.Time
}

func (o *offer) expired(now time.Time) bool {
	return !o.expiry.IsZero() && now.After(o.expiry)
}

// parseOffer reads an offer as an operator pastes it, and refuses what no invoice can be fetched
// for on this network.
func parseOffer(text string, network wallets.Network) (*offer, error) {
	text, err := plain(text)
	if err != nil {
		return nil, err
	}
	hrp, data, err := tlv.DecodeText(text)
	if err != nil {
		return nil, err
	}
	if hrp != "lno" {
		return nil, errors.New("it does not begin with lno1")
	}
	o := &offer{text: text}
	if o.records, err = tlv.Parse(data); err != nil {
		return nil, err
	}
	if err := checkTypes(o.records); err != nil {
		return nil, err
	}
	for _, read := range []func([]tlv.Record) error{
		func(r []tlv.Record) error { return checkChain(r, network) },
		checkFeatures, o.readAmount, o.readExpiry, o.readSigners,
	} {
		if err := read(o.records); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// plain gives the text in one piece and in lower case.
func plain(text string) (string, error) {
	text = strings.TrimSpace(text)
	const scheme = "lightning:"
	if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		text = text[len(scheme):]
	}
	// Joins add little, and the bound comes before they are looked for.
	if len(text) > 2*wallets.MaxPaymentRequest {
		return "", fmt.Errorf("it is longer than %d bytes", wallets.MaxPaymentRequest)
	}
	text, err := tlv.Join(text)
	if err != nil {
		return "", err
	}
	if len(text) > wallets.MaxPaymentRequest {
		return "", fmt.Errorf("it is longer than %d bytes", wallets.MaxPaymentRequest)
	}
	if text != strings.ToLower(text) && text != strings.ToUpper(text) {
		return "", errors.New("upper and lower case are mixed")
	}
	return strings.ToLower(text), nil
}

// isOfferType tells the fields that are an offer's, which its invoices repeat.
func isOfferType(typ uint64) bool {
	return typ >= 1 && typ <= 79 || typ >= 1_000_000_000 && typ <= 1_999_999_999
}

func checkTypes(records []tlv.Record) error {
	for _, r := range records {
		switch {
		case r.Type >= firstRecurrence && r.Type <= lastRecurrence:
			return errors.New("it is for recurring payments: make one without recurrence")
		case r.Type == typeQuantityMax:
			return errors.New("it is for a quantity of items: make one without quantity_max")
		case !isOfferType(r.Type):
			return fmt.Errorf("field %d is not an offer's", r.Type)
		case r.Type%2 == 0 && !slices.Contains(knownEven, r.Type):
			return fmt.Errorf("field %d is unknown and must be understood", r.Type)
		}
	}
	for _, typ := range []uint64{typeDescription, typeIssuer, typeCurrency} {
		if v, _ := tlv.Find(records, typ); !utf8.Valid(v) {
			return fmt.Errorf("field %d is not UTF-8", typ)
		}
	}
	return nil
}

func checkChain(records []tlv.Record, network wallets.Network) error {
	chains, ok := tlv.Find(records, typeChains)
	want := network.Params().GenesisHash[:]
	if !ok {
		chains = wallets.Mainnet.Params().GenesisHash[:]
	}
	if len(chains) == 0 || len(chains)%len(want) != 0 {
		return errors.New("offer_chains is no list of chains")
	}
	for chain := range slices.Chunk(chains, len(want)) {
		if bytes.Equal(chain, want) {
			return nil
		}
	}
	return fmt.Errorf("it is not for %s: set the network of cln to that of the offer", network)
}

// checkFeatures refuses features that must be understood; BOLT 12 has none for offers so far.
func checkFeatures(records []tlv.Record) error {
	v, _ := tlv.Find(records, typeFeatures)
	for _, b := range v {
		// Even bits are the compulsory ones.
		if b&0x55 != 0 {
			return errors.New("it needs features that are unknown here")
		}
	}
	return nil
}

func (o *offer) readAmount(records []tlv.Record) error {
	v, ok := tlv.Find(records, typeAmount)
	_, currency := tlv.Find(records, typeCurrency)
	if !ok {
		if currency {
			return errors.New("it names a currency and no amount")
		}
		return nil
	}
	amount, err := tlv.Uint(v, 8)
	if err != nil || amount == 0 {
		return errors.New("offer_amount is not an amount")
	}
	if _, ok := tlv.Find(records, typeDescription); !ok {
		return errors.New("it names an amount and no description")
	}
	if !currency {
		o.amount = lnwire.MilliSatoshi(amount)
	}
	return nil
}

func (o *offer) readExpiry(records []tlv.Record) error {
	v, ok := tlv.Find(records, typeExpiry)
	if !ok {
		return nil
	}
	seconds, err := tlv.Uint(v, 8)
	if err != nil {
		return errors.New("offer_absolute_expiry is not a time")
	}
	// Beyond 2^40 seconds, 34,000 years, times get near their limits.
	o.expiry = time.Unix(int64(min(seconds, 1<<40)), 0)
	return nil
}

func (o *offer) readSigners(records []tlv.Record) error {
	if id, ok := tlv.Find(records, typeIssuerID); ok {
		key, err := readKey(id)
		if err != nil {
			return fmt.Errorf("offer_issuer_id: %w", err)
		}
		o.signers = [][33]byte{key}
		return nil
	}
	paths, ok := tlv.Find(records, typePaths)
	if !ok || len(paths) == 0 {
		return errors.New("it names neither an issuer nor a path to one")
	}
	for len(paths) > 0 {
		end, rest, err := pathEnd(paths)
		if err != nil {
			return fmt.Errorf("offer_paths: %w", err)
		}
		o.signers, paths = append(o.signers, end), rest
	}
	return nil
}

func readKey(b []byte) ([33]byte, error) {
	if _, err := btcec.ParsePubKey(b); err != nil || len(b) != 33 {
		return [33]byte{}, errors.New("it is not a compressed public key")
	}
	return [33]byte(b), nil
}

var errPath = errors.New("a path ends too early")

// pathEnd reads one blinded path (BOLT 4) and gives the key of its last hop and what follows.
func pathEnd(b []byte) (end [33]byte, rest []byte, err error) {
	// It begins with a key, or with a direction and a short channel id.
	first := 33
	if len(b) > 0 && b[0] < 2 {
		first = 9
	}
	if len(b) < first+33+1 {
		return end, nil, errPath
	}
	hops := int(b[first+33])
	b = b[first+33+1:]
	if hops == 0 {
		return end, nil, errors.New("a path has no hop")
	}
	for range hops {
		if len(b) < 33+2 {
			return end, nil, errPath
		}
		if end, err = readKey(b[:33]); err != nil {
			return end, nil, err
		}
		length := int(binary.BigEndian.Uint16(b[33:]))
		if b = b[33+2:]; len(b) < length {
			return end, nil, errPath
		}
		b = b[length:]
	}
	return end, b, nil
}
