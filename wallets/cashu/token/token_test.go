package token

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

// The vectors of NUT-00.
const (
	vectorA      = "cashuAeyJ0b2tlbiI6W3sibWludCI6Imh0dHBzOi8vODMzMy5zcGFjZTozMzM4IiwicHJvb2ZzIjpbeyJhbW91bnQiOjIsImlkIjoiMDA5YTFmMjkzMjUzZTQxZSIsInNlY3JldCI6IjQwNzkxNWJjMjEyYmU2MWE3N2UzZTZkMmFlYjRjNzI3OTgwYmRhNTFjZDA2YTZhZmMyOWUyODYxNzY4YTc4MzciLCJDIjoiMDJiYzkwOTc5OTdkODFhZmIyY2M3MzQ2YjVlNDM0NWE5MzQ2YmQyYTUwNmViNzk1ODU5OGE3MmYwY2Y4NTE2M2VhIn0seyJhbW91bnQiOjgsImlkIjoiMDA5YTFmMjkzMjUzZTQxZSIsInNlY3JldCI6ImZlMTUxMDkzMTRlNjFkNzc1NmIwZjhlZTBmMjNhNjI0YWNhYTNmNGUwNDJmNjE0MzNjNzI4YzcwNTdiOTMxYmUiLCJDIjoiMDI5ZThlNTA1MGI4OTBhN2Q2YzA5NjhkYjE2YmMxZDVkNWZhMDQwZWExZGUyODRmNmVjNjlkNjEyOTlmNjcxMDU5In1dfV0sInVuaXQiOiJzYXQiLCJtZW1vIjoiVGhhbmsgeW91LiJ9"
	vectorB      = "cashuBpGF0gaJhaUgArSaMTR9YJmFwgaNhYQFhc3hAOWE2ZGJiODQ3YmQyMzJiYTc2ZGIwZGYxOTcyMTZiMjlkM2I4Y2MxNDU1M2NkMjc4MjdmYzFjYzk0MmZlZGI0ZWFjWCEDhhhUP_trhpXfStS6vN6So0qWvc2X3O4NfM-Y1HISZ5JhZGlUaGFuayB5b3VhbXVodHRwOi8vbG9jYWxob3N0OjMzMzhhdWNzYXQ="
	vectorBTwo   = "cashuBo2F0gqJhaUgA_9SLj17PgGFwgaNhYQFhc3hAYWNjMTI0MzVlN2I4NDg0YzNjZjE4NTAxNDkyMThhZjkwZjcxNmE1MmJmNGE1ZWQzNDdlNDhlY2MxM2Y3NzM4OGFjWCECRFODGd5IXVW-07KaZCvuWHk3WrnnpiDhHki6SCQh88-iYWlIAK0mjE0fWCZhcIKjYWECYXN4QDEzMjNkM2Q0NzA3YTU4YWQyZTIzYWRhNGU5ZjFmNDlmNWE1YjRhYzdiNzA4ZWIwZDYxZjczOGY0ODMwN2U4ZWVhY1ghAjRWqhENhLSsdHrr2Cw7AFrKUL9Ffr1XN6RBT6w659lNo2FhAWFzeEA1NmJjYmNiYjdjYzY0MDZiM2ZhNWQ1N2QyMTc0ZjRlZmY4YjQ0MDJiMTc2OTI2ZDNhNTdkM2MzZGNiYjU5ZDU3YWNYIQJzEpxXGeWZN5qXSmJjY8MzxWyvwObQGr5G1YCCgHicY2FtdWh0dHA6Ly9sb2NhbGhvc3Q6MzMzOGF1Y3NhdA"
	vectorBinary = "6372617742a4617481a261694800ad268c4d1f5826617081a3616101617378403961366462623834376264323332626137366462306466313937323136623239643362386363313435353363643237383237666331636339343266656462346561635821038618543ffb6b8695df4ad4babcde92a34a96bdcd97dcee0d7ccf98d4721267926164695468616e6b20796f75616d75687474703a2f2f6c6f63616c686f73743a33333338617563736174"
)

