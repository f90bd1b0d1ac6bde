package token

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
)

var now = time.Unix(1_800_000_000, 0)

func hexKey(k *ecash.PrivateKey) string { return hex.EncodeToString(k.PubKey().SerializeCompressed()) }

func secretOf(t testing.TB, c Condition) string {
	t.Helper()
	c.Nonce = "00"
	s, err := c.Secret()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func unix(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }

// The attacks on a receiver who keeps proofs unswapped, and what is fine.
func TestExamine(t *testing.T) {
	us, us2, payer, other := newKey(t), newKey(t), newKey(t), newKey(t)
	ours := []*ecash.PublicKey{us.PubKey(), us2.PubKey()}
	flipped := hexKey(us)
	flipped = map[string]string{"02": "03", "03": "02"}[flipped[:2]] + flipped[2:]
	const hash = "ec4916dd28fc4c10d78e287ca5d9cc51ee1ae73cbfde08c6b37324cbfaac8bc5"
	const opens = `{"preimage":"0000000000000000000000000000000000000000000000000000000000000001"}`
	for _, v := range []struct {
		name    string
		kind    string
		data    string
		tags    [][]string
		witness string
		want    Verdict
		final   error
	}{
		{name: "ours for ever", data: hexKey(us), want: Verdict{Ours: true}},
		{name: "ours, other parity", data: flipped, want: Verdict{Ours: true}},
		{name: "ours in upper case", data: strings.ToUpper(hexKey(us)), want: Verdict{Ours: true}},
		{name: "the payer's", data: hexKey(payer), want: Verdict{Foreign: true}, final: ErrNotOurs},
		{name: "1 of us and the payer", data: hexKey(us), tags: [][]string{{"pubkeys", hexKey(payer)}}, want: Verdict{Ours: true, Foreign: true}, final: ErrTakeBack},
		{name: "2 of us and the payer", data: hexKey(us), tags: [][]string{{"pubkeys", hexKey(payer)}, {"n_sigs", "2"}}, want: Verdict{}, final: ErrNotOurs},
		{name: "2 of our two and the payer", data: hexKey(us), tags: [][]string{{"pubkeys", hexKey(payer), hexKey(us2)}, {"n_sigs", "2"}}, want: Verdict{Ours: true}},
		{name: "2 of our two and two of the payer's", data: hexKey(us), tags: [][]string{{"pubkeys", hexKey(payer), hexKey(us2), hexKey(other)}, {"n_sigs", "2"}}, want: Verdict{Ours: true, Foreign: true}, final: ErrTakeBack},
		{name: "2 of ours", data: hexKey(us), tags: [][]string{{"pubkeys", hexKey(us2)}, {"n_sigs", "2"}}, want: Verdict{Ours: true}},
		{name: "locktime past, no refund key", data: hexKey(us), tags: [][]string{{"locktime", unix(-time.Hour)}}, want: Verdict{Ours: true, Foreign: true}, final: ErrTakeBack},
		{name: "locktime now", data: hexKey(us), tags: [][]string{{"locktime", unix(0)}}, want: Verdict{Ours: true, Foreign: true}, final: ErrTakeBack},
		{name: "locktime zero", data: hexKey(us), tags: [][]string{{"locktime", "0"}}, want: Verdict{Ours: true, Foreign: true}, final: ErrTakeBack},
		{name: "locktime near, no refund key", data: hexKey(us), tags: [][]string{{"locktime", unix(time.Minute)}}, want: Verdict{Ours: true, ForeignAt: now.Add(time.Minute)}, final: ErrTakeBack},
		{name: "locktime near, refund to the payer", data: hexKey(us), tags: [][]string{{"locktime", unix(time.Minute)}, {"refund", hexKey(payer)}}, want: Verdict{Ours: true, ForeignAt: now.Add(time.Minute)}, final: ErrTakeBack},
		{name: "locktime past, refund to the payer", data: hexKey(us), tags: [][]string{{"locktime", unix(-1)}, {"refund", hexKey(payer)}}, want: Verdict{Ours: true, Foreign: true}, final: ErrTakeBack},
		{name: "locktime past, refund 2 of us and the payer", data: hexKey(us), tags: [][]string{{"locktime", unix(-time.Hour)}, {"refund", hexKey(payer), hexKey(us)}, {"n_sigs_refund", "2"}}, want: Verdict{Ours: true}},
		{name: "locktime near, refund to us", data: hexKey(us), tags: [][]string{{"locktime", unix(time.Minute)}, {"refund", hexKey(us2)}}, want: Verdict{Ours: true}},
		{name: "refund to the payer without locktime", data: hexKey(us), tags: [][]string{{"refund", hexKey(payer)}}, want: Verdict{Ours: true}},
		{name: "refund to us, the payer's until then", data: hexKey(payer), tags: [][]string{{"locktime", unix(time.Hour)}, {"refund", hexKey(us)}}, want: Verdict{Foreign: true}, final: ErrNotOurs},
		{name: "refund to us, expired", data: hexKey(payer), tags: [][]string{{"locktime", unix(-time.Hour)}, {"refund", hexKey(us)}}, want: Verdict{Ours: true, Foreign: true}, final: ErrTakeBack},
		{name: "locktime beyond all times", data: hexKey(us), tags: [][]string{{"locktime", "9223372036854775807"}}, want: Verdict{Ours: true, ForeignAt: time.Unix(latest, 0)}, final: ErrTakeBack},
		{name: "SIG_ALL", data: hexKey(us), tags: [][]string{{"sigflag", "SIG_ALL"}}, want: Verdict{Ours: true, SigAll: true}, final: ErrLock},
		{name: "SIG_INPUTS and a foreign tag", data: hexKey(us), tags: [][]string{{"sigflag", "SIG_INPUTS"}, {"color", "red"}}, want: Verdict{Ours: true}},
		{name: "hash lock alone", kind: KindHTLC, data: hash, want: Verdict{Foreign: true}, final: ErrNotOurs},
		{name: "hash lock alone, preimage given", kind: KindHTLC, data: hash, witness: opens, want: Verdict{Ours: true, Foreign: true}, final: ErrTakeBack},
		{name: "hash lock to us, no preimage", kind: KindHTLC, data: hash, tags: [][]string{{"pubkeys", hexKey(us)}}, want: Verdict{}, final: ErrNotOurs},
		{name: "hash lock to us, preimage given", kind: KindHTLC, data: hash, tags: [][]string{{"pubkeys", hexKey(us)}}, witness: opens, want: Verdict{Ours: true}},
		{name: "hash lock to us, wrong preimage", kind: KindHTLC, data: hash, tags: [][]string{{"pubkeys", hexKey(us)}}, witness: strings.Replace(opens, "01\"", "02\"", 1), want: Verdict{}, final: ErrNotOurs},
		{name: "hash lock to us, refund soon", kind: KindHTLC, data: hash, tags: [][]string{{"pubkeys", hexKey(us)}, {"locktime", unix(time.Minute)}, {"refund", hexKey(payer)}}, witness: opens, want: Verdict{Ours: true, ForeignAt: now.Add(time.Minute)}, final: ErrTakeBack},
	} {
		t.Run(v.name, func(t *testing.T) {
			if v.kind == "" {
				v.kind = KindP2PK
			}
			p := Proof{Secret: secretOf(t, Condition{Kind: v.kind, Data: v.data, Tags: v.tags}), Witness: v.witness}
			v.want.Locked = true
			got, err := Examine(p, ours, now)
			if err != nil || got != v.want {
				t.Errorf("got %+v, %v, want %+v", got, err, v.want)
			}
			if err := CheckFinal(p, ours, now, time.Time{}); !errors.Is(err, v.final) {
				t.Errorf("final: got %v, want %v", err, v.final)
			}
		})
	}
}

func TestCheckFinalUntil(t *testing.T) {
	us, payer := newKey(t), newKey(t)
	p := Proof{Secret: secretOf(t, Condition{Kind: KindP2PK, Data: hexKey(us), Tags: [][]string{{"locktime", unix(time.Hour)}, {"refund", hexKey(payer)}}})}
	ours := []*ecash.PublicKey{us.PubKey()}
	if err := CheckFinal(p, ours, now, now.Add(59*time.Minute)); err != nil {
		t.Error(err)
	}
	for _, until := range []time.Time{{}, now.Add(time.Hour), now.Add(2 * time.Hour)} {
		if err := CheckFinal(p, ours, now, until); !errors.Is(err, ErrTakeBack) {
			t.Errorf("until %s: got %v", until, err)
		}
	}
	if err := CheckFinal(Proof{Secret: "plain"}, ours, now, time.Time{}); !errors.Is(err, ErrNotLocked) {
		t.Errorf("plain: got %v", err)
	}
	if v, err := Examine(Proof{Secret: "plain"}, nil, now); err != nil || v != (Verdict{Ours: true, Foreign: true}) {
		t.Errorf("plain: got %+v, %v", v, err)
	}
}

// Secrets that two readers could understand differently, and what NUT-11 calls malformed.
func TestMalformedLocks(t *testing.T) {
	us, payer := newKey(t), newKey(t)
	k, k2 := hexKey(us), hexKey(payer)
	flipped := map[string]string{"02": "03", "03": "02"}[k[:2]] + k[2:]
	tags := func(s string) string {
		return `["P2PK",{"nonce":"0","data":"` + k + `","tags":[` + s + `]}]`
	}
	if err := CheckFinal(Proof{Secret: tags("")}, []*ecash.PublicKey{us.PubKey()}, now, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{
		"data twice, the last is ours":   `["P2PK",{"nonce":"0","data":"` + k2 + `","data":"` + k + `"}]`,
		"Data beside data":               `["P2PK",{"nonce":"0","data":"` + k + `","Data":"` + k2 + `"}]`,
		"escaped name":                   `["P2PK",{"nonce":"0","data":"` + k + `","\u0064ata":"` + k2 + `"}]`,
		"unknown field":                  `["P2PK",{"nonce":"0","data":"` + k + `","x":""}]`,
		"something follows":              `["P2PK",{"nonce":"0","data":"` + k + `"}]x`,
		"a third element":                `["P2PK",{"nonce":"0","data":"` + k + `"},1]`,
		"cut off":                        `["P2PK",{"nonce":"0","data":"` + k + `"}`,
		"no data":                        `["P2PK",{"nonce":"0"}]`,
		"no nonce":                       `["P2PK",{"data":"` + k + `"}]`,
		"an empty list":                  `[]`,
		"space before it, and malformed": ` ["P2PK"`,
		"not UTF-8":                      "[\"P2PK\",{\"nonce\":\"\xff\",\"data\":\"" + k + "\"}]",
		"unknown kind":                   `["P2SH",{"nonce":"0","data":"` + k + `"}]`,
		"kind in another case":           `["p2pk",{"nonce":"0","data":"` + k + `"}]`,
		"data is no key":                 `["P2PK",{"nonce":"0","data":"02"}]`,
		"data is an x-only key":          `["P2PK",{"nonce":"0","data":"` + k[2:] + `"}]`,
		"hash of 31 bytes":               `["HTLC",{"nonce":"0","data":"` + k[4:] + `"}]`,
		"hash that is no hex":            `["HTLC",{"nonce":"0","data":"zz` + k[4:] + `"}]`,
		"tag twice":                      tags(`["locktime","9999999999"],["locktime","1"]`),
		"empty tag":                      tags(`[]`),
		"tag with an empty text":         tags(`["locktime",""]`),
		"tag with a number":              tags(`["locktime",1]`),
		"tags are text":                  `["P2PK",{"nonce":"0","data":"` + k + `","tags":"x"}]`,
		"locktime is no number":          tags(`["locktime","soon"]`),
		"locktime negative":              tags(`["locktime","-1"]`),
		"locktime with a fraction":       tags(`["locktime","1e3"]`),
		"locktime without value":         tags(`["locktime"]`),
		"two locktimes":                  tags(`["locktime","9999999999","1"]`),
		"n_sigs of zero":                 tags(`["n_sigs","0"]`),
		"n_sigs negative":                tags(`["n_sigs","-1"]`),
		"n_sigs above the keys":          tags(`["n_sigs","2"]`),
		"n_sigs is no number":            tags(`["n_sigs","x"]`),
		"n_sigs without value":           tags(`["n_sigs"]`),
		"n_sigs_refund without keys":     tags(`["n_sigs_refund","1"]`),
		"unknown flag":                   tags(`["sigflag","SIG_NONE"]`),
		"flag without value":             tags(`["sigflag"]`),
		"a key twice":                    tags(`["pubkeys","` + k + `"],["n_sigs","2"]`),
		"a key twice, other parity":      tags(`["pubkeys","` + flipped + `"],["n_sigs","2"]`),
		"a refund key twice":             tags(`["refund","` + k2 + `","` + k2 + `"],["locktime","1"]`),
		"pubkeys without keys":           tags(`["pubkeys"]`),
		"a refund key that is none":      tags(`["refund","xx"]`),
	} {
		if v, err := Examine(Proof{Secret: secret}, []*ecash.PublicKey{us.PubKey()}, now); !errors.Is(err, ErrLock) {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
	}
}

func FuzzParseCondition(f *testing.F) {
	f.Add(`["P2PK",{"nonce":"0","data":"02","tags":[["locktime","1"]]}]`)
	f.Add("plain")
	f.Fuzz(func(t *testing.T, secret string) {
		c, err := ParseCondition(secret)
		if err != nil || c == nil {
			return
		}
		again, err := c.Secret()
		if err != nil {
			t.Fatalf("%q: %v", secret, err)
		}
		if other, err := ParseCondition(again); err != nil || other.Kind != c.Kind || other.Data != c.Data || len(other.Tags) != len(c.Tags) {
			t.Errorf("%q became %q: %v", secret, again, err)
		}
		_, _ = c.Lock()
	})
}
