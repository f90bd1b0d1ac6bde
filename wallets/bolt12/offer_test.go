package bolt12

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets"
	tlv "github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
)

// published is the offer of the examples at bolt12.org.
const published = "lno1pg257enxv4ezqcneype82um50ynhxgrwdajx293pqglnyxw6q0hzngfdusg8umzuxe8kquuz7pjl90ldj8wadwgs0xlmc"

func encode(records ...tlv.Record) string {
	return tlv.EncodeText("lno", tlv.Serialize(records))
}

func TestParsePublishedOffer(t *testing.T) {
	o, err := parseOffer(published, wallets.Mainnet)
	if err != nil {
		t.Fatal(err)
	}
	description, _ := tlv.Find(o.records, typeDescription)
	if string(description) != "Offer by rusty's node" || len(o.signers) != 1 || o.amount != 0 || !o.expiry.IsZero() {
		t.Errorf("got %q, %+v", description, o)
	}
	for name, text := range map[string]string{
		"upper case": strings.ToUpper(published),
		"joined":     published[:20] + "+\n  " + published[20:50] + "+" + published[50:],
		"as a link":  " lightning:" + published + "\n",
	} {
		if again, err := parseOffer(text, wallets.Mainnet); err != nil || again.text != published {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseOfferRefuses(t *testing.T) {
	key := tlv.Record{Type: 22, Value: pub(newKey(t))}
	text := tlv.Record{Type: 10, Value: []byte("x")}
	amount := tlv.Record{Type: 8, Value: []byte{5}}
	regtest := tlv.Record{Type: 2, Value: wallets.Regtest.Params().GenesisHash[:]}
	path := func(b []byte) string { return encode(tlv.Record{Type: 16, Value: b}) }
	good := blinded(t, false, pub(newKey(t)))
	for name, tt := range map[string]struct {
		text    string
		network wallets.Network
		want    string
	}{
		"empty":              {"", "", "'1'"},
		"invoice":            {strings.Replace(published, "lno", "lni", 1), "", "lno1"},
		"mixed case":         {"LNO1" + published[4:], "", "mixed"},
		"cut":                {published[:len(published)-3], "", ""},
		"other characters":   {published + "b", "", "bech32"},
		"long":               {"lno1" + strings.Repeat("q", 9000), "", "longer"},
		"long after joins":   {"lno1" + strings.Repeat("q", 5000), "", "longer"},
		"join at the end":    {published + "+", "", "'+'"},
		"out of order":       {tlv.EncodeText("lno", []byte{10, 0, 8, 0}), "", "order"},
		"nobody":             {encode(text), "", "neither an issuer"},
		"bad issuer":         {encode(tlv.Record{Type: 22, Value: make([]byte, 33)}), "", "public key"},
		"long issuer":        {encode(tlv.Record{Type: 22, Value: append([]byte{4}, make([]byte, 64)...)}), "", "public key"},
		"other network":      {published, wallets.Regtest, "not for regtest"},
		"other chain":        {encode(key, regtest), wallets.Mainnet, "not for mainnet"},
		"empty chains":       {encode(key, tlv.Record{Type: 2}), "", "list of chains"},
		"odd chains":         {encode(key, tlv.Record{Type: 2, Value: make([]byte, 33)}), "", "list of chains"},
		"unknown even":       {encode(key, tlv.Record{Type: 78, Value: []byte("x")}), "", "field 78"},
		"experimental even":  {encode(key, tlv.Record{Type: 1_000_000_000}), "", "must be understood"},
		"invoice's field":    {encode(key, tlv.Record{Type: 168, Value: make([]byte, 32)}), "", "not an offer's"},
		"request's metadata": {encode(key, tlv.Record{Type: 0}), "", "not an offer's"},
		"quantity":           {encode(key, tlv.Record{Type: 20, Value: []byte{5}}), "", "quantity_max"},
		"recurring":          {encode(key, tlv.Record{Type: 24, Value: []byte{1}}), "", "recurrence"},
		"maybe recurring":    {encode(key, tlv.Record{Type: 25, Value: []byte{1}}), "", "recurrence"},
		"compulsory feature": {encode(key, tlv.Record{Type: 12, Value: []byte{0x01}}), "", "features"},
		"currency alone":     {encode(key, tlv.Record{Type: 6, Value: []byte("USD")}), "", "no amount"},
		"no amount":          {encode(key, text, tlv.Record{Type: 8}), "", "offer_amount"},
		"padded amount":      {encode(key, text, tlv.Record{Type: 8, Value: []byte{0, 5}}), "", "offer_amount"},
		"long amount":        {encode(key, text, tlv.Record{Type: 8, Value: make([]byte, 9)}), "", "offer_amount"},
		"amount for nothing": {encode(key, amount), "", "no description"},
		"text not UTF-8":     {encode(key, tlv.Record{Type: 10, Value: []byte("\xff")}), "", "UTF-8"},
		"bad expiry":         {encode(key, tlv.Record{Type: 14, Value: []byte{0}}), "", "expiry"},
		"empty paths":        {path(nil), "", "neither"},
		"short path":         {path(good[:40]), "", "too early"},
		"cut path":           {path(good[:len(good)-1]), "", "too early"},
		"path and a bit":     {path(append(slices.Clone(good), 2)), "", "too early"},
		"path without hops":  {path(append(append(pub(newKey(t)), pub(newKey(t))...), 0)), "", "no hop"},
		"path to no key":     {path(blinded(t, false, make([]byte, 33))), "", "public key"},
	} {
		network := tt.network
		if network == "" {
			network = wallets.Mainnet
		}
		if o, err := parseOffer(tt.text, network); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, %v, want %q", name, o, err, tt.want)
		}
	}
}

func TestParseOfferTakes(t *testing.T) {
	key := tlv.Record{Type: 22, Value: pub(newKey(t))}
	text := tlv.Record{Type: 10, Value: []byte("x")}
	both := slices.Concat(wallets.Mainnet.Params().GenesisHash[:], wallets.Regtest.Params().GenesisHash[:])
	for name, offer := range map[string]string{
		"two chains":       encode(key, tlv.Record{Type: 2, Value: both}),
		"optional feature": encode(key, tlv.Record{Type: 12, Value: []byte{0xaa}}),
		"unknown odd":      encode(key, tlv.Record{Type: 79, Value: []byte("x")}),
		"experimental odd": encode(key, tlv.Record{Type: 1_000_000_001}),
		"in dollars":       encode(key, text, tlv.Record{Type: 6, Value: []byte("USD")}, tlv.Record{Type: 8, Value: []byte{5}}),
		"far expiry":       encode(key, tlv.Record{Type: 14, Value: []byte{255, 255, 255, 255, 255, 255, 255, 255}}),
		"issuer and path":  encode(key, tlv.Record{Type: 16, Value: []byte("whatever")}),
	} {
		if o, err := parseOffer(offer, wallets.Mainnet); err != nil || o.text != offer || o.amount != 0 {
			t.Errorf("%s: got %v, %v", name, o, err)
		}
	}
}

func FuzzParseOffer(f *testing.F) {
	f.Add(published)
	f.Add(encode(tlv.Record{Type: 16, Value: append(make([]byte, 43), 3, 2)}))
	f.Add("LNO1+ Q")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseOffer(text, wallets.Mainnet)
		if err != nil {
			return
		}
		if len(o.signers) == 0 || o.text != strings.ToLower(o.text) || len(o.text) > wallets.MaxPaymentRequest {
			t.Errorf("%q became %+v", text, o)
		}
		if again, err := parseOffer(o.text, wallets.Mainnet); err != nil || again.text != o.text {
			t.Errorf("%q is no offer any more: %v", o.text, err)
		}
	})
}

func FuzzPathEnd(f *testing.F) {
	f.Add(append(append([]byte{0}, make([]byte, 42)...), 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			_, rest, err := pathEnd(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("a path of no length")
			}
			b = rest
		}
	})
}
