package token

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

// The vectors of NUT-11.
func TestSpendVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/spends.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name    string    `json:"name"`
		Valid   bool      `json:"valid"`
		Digest  string    `json:"digest"`
		Inputs  []Proof   `json:"inputs"`
		Outputs []Blinded `json:"outputs"`
		Quote   string    `json:"quote"`
	}
	if err := json.Unmarshal(b, &vectors); err != nil || len(vectors) != 20 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			tx := Transaction{Inputs: v.Inputs, Outputs: v.Outputs, Quote: v.Quote}
			if err := tx.Satisfied(now); (err == nil) != v.Valid {
				t.Errorf("got %v", err)
			}
			if v.Digest != "" {
				sum := sha256.Sum256([]byte(tx.message()))
				if hex.EncodeToString(sum[:]) != v.Digest {
					t.Errorf("digest %x of %s", sum, tx.message())
				}
			}
			if v.Valid && len(v.Outputs) > 0 {
				tx.Outputs[0].Amount++
				if err := tx.Satisfied(now); err == nil {
					t.Error("an output was changed, and the signature still holds")
				}
			}
		})
	}
}

func TestSign(t *testing.T) {
	us, us2, payer := newKey(t), newKey(t), newKey(t)
	lock := func(key *ecash.PrivateKey, tags ...[]string) string {
		return secretOf(t, Condition{Kind: KindP2PK, Data: hexKey(key), Tags: tags})
	}
	mint := newKey(t)
	proof := func(secret string) Proof { return newProof(t, secret, 1, mint) }
	outputs := []Blinded{{Amount: 1, KeysetID: "009a1f293253e41e", B: newKey(t).PubKey()}}
	const hash = "ec4916dd28fc4c10d78e287ca5d9cc51ee1ae73cbfde08c6b37324cbfaac8bc5"
	htlc := proof(secretOf(t, Condition{Kind: KindHTLC, Data: hash, Tags: [][]string{{"pubkeys", hexKey(us)}}}))
	htlc.Witness = `{"preimage":"0000000000000000000000000000000000000000000000000000000000000001"}`
	all := []string{"sigflag", "SIG_ALL"}
	for name, inputs := range map[string][]Proof{
		"plain":          {proof("x")},
		"locked to us":   {proof("x"), proof(lock(us))},
		"2 of ours":      {proof(lock(us, []string{"pubkeys", hexKey(us2)}, []string{"n_sigs", "2"}))},
		"refund to us":   {proof(lock(payer, []string{"locktime", "1"}, []string{"refund", hexKey(us)}))},
		"unlocked":       {proof(lock(payer, []string{"locktime", "1"}))},
		"hash":           {htlc},
		"SIG_ALL":        {proof(lock(us, all)), proof(lock(us, all))},
		"SIG_ALL, 2 of2": {proof(lock(us, all, []string{"pubkeys", hexKey(us2)}, []string{"n_sigs", "2"}))},
	} {
		signed, err := Transaction{Inputs: inputs, Outputs: outputs}.Sign([]*ecash.PrivateKey{us, us2, us}, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := (Transaction{Inputs: signed, Outputs: outputs}).Satisfied(now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range signed {
			if signed[i].DLEQ != nil {
				t.Errorf("%s: the mint would see the blinding factor", name)
			}
			if inputs[i].DLEQ == nil {
				t.Errorf("%s: the caller's proof was changed", name)
			}
		}
	}
	for name, v := range map[string]struct {
		inputs []Proof
		want   error
	}{
		"the payer's":               {[]Proof{proof(lock(payer))}, ErrNotOurs},
		"2 of us and the payer":     {[]Proof{proof(lock(us, []string{"pubkeys", hexKey(payer)}, []string{"n_sigs", "2"}))}, ErrNotOurs},
		"malformed":                 {[]Proof{proof(`["P2PK"`)}, ErrLock},
		"SIG_ALL beside plain":      {[]Proof{proof(lock(us, all)), proof("x")}, ErrLock},
		"SIG_ALL beside another":    {[]Proof{proof(lock(us, all)), proof(lock(us2, all))}, ErrLock},
		"SIG_ALL beside SIG_INPUTS": {[]Proof{proof(lock(us)), proof(lock(us, all))}, ErrLock},
	} {
		if _, err := (Transaction{Inputs: v.inputs, Outputs: outputs}).Sign([]*ecash.PrivateKey{us, us2}, now); !errors.Is(err, v.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A key that signs twice counts once.
func TestOneKeyCannotSignTwice(t *testing.T) {
	us, other := newKey(t), newKey(t)
	p := newProof(t, secretOf(t, Condition{Kind: KindP2PK, Data: hexKey(us), Tags: [][]string{{"pubkeys", hexKey(other)}, {"n_sigs", "2"}}}), 1, newKey(t))
	var err error
	for range 2 {
		if p.Witness, err = newRing([]*ecash.PrivateKey{us}).addSignatures(p, p.Secret); err != nil {
			t.Fatal(err)
		}
	}
	if len(witnessOf(p.Witness).Signatures) != 2 {
		t.Fatalf("witness %s", p.Witness)
	}
	if err := (Transaction{Inputs: []Proof{p}}).Satisfied(time.Now()); !errors.Is(err, ErrWitness) {
		t.Errorf("got %v", err)
	}
	for _, garbage := range []string{"", "{", `{"signatures":["zz","00"]}`, `{"signatures":1}`} {
		p.Witness = garbage
		if err := (Transaction{Inputs: []Proof{p}}).Satisfied(time.Now()); !errors.Is(err, ErrWitness) {
			t.Errorf("%q: got %v", garbage, err)
		}
	}
}

// manyLocked are as many proofs as a stranger gets into a header, locked to the first of some keys.
func manyLocked(t testing.TB, keys []*ecash.PrivateKey) Transaction {
	t.Helper()
	secret, err := (&Condition{Kind: KindP2PK, Nonce: "n", Data: hexKey(keys[0])}).Secret()
	if err != nil {
		t.Fatal(err)
	}
	var out Transaction
	for range 50 {
		out.Inputs = append(out.Inputs, Proof{Amount: 1, KeysetID: "00ffffffffffffff", Secret: secret, C: keys[0].PubKey()})
	}
	return out
}

func someKeys(t testing.TB, n int) (keys []*ecash.PrivateKey) {
	t.Helper()
	for range n {
		key, err := ecash.NewBlindingFactor()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// What a stranger's proofs cost to sign does not grow with the product of proofs and keys: a public key
// is computed once, and none for ecash that is not locked.
func TestAttackManyLocked(t *testing.T) {
	keys := someKeys(t, 64)
	tx := manyLocked(t, keys)
	allocs := func(tx Transaction, keys []*ecash.PrivateKey) float64 {
		return testing.AllocsPerRun(2, func() {
			if _, err := tx.Sign(keys, time.Now()); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := allocs(tx, keys[:1]), allocs(tx, keys)
	if limit := few + 64*20 + 50*20; many > limit {
		t.Errorf("%v allocations with 64 keys, %v with one", many, few)
	}
	plain := Transaction{Inputs: []Proof{{Amount: 1, KeysetID: "00ffffffffffffff", Secret: "s", C: keys[0].PubKey()}}}
	if n := allocs(plain, keys); n > 10 {
		t.Errorf("%v allocations for ecash without a lock", n)
	}
}

func BenchmarkSign(b *testing.B) {
	keys := someKeys(b, 64)
	tx := manyLocked(b, keys)
	for b.Loop() {
		if _, err := tx.Sign(keys, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