func TestTokenVectors(t *testing.T) {
	a, err := Parse(vectorA)
	if err != nil {
		t.Fatal(err)
	}
	amount, err := a.Amount()
	if err != nil || amount != 10 || a.Mint != "https://8333.space:3338" || a.Unit != "sat" || a.Memo != "Thank you." || len(a.Proofs) != 2 ||
		a.Proofs[1].Secret != "fe15109314e61d7756b0f8ee0f23a624acaa3f4e042f61433c728c7057b931be" || a.Proofs[0].KeysetID != "009a1f293253e41e" {
		t.Errorf("got %+v", a)
	}
	if text, err := a.EncodeA(); err != nil || text != vectorA {
		t.Errorf("encoded %s, %v", text, err)
	}
	for _, padded := range []string{vectorA + "==", "cashu:" + vectorA} {
		if again, err := Parse(padded); err != nil || !reflect.DeepEqual(again, a) {
			t.Errorf("got %+v, %v", again, err)
		}
	}
	b, err := Parse(vectorB)
	if err != nil {
		t.Fatal(err)
	}
	if b.Memo != "Thank you" || b.Mint != "http://localhost:3338" || b.Unit != "sat" || len(b.Proofs) != 1 || b.Proofs[0].Amount != 1 ||
		hex.EncodeToString(b.Proofs[0].C.SerializeCompressed()) != "038618543ffb6b8695df4ad4babcde92a34a96bdcd97dcee0d7ccf98d472126792" {
		t.Errorf("got %+v", b)
	}
	if text, err := b.Encode(); err != nil || text != strings.TrimRight(vectorB, "=") {
		t.Errorf("encoded %s, %v", text, err)
	}
	two, err := Parse(vectorBTwo)
	if err != nil || len(two.Proofs) != 3 || two.Proofs[0].KeysetID != "00ffd48b8f5ecf80" || two.Proofs[2].KeysetID != "00ad268c4d1f5826" {
		t.Fatalf("got %+v, %v", two, err)
	}
	if text, err := two.Encode(); err != nil || text != vectorBTwo {
		t.Errorf("encoded %s, %v", text, err)
	}
	raw, _ := hex.DecodeString(vectorBinary)
	binary, err := ParseBinary(raw)
	if err != nil || !reflect.DeepEqual(binary, b) {
		t.Errorf("got %+v, %v", binary, err)
	}
	if again, err := binary.EncodeBinary(); err != nil || hex.EncodeToString(again) != vectorBinary {
		t.Errorf("encoded %x, %v", again, err)
	}
}

// newProof makes a proof whose signature is good for key.
func newProof(t testing.TB, secret string, amount uint64, key *ecash.PrivateKey) Proof {
	t.Helper()
	r, err := ecash.NewBlindingFactor()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ecash.Blind(secret, r)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := ecash.Sign(b, key)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ecash.ProveDLEQ(key, b, signature)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ecash.Unblind(signature, r, key.PubKey())
	if err != nil {
		t.Fatal(err)
	}
	return Proof{Amount: amount, KeysetID: "009a1f293253e41e", Secret: secret, C: c, DLEQ: &ProofDLEQ{d, r}}
}

