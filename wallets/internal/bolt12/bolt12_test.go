package bolt12

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMerkleRoot uses the vectors that BOLT 12 publishes for its Merkle tree.
func TestMerkleRoot(t *testing.T) {
	const (
		one   = "010203e8"
		two   = "02080000010000020003"
		three = "03310266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c0351800000000000000010000000000000002"
	)
	for name, c := range map[string]struct{ stream, root string }{
		"one field":    {one, "b013756c8fee86503a0b4abdab4cddeb1af5d344ca6fc2fa8b6c08938caa6f93"},
		"two fields":   {one + two, "c3774abbf4815aa54ccaa026bff6581f01f3be5fe814c620a252534f434bc0d1"},
		"three fields": {one + two + three, "ab2e79b1283b0b31e0b035258de23782df6b89a38cfa7237bde69aed1a658c5d"},
	} {
		t.Run(name, func(t *testing.T) {
			records, err := Parse(unhex(t, c.stream))
			if err != nil {
				t.Fatal(err)
			}
			root, err := merkleRoot(records)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(root[:]); got != c.root {
				t.Errorf("root %s, want %s", got, c.root)
			}
		})
	}
	if _, err := merkleRoot(nil); err == nil {
		t.Error("a root over nothing")
	}
}

// signedRequest is the invoice request that BOLT 12 publishes with its signature; the payer's
// private key is 32 times 0x42.
const signedRequest = "lnr1qqyqqqqqqqqqqqqqqcp4256ypqqkgzshgysy6ct5dpjk6ct5d93kzmpq23ex2ct5d9ek293pqthvwfzadd7jejes8q9lhc4rvjxd022zv5l44g6qah82ru5rdpnpjkppqvjx204vgdzgsqpvcp4mldl3plscny0rt707gvpdh6ndydfacz43euzqhrurageg3n7kafgsek6gz3e9w52parv8gs2hlxzk95tzeswywffxlkeyhml0hh46kndmwf4m6xma3tkq2lu04qz3slje2rfthc89vss"

func TestVerify(t *testing.T) {
	hrp, data, err := DecodeText(signedRequest)
	if err != nil || hrp != "lnr" {
		t.Fatalf("hrp %q, error %v", hrp, err)
	}
	records, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	payer, _ := Find(records, 88)
	if err := Verify("invoice_request", records, payer); err != nil {
		t.Fatal(err)
	}
	if err := Verify("invoice", records, payer); err == nil {
		t.Error("the signature holds for another kind of message")
	}
	// Every bit of what is signed, and of the signature, counts.
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		records, err := Parse(bad)
		if err != nil {
			continue
		}
		if err := Verify("invoice_request", records, payer); err == nil {
			t.Errorf("the signature holds with byte %d changed", i)
		}
	}
	if EncodeText("lnr", data) != signedRequest {
		t.Error("encoding does not give the text back")
	}
	for name, key := range map[string][]byte{"empty": nil, "no point": make([]byte, 33)} {
		if err := Verify("invoice_request", records, key); err == nil {
			t.Errorf("signature by a key that is %s", name)
		}
	}
}

func TestSign(t *testing.T) {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	stream, err := Sign("invoice", []Record{
		{Type: 1000, Value: []byte("replaced")}, {Type: 300_000, Value: []byte("far")},
		{Type: 3, Value: []byte("b")}, {Type: 0, Value: nil},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	records, err := Parse(stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify("invoice", records, key.PubKey().SerializeCompressed()); err != nil {
		t.Error(err)
	}
	if _, err := Sign("invoice", nil, key); err == nil {
		t.Error("nothing could be signed")
	}
	if _, err := Sign("invoice", []Record{{Type: 1}, {Type: 1}}, key); err == nil {
		t.Error("a field that occurs twice could be signed")
	}
}

func TestParseRefuses(t *testing.T) {
	for name, stream := range map[string]string{
		"length missing":       "01",
		"value too short":      "010201",
		"length beyond int":    "01ffffffffffffffffff00",
		"order":                "02000100",
		"twice":                "01000100",
		"type not shortest":    "fd00fc00",
		"type not shortest, 5": "fe0000ffff00",
		"type not shortest, 9": "ff00000000ffffffff00",
		"length not shortest":  "01fd0001aa",
		"type cut":             "fd01",
		"length cut":           "01fe0000",
	} {
		if r, err := Parse(unhex(t, stream)); err == nil {
			t.Errorf("%s: parsed as %v", name, r)
		}
	}
}

func TestUint(t *testing.T) {
	for _, v := range []uint64{0, 1, 255, 256, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
		got, err := Uint(AppendUint(nil, v), 8)
		if err != nil || got != v {
			t.Errorf("%d came back as %d, %v", v, got, err)
		}
	}
	for name, c := range map[string]struct {
		b     []byte
		width int
	}{
		"leading zero": {[]byte{0, 1}, 8},
		"just a zero":  {[]byte{0}, 8},
		"too wide":     {bytes.Repeat([]byte{1}, 9), 8},
		"tu32":         {bytes.Repeat([]byte{1}, 5), 4},
	} {
		if v, err := Uint(c.b, c.width); err == nil {
			t.Errorf("%s: read as %d", name, v)
		}
	}
}

func TestText(t *testing.T) {
	for name, s := range map[string]string{
		"empty": "", "no separator": "lni", "no data": "lni1", "no prefix": "1qq",
		"not bech32": "lni1qqb", "upper case": "lni1QQ", "padding not zero": "lni1qqp",
		"too much padding": "lni1qqqqqqqqq", "join left in": "lni1qq+qq",
	} {
		if _, b, err := DecodeText(s); err == nil {
			t.Errorf("%s: decoded as %x", name, b)
		}
	}
}

func TestJoin(t *testing.T) {
	for in, want := range map[string]string{
		"lni1qq": "lni1qq", "l+ni1qq": "lni1qq", "lni1+ q+\r\n\tq": "lni1qq",
		"+lni1qq": "", "lni1qq+": "", "lni1qq+ ": "", "lni1++qq": "", "+ lni1qq": "",
	} {
		got, err := Join(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q joined to %q, %v", in, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	_, data, _ := DecodeText(signedRequest)
	f.Add(data)
	f.Add([]byte{0xfd, 0x01, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := Parse(data)
		if err != nil {
			return
		}
		if again := Serialize(records); !bytes.Equal(again, data) {
			t.Errorf("stream %x came back as %x", data, again)
		}
		// Must not panic.
		_ = Verify("invoice", records, bytes.Repeat([]byte{2}, 33))
		if text := EncodeText("lni", data); len(data) > 0 {
			_, back, err := DecodeText(text)
			if err != nil || !bytes.Equal(back, data) || strings.ToLower(text) != text {
				t.Errorf("text %s came back as %x, %v", text, back, err)
			}
		}
	})
}
