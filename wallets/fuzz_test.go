package wallets_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/bech32"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
)

// FuzzBolt11Fields gets behind the checksum, which stops nearly all of FuzzDecodeInvoice's texts.
func FuzzBolt11Fields(f *testing.F) {
	for _, s := range []string{specDonation, specCoffee, specTestnet} {
		hrp, data, err := bech32.DecodeNoLimit(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(hrp, data)
	}
	f.Fuzz(func(t *testing.T, hrp string, data []byte) {
		for i := range data {
			data[i] &= 31
		}
		text, err := bech32.Encode(hrp, data)
		if err != nil {
			return
		}
		d, err := wallets.DecodeInvoice(text)
		if err != nil {
			return
		}
		if d.ExpiresAt.Before(d.CreatedAt) || d.ExpiresAt.Sub(d.CreatedAt) > 101*365*24*time.Hour {
			t.Errorf("made %s, expires %s", d.CreatedAt, d.ExpiresAt)
		}
		if d.Amount > 10_000_000_000_000_000_000 || d.Network.Params() == nil {
			t.Errorf("decoded as %+v", d)
		}
		inv := &wallets.Invoice{PaymentRequest: text, PaymentHash: d.PaymentHash}
		want := wallets.InvoiceRequest{Amount: d.Amount, Expiry: time.Second}
		err = wallets.CheckInvoice(d.Network, want, inv, d.CreatedAt, &d.Payee)
		if err == nil && (d.Amount == 0 || !d.ExpiresAt.After(d.CreatedAt) || inv.PaymentRequest != strings.ToLower(text)) {
			t.Errorf("%+v passed as %+v", d, inv)
		}
	})
}

// FuzzBolt12Fields gets behind the signature: what it is given is signed first.
func FuzzBolt12Fields(f *testing.F) {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	_, data, err := bolt12.DecodeText(encode(f, key, fields(key)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := bolt12.Parse(data)
		if err != nil {
			return
		}
		stream, err := bolt12.Sign("invoice", records, key)
		if err != nil {
			return
		}
		d, err := wallets.DecodeInvoice(bolt12.EncodeText("lni", stream))
		if err != nil {
			return
		}
		if !d.Bolt12 || d.Network.Params() == nil || d.ExpiresAt.Before(d.CreatedAt) {
			t.Errorf("decoded as %+v", d)
		}
	})
}
