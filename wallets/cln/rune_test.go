package cln

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln/clntest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// documented is the rune of the examples in Core Lightning's command reference.
const documented = "tU-RLjMiDpY2U0o3W1oFowar36RFGpWloPbW9-RuZdo9MyZpZD0wMjRiOWExZmE4ZTAwNmYxZTM5MzdmNjVm" +
	"NjZjNDA4ZTZkYThlMWNhNzI4ZWE0MzIyMmE3MzgxZGYxY2M0NDk2MDUmbWV0aG9kPWxpc3RwZWVycyZwbnVtPTEmcG5hbWVp" +
	"ZF4wMjRiOWExZmE4ZTAwNmYxZTM5M3xwYXJyMF4wMjRiOWExZmE4ZTAwNmYxZTM5MyZ0aW1lPDE2NTY5MjA1MzgmcmF0ZT0y"

func makeRune(restrictions string) string {
	return base64.URLEncoding.EncodeToString([]byte(strings.Repeat("\x9d", authBytes) + restrictions))
}

func TestDescribeRune(t *testing.T) {
	for _, tt := range []struct {
		name, rune string
		want       []string
	}{
		{"documented", documented, []string{
			// Whatever is as long as a key is left out.
			"unique id 3", "…", "method=listpeers", "pnum=1",
			"pnameid^024b9a1fa8e006f1e393 or parr0^024b9a1fa8e006f1e393", "time<1656920538", "rate=2",
		}},
		{"the gate's", makeRune("=7&method=invoice|method=listinvoices|method=waitanyinvoice"), []string{
			"unique id 7", "method=invoice or method=listinvoices or method=waitanyinvoice",
		}},
		{"escaped", makeRune(`=7&pnamelabel=a\&b\|c\\d`), []string{"unique id 7", `pnamelabel=a&b|c\d`}},
		{"no restriction", makeRune("=7"), []string{"unique id 7", "everything: the rune has no restrictions"}},
		{"nothing at all", makeRune(""), []string{"everything: the rune has no restrictions"}},
		{"unpadded, with blanks", " " + strings.TrimRight(makeRune("=7&time<1"), "=") + "\n", []string{"unique id 7", "time<1"}},
	} {
		got, err := DescribeRune(tt.rune)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, %v", tt.name, got, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "not base64": "??" + documented, "short": "tU-RLjMiDpY2", "no operator": makeRune("=7&method"),
		"empty restriction": makeRune("=7&&time<1"), "not UTF-8": makeRune("=\xff"), "long": strings.Repeat("A", maxRune+4),
	} {
		if got, err := DescribeRune(bad); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestPermissions(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	got, err := openREST(t, wallettest.NewEnv(t), node, node.Rune(gateMethods...)).Permissions(t.Context())
	if err != nil || !slices.Contains(got, "method=invoice or method=listinvoices or method=waitanyinvoice") {
		t.Errorf("got %q, %v", got, err)
	}
	got, err = openSocket(t, wallettest.NewEnv(t), node).Permissions(t.Context())
	if err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "everything") {
		t.Errorf("got %q, %v", got, err)
	}
}
