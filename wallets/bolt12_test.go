package wallets_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt12"
)

// fields is a whole BOLT 12 invoice for mainnet.
func fields(key *btcec.PrivateKey) map[uint64][]byte {
	node := key.PubKey().SerializeCompressed()
	return map[uint64][]byte{
		0:   []byte("metadata"),
		10:  []byte("tea"),
		160: node,
		162: make([]byte, 28),
		164: bolt12.AppendUint(nil, uint64(epoch.Unix())),
		168: bytes.Repeat([]byte{5}, 32),
		170: bolt12.AppendUint(nil, 1000),
		176: node,
	}
}

func encode(t testing.TB, key *btcec.PrivateKey, fields map[uint64][]byte) string {
	t.Helper()
	var records []bolt12.Record
	for typ, v := range fields {
		records = append(records, bolt12.Record{Type: typ, Value: v})
	}
	stream, err := bolt12.Sign("invoice", records, key)
	if err != nil {
		t.Fatal(err)
	}
	return bolt12.EncodeText("lni", stream)
}

func TestBolt12(t *testing.T) {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	f := fields(key)
	f[999_999_999] = []byte("unknown, but odd")
	d, err := wallets.DecodeInvoice(encode(t, key, f))
	if err != nil {
		t.Fatal(err)
	}
	if !d.ExpiresAt.Equal(epoch.Add(2 * time.Hour)) {
		t.Errorf("expires %s, want two hours after its making", d.ExpiresAt)
	}
	if d.Network != wallets.Mainnet || d.Memo != "tea" || d.Amount != 1000 {
		t.Errorf("decoded as %+v", d)
	}
	f[80] = wallets.Mainnet.Params().GenesisHash[:]
	if d, err := wallets.DecodeInvoice(encode(t, key, f)); err != nil || d.Network != wallets.Mainnet {
		t.Errorf("mainnet by its name: %+v, %v", d, err)
	}
}

func TestBolt12Refuses(t *testing.T) {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	other, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{8}, 32))
	for name, c := range map[string]struct {
		typ   uint64
		value []byte // nil takes the field away
		says  string
	}{
		"unknown chain":        {80, bytes.Repeat([]byte{1}, 32), "chain"},
		"chain, empty":         {80, []byte{}, "chain"},
		"no amount":            {170, nil, "amount"},
		"amount not shortest":  {170, []byte{0, 1}, "amount"},
		"amount too wide":      {170, bytes.Repeat([]byte{1}, 9), "amount"},
		"no hash":              {168, nil, "hash"},
		"hash too short":       {168, make([]byte, 31), "hash"},
		"no time":              {164, nil, "created_at"},
		"time out of range":    {164, bytes.Repeat([]byte{255}, 8), "created_at"},
		"expiry too wide":      {166, bytes.Repeat([]byte{1}, 5), "expiry"},
		"no paths":             {160, nil, "path"},
		"empty paths":          {160, []byte{}, "path"},
		"no payment terms":     {162, nil, "path"},
		"no node":              {176, nil, "node_id"},
		"node too short":       {176, make([]byte, 32), "node_id"},
		"node no point":        {176, make([]byte, 33), "key"},
		"signed by another":    {176, other.PubKey().SerializeCompressed(), "signature"},
		"unknown even field":   {178, []byte{1}, "178"},
		"description not text": {10, []byte{0xff}, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			f := fields(key)
			if f[c.typ] = c.value; c.value == nil {
				delete(f, c.typ)
			}
			d, err := wallets.DecodeInvoice(encode(t, key, f))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("decoded as %+v, error %v, want one that names %q", d, err, c.says)
			}
		})
	}
}

// TestBolt12Bits changes each byte of an invoice.
func TestBolt12Bits(t *testing.T) {
	_, data, err := bolt12.DecodeText(clnBolt12)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if _, err := wallets.DecodeInvoice(bolt12.EncodeText("lni", bad)); err == nil {
			t.Errorf("decoded with byte %d changed", i)
		}
	}
}
