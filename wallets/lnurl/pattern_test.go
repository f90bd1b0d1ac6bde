package lnurl

import (
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lntypes"
)

func TestLearn(t *testing.T) {
	a, b := lntypes.Hash{1}, lntypes.Hash{2}
	at := func(hash lntypes.Hash) string { return "https://x.example/v/" + hash.String() + "?x=y" }
	var k knowledge
	if k.learn("", a) != nil || !k.made || k.verifies {
		t.Errorf("no address taught %+v", k)
	}
	if k.learn("https://x.example/v/17", a) != nil || !k.verifies {
		t.Errorf("an address without hash taught %+v", k)
	}
	first := k.learn(at(a), a)
	if first == nil || k.confirmed {
		t.Fatalf("one address taught %+v", k)
	}
	if k.learn(at(a), a); k.confirmed {
		t.Error("the same invoice twice confirms a pattern")
	}
	if got := k.learn(at(b), b); got != first || !k.confirmed || got.address(a) != at(a) {
		t.Errorf("two addresses taught %+v", k)
	}
	if got := k.learn(at(a)+"&n=1", a); got == first || k.confirmed || first.address(b) != at(b) {
		t.Errorf("another pattern taught %+v", k)
	}
}

func TestCutPattern(t *testing.T) {
	hash := lntypes.Hash{0xab}
	text := hash.String()
	for address, want := range map[string]bool{
		"https://x/" + text:                          true,
		"https://x/?h=" + text + "&y":                true,
		"https://x/":                                 false,
		"https://x/" + text[:63]:                     false,
		"https://x/" + text + "/" + text:             false,
		"https://x/" + strings.ToUpper(text):         false,
		"https://x/" + (lntypes.Hash{0xac}).String(): false,
	} {
		p, ok := cutPattern(address, hash)
		if ok != want || ok && p.address(hash) != address {
			t.Errorf("%s: %v, %v", address, p, ok)
		}
	}
}
