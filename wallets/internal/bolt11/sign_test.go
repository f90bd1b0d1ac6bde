package bolt11

import (
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"
)

func TestSign(t *testing.T) {
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	terms := Terms{
		Params: &chaincfg.RegressionNetParams, Amount: 1, PaymentHash: [32]byte{1},
		PaymentAddr: [32]byte{2}, Memo: "a ☕", Timestamp: time.Unix(1_700_000_000, 0), Expiry: time.Minute,
	}
	text, err := Sign(key, terms)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "lnbcrt10p1") {
		t.Errorf("one msat for regtest begins %.12s", text)
	}
	inv, err := zpay32.Decode(text, terms.Params, zpay32.WithErrorOnUnknownFeatureBit())
	if err != nil {
		t.Fatal(err)
	}
	switch addr := inv.PaymentAddr.UnwrapOr([32]byte{}); {
	case *inv.MilliSat != 1, *inv.PaymentHash != terms.PaymentHash, addr != terms.PaymentAddr,
		*inv.Description != terms.Memo, !inv.Timestamp.Equal(terms.Timestamp), inv.Expiry() != time.Minute:
		t.Errorf("decoded as %+v", inv)
	case !inv.Features.HasFeature(lnwire.PaymentAddrRequired), !inv.Features.HasFeature(lnwire.TLVOnionPayloadRequired):
		t.Errorf("features %v", inv.Features)
	case !inv.Destination.IsEqual(key.PubKey()):
		t.Error("another payee")
	}
}

func TestSignOptions(t *testing.T) {
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	hash := [32]byte{9}
	text, err := Sign(key, Terms{Params: &chaincfg.SigNetParams, DescriptionHash: &hash, Timestamp: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	inv, err := zpay32.Decode(text, &chaincfg.SigNetParams)
	if err != nil {
		t.Fatal(err)
	}
	if inv.MilliSat != nil || inv.Description != nil || *inv.DescriptionHash != hash || inv.Expiry() != time.Hour {
		t.Errorf("decoded as %+v", inv)
	}
	for name, terms := range map[string]Terms{
		"no chain":  {Timestamp: time.Unix(1, 0)},
		"long memo": {Params: &chaincfg.SigNetParams, Memo: strings.Repeat("x", 640), Timestamp: time.Unix(1, 0)},
	} {
		if _, err := Sign(key, terms); err == nil {
			t.Errorf("%s: was signed", name)
		}
	}
}