func newKey(t testing.TB) *ecash.PrivateKey {
	t.Helper()
	k, err := ecash.NewBlindingFactor()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTokenWithDLEQAndWitness(t *testing.T) {
	key := newKey(t)
	p := newProof(t, "abc", 4, key)
	p.Witness = `{"signatures":["00"]}`
	in := &Token{Mint: "https://mint.example.com/", Unit: "msat", Memo: "für dich", Proofs: []Proof{p, newProof(t, "def", 1<<63, key)}}
	in.Proofs[1].KeysetID = ecash.KeysetID("01" + strings.Repeat("ab", 32))
	b, err := in.Encode()
	if err != nil {
		t.Fatal(err)
	}
	a, err := in.EncodeA()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{a, b} {
		out, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		want := *in
		want.Mint = "https://mint.example.com"
		if out.Mint != want.Mint || out.Memo != want.Memo || len(out.Proofs) != 2 || out.Proofs[0].Witness != p.Witness {
			t.Errorf("got %+v", out)
		}
		for i, p := range out.Proofs {
			if err := p.VerifyDLEQ(key.PubKey()); err != nil {
				t.Errorf("proof %d: %v", i, err)
			}
			if err := p.VerifyDLEQ(newKey(t).PubKey()); !errors.Is(err, ecash.ErrDLEQ) {
				t.Errorf("proof %d under another key: %v", i, err)
			}
			if err := p.ForMint().VerifyDLEQ(key.PubKey()); !errors.Is(err, ecash.ErrDLEQ) {
				t.Errorf("the mint would learn the blinding factor: %v", err)
			}
		}
	}
}

func TestResolveToken(t *testing.T) {
	full := ecash.KeysetID("01" + strings.Repeat("ab", 32))
	key := newKey(t)
	tok := &Token{Proofs: []Proof{newProof(t, "a", 1, key), newProof(t, "b", 1, key)}}
	tok.Proofs[0].KeysetID = full.Short()
	if err := tok.Resolve([]ecash.KeysetID{full}); !errors.Is(err, ecash.ErrUnknownKeyset) || tok.Proofs[0].KeysetID != full.Short() {
		t.Errorf("got %v, %s", err, tok.Proofs[0].KeysetID)
	}
	if err := tok.Resolve([]ecash.KeysetID{full, full[:64] + "00", "009a1f293253e41e"}); !errors.Is(err, ecash.ErrAmbiguous) {
		t.Errorf("got %v", err)
	}
	if err := tok.Resolve([]ecash.KeysetID{full, "009a1f293253e41e"}); err != nil || tok.Proofs[0].KeysetID != full {
		t.Errorf("got %v, %s", err, tok.Proofs[0].KeysetID)
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestParseRefuses(t *testing.T) {
	const c = "02bc9097997d81afb2cc7346b5e4345a9346bd2a506eb7958598a72f0cf85163ea"
	proofJSON := func(amount, secret string) string {
		return fmt.Sprintf(`{"amount":%s,"id":"009a1f293253e41e","secret":"%s","C":"%s"}`, amount, secret, c)
	}
	jsonToken := func(proofs ...string) string {
		return "cashuA" + b64(`{"token":[{"mint":"https://a.example.com","proofs":[`+strings.Join(proofs, ",")+`]}],"unit":"sat"}`)
	}
	cborToken := func(change func(m map[string]any, p map[string]any)) string {
		point, _ := hex.DecodeString(c)
		p := map[string]any{"a": 1, "s": "x", "c": point}
		id, _ := hex.DecodeString("009a1f293253e41e")
		group := map[string]any{"i": id, "p": []any{p}}
		m := map[string]any{"m": "https://a.example.com", "u": "sat", "t": []any{group}}
		if change != nil {
			change(m, p)
		}
		b, err := cbor.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return "cashuB" + base64.RawURLEncoding.EncodeToString(b)
	}
	if _, err := Parse(jsonToken(proofJSON("1", "x"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(cborToken(func(m, p map[string]any) { m["future"] = 1; p["future"] = []int{1} })); err != nil {
		t.Fatalf("unknown fields: %v", err)
	}
	many := make([]string, MaxProofs+1)
	for i := range many {
		many[i] = proofJSON("1", fmt.Sprint(i))
	}
	for name, v := range map[string]struct {
		text string
		want error
	}{
		"empty":                  {"", ErrMalformed},
		"other prefix":           {"casshu" + vectorA[5:], ErrMalformed},
		"no prefix":              {vectorA[6:], ErrMalformed},
		"unknown version":        {"cashuC" + vectorB[6:], ErrMalformed},
		"prefix alone":           {"cashuA", ErrMalformed},
		"prefix of B alone":      {"cashuB", ErrMalformed},
		"no base64":              {"cashuA!!", ErrMalformed},
		"a line end":             {vectorA[:20] + "\n" + vectorA[20:], ErrMalformed},
		"too much padding":       {vectorA + "===", ErrMalformed},
		"too long":               {"cashuA" + strings.Repeat("A", MaxSize), ErrTooLarge},
		"A holding CBOR":         {"cashuA" + vectorB[6:], ErrMalformed},
		"B holding JSON":         {"cashuB" + vectorA[6:], ErrMalformed},
		"no proofs":              {jsonToken(), ErrMalformed},
		"no token":               {"cashuA" + b64(`{}`), ErrMalformed},
		"null":                   {"cashuA" + b64(`null`), ErrMalformed},
		"amount zero":            {jsonToken(proofJSON("0", "x")), ErrAmount},
		"negative amount":        {jsonToken(proofJSON("-1", "x")), ErrMalformed},
		"amount with a fraction": {jsonToken(proofJSON("1.5", "x")), ErrMalformed},
		"amount beyond 64 bits":  {jsonToken(proofJSON("18446744073709551616", "x")), ErrMalformed},
		"sum beyond 64 bits":     {jsonToken(proofJSON("9223372036854775808", "x"), proofJSON("9223372036854775808", "y")), ErrAmount},
		"secret twice":           {jsonToken(proofJSON("1", "x"), proofJSON("2", "x")), ErrDuplicate},
		"no secret":              {jsonToken(proofJSON("1", "")), ErrMalformed},
		"two mints":              {"cashuA" + b64(`{"token":[{"mint":"https://a.example.com","proofs":[`+proofJSON("1", "x")+`]},{"mint":"https://b.example.com","proofs":[`+proofJSON("1", "y")+`]}]}`), ErrSeveralMints},
		"mint that is no URL":    {"cashuA" + b64(`{"token":[{"mint":"x","proofs":[`+proofJSON("1", "x")+`]}]}`), ErrMalformed},
		"old keyset id":          {strings.Replace(jsonToken(proofJSON("1", "x")), b64(`{"token"`), b64(`{"token"`), 1)[:6] + b64(`{"token":[{"mint":"https://a.example.com","proofs":[{"amount":1,"id":"I2yN+iRYfkzT","secret":"x","C":"`+c+`"}]}]}`), ErrMalformed},
		"C of another form":      {"cashuA" + b64(`{"token":[{"mint":"https://a.example.com","proofs":[{"amount":1,"id":"009a1f293253e41e","secret":"x","C":"04"}]}]}`), ErrMalformed},
		"DLEQ of another length": {"cashuA" + b64(`{"token":[{"mint":"https://a.example.com","proofs":[{"amount":1,"id":"009a1f293253e41e","secret":"x","C":"`+c+`","dleq":{"e":"00","s":"00","r":"00"}}]}]}`), ErrMalformed},
		"CBOR without unit":      {cborToken(func(m, _ map[string]any) { delete(m, "u") }), ErrMalformed},
		"CBOR without mint":      {cborToken(func(m, _ map[string]any) { delete(m, "m") }), ErrMalformed},
		"CBOR, other case":       {cborToken(func(m, _ map[string]any) { m["T"] = m["t"]; delete(m, "t") }), ErrMalformed},
		"CBOR, amount as text":   {cborToken(func(_, p map[string]any) { p["a"] = "1" }), ErrMalformed},
		"CBOR, negative amount":  {cborToken(func(_, p map[string]any) { p["a"] = -1 }), ErrMalformed},
		"CBOR, C of 32 bytes":    {cborToken(func(_, p map[string]any) { p["c"] = make([]byte, 32) }), ErrMalformed},
		"CBOR, C not on curve":   {cborToken(func(_, p map[string]any) { p["c"] = append([]byte{2}, make([]byte, 32)...) }), ErrMalformed},
		"CBOR, a tag":            {cborToken(func(_, p map[string]any) { p["a"] = cbor.Tag{Number: 2, Content: []byte{1}} }), ErrMalformed},
		"CBOR, r of zero": {cborToken(func(_, p map[string]any) {
			p["d"] = map[string]any{"e": make([]byte, 32), "s": make([]byte, 32), "r": make([]byte, 32)}
		}), ErrMalformed},
		"CBOR, a name twice":      {"cashuB" + base64.RawURLEncoding.EncodeToString([]byte{0xa2, 0x61, 'm', 0x61, 'x', 0x61, 'm', 0x61, 'y'}), ErrMalformed},
		"CBOR of endless length":  {"cashuB" + base64.RawURLEncoding.EncodeToString([]byte{0xbf, 0xff}), ErrMalformed},
		"CBOR, huge list claimed": {"cashuB" + base64.RawURLEncoding.EncodeToString([]byte{0xa1, 0x61, 't', 0x9b, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), ErrMalformed},
	} {
		tok, err := Parse(v.text)
		if !errors.Is(err, v.want) {
			t.Errorf("%s: got %+v, %v, want %v", name, tok, err, v.want)
		}
		if err != nil && strings.Contains(err.Error(), c[:16]) {
			t.Errorf("%s: the error tells a signature: %v", name, err)
		}
	}
	_, err := parseA([]byte(`{"token":[{"mint":"https://a.example.com","proofs":[` + strings.Join(many, ",") + `]}]}`))
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many proofs: got %v", err)
	}
	if _, err := ParseBinary([]byte("crawC")); !errors.Is(err, ErrMalformed) {
		t.Errorf("binary: %v", err)
	}
	if _, err := ParseBinary(make([]byte, MaxSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("binary: %v", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	key := newKey(t)
	p := newProof(t, "a", 1, key)
	for name, v := range map[string]struct {
		token Token
		want  error
	}{
		"nothing":        {Token{Mint: "https://a.example.com", Unit: "sat"}, ErrMalformed},
		"no unit":        {Token{Mint: "https://a.example.com", Proofs: []Proof{p}}, ErrMalformed},
		"no mint":        {Token{Unit: "sat", Proofs: []Proof{p}}, ErrMalformed},
		"a secret twice": {Token{Mint: "https://a.example.com", Unit: "sat", Proofs: []Proof{p, p}}, ErrDuplicate},
		"no signature":   {Token{Mint: "https://a.example.com", Unit: "sat", Proofs: []Proof{{Amount: 1, Secret: "x"}}}, ErrMalformed},
		"too long":       {Token{Mint: "https://a.example.com", Unit: "sat", Memo: strings.Repeat("x", MaxSize), Proofs: []Proof{p}}, ErrTooLarge},
	} {
		if text, err := v.token.Encode(); !errors.Is(err, v.want) {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
	}
	if _, err := json.Marshal(Proof{}); err == nil {
		t.Error("a proof without signature was written")
	}
}

func TestMintURLs(t *testing.T) {
	for _, v := range []struct {
		a, b string
		same bool
	}{
		{"https://mint.example.com", "https://mint.example.com/", true},
		{"https://mint.example.com", "HTTPS://Mint.Example.COM:443//", true},
		{"http://127.0.0.1:3338", "http://127.0.0.1:3338/", true},
		{"https://mint.example.com/Bitcoin", "https://mint.example.com/Bitcoin/", true},
		{"https://mint.example.com/Bitcoin", "https://mint.example.com/bitcoin", false},
		{"https://mint.example.com", "http://mint.example.com", false},
		{"https://mint.example.com", "https://mint.example.com.evil.example", false},
		{"https://mint.example.com", "https://mint.example.com@evil.example", false},
		{"https://mint.example.com", "https://mint.example.com:8443", false},
		{"https://mint.example.com", "https://mint.example.com?x=1", false},
		{"mint.example.com", "mint.example.com", false},
		{"", "", false},
		{"file:///etc/passwd", "file:///etc/passwd", false},
	} {
		if SameMint(v.a, v.b) != v.same {
			t.Errorf("%q and %q: same is not %t", v.a, v.b, v.same)
		}
	}
}

func TestBlindedJSON(t *testing.T) {
	in := Blinded{Amount: 8, KeysetID: "009a1f293253e41e", B: newKey(t).PubKey()}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Blinded
	if err := json.Unmarshal(b, &out); err != nil || out.Amount != 8 || out.KeysetID != in.KeysetID || !out.B.IsEqual(in.B) {
		t.Errorf("got %+v, %v", out, err)
	}
	for _, bad := range []string{`1`, `{"amount":1,"id":"x","B_":"` + in.Hex() + `"}`, `{"amount":1,"id":"009a1f293253e41e","B_":""}`} {
		if err := json.Unmarshal([]byte(bad), &out); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(vectorA)
	f.Add(vectorB)
	f.Add(vectorBTwo)
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := Parse(text)
		if err != nil {
			return
		}
		sum, err := tok.Amount()
		if err != nil || sum == 0 || len(tok.Proofs) > MaxProofs {
			t.Errorf("%q: %d proofs worth %d, %v", text, len(tok.Proofs), sum, err)
		}
		again, err := tok.EncodeA()
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		other, err := Parse(again)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, again, err)
		}
		if total, _ := other.Amount(); total != sum {
			t.Errorf("%q: worth %d, then %d", text, sum, total)
		}
	})
}

// FuzzCBOR goes past the base64.
func FuzzCBOR(f *testing.F) {
	for _, v := range []string{vectorB, vectorBTwo} {
		b, err := decodeBase64(v[6:])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := ParseBinary(append([]byte(rawPrefix), b...))
		if err != nil {
			return
		}
		again, err := tok.EncodeBinary()
		if err != nil {
			return
		}
		if other, err := ParseBinary(again); err != nil || len(other.Proofs) != len(tok.Proofs) {
			t.Errorf("%x became %x: %v", b, again, err)
		}
	})
}
