package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
)

// TestPurse fills a purse, empties it, and finds its ecash again.
func TestPurse(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	folder := filepath.Join(t.TempDir(), "purse")
	run := func(args ...string) outcome {
		t.Helper()
		return run(t.Context(), "", append(append([]string{"purse"}, args...), "--purse", folder)...)
	}
	if r := run("balance"); r.err != nil || !strings.Contains(r.stdout, "the purse is empty") {
		t.Fatalf("balance of nothing: %+v", r)
	}
	text, err := mint.Token(t, 64, 32).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if r := run("receive", text); r.err == nil || !strings.Contains(r.stderr, "--mint "+mint.URL) {
		t.Fatalf("a token of an unknown mint: %+v", r)
	}
	if r := run("receive", "--mint", "https://other.example", text); r.code(t) != 2 {
		t.Fatalf("a token of another mint than the one named: %+v", r)
	}
	if r := run("receive", "--mint", mint.URL, "--network", "regtest", text); r.err != nil || !strings.Contains(r.stdout, "received 96 sat") {
		t.Fatalf("receive: %+v", r)
	}
	if r := run("receive", text); r.err != nil && !strings.Contains(r.stderr, "spent") {
		t.Fatalf("the same token again: %+v", r)
	}
	if r := run("balance"); r.stdout != "96 sat at "+mint.URL+" (regtest)\n" {
		t.Fatalf("balance: %+v", r)
	}
	sent := run("send", "33")
	if sent.err != nil || !strings.HasPrefix(sent.stdout, "cashu") {
		t.Fatalf("send: %+v", sent)
	}
	if r := run("send", "1000"); r.err == nil || !strings.Contains(r.stderr, "not enough ecash") {
		t.Fatalf("send of too much: %+v", r)
	}
	if r := run("receive", strings.TrimSpace(sent.stdout)); r.err != nil {
		t.Fatalf("taking it back: %+v", r)
	}
	if r := run("balance", "--mint", mint.URL); !strings.HasPrefix(r.stdout, "96 sat") {
		t.Fatalf("balance: %+v", r)
	}
	words := run("seed")
	if len(strings.Fields(words.stdout)) < 12 {
		t.Fatalf("seed: %+v", words)
	}
	// The records are lost, the seed is not.
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "cashuop") {
			if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r := run("restore"); r.err != nil || !strings.Contains(r.stdout, "found 96 sat; now 96") {
		t.Fatalf("restore: %+v", r)
	}
}

func TestPurseRefusals(t *testing.T) {
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no command":      {[]string{"purse", "spend"}, "unknown command"},
		"no amount":       {[]string{"purse", "send"}, "purse send <amount>"},
		"a bad amount":    {[]string{"purse", "send", "-1", "--purse", t.TempDir()}, "shorthand"},
		"a word":          {[]string{"purse", "send", "ten", "--purse", filepath.Join(t.TempDir(), "x")}, "not an amount"},
		"no mint":         {[]string{"purse", "send", "10", "--purse", filepath.Join(t.TempDir(), "x")}, "name one"},
		"a bad unit":      {[]string{"purse", "balance", "--unit", "usd"}, "sat or msat"},
		"a bad network":   {[]string{"purse", "balance", "--network", "moon"}, "--network"},
		"no token":        {[]string{"purse", "receive", "hello", "--purse", filepath.Join(t.TempDir(), "x")}, "token"},
		"a public folder": {[]string{"purse", "balance", "--purse", open}, "chmod 700"},
	} {
		r := run(t.Context(), "", test.args...)
		if r.err == nil || !strings.Contains(r.stderr, test.want) {
			t.Errorf("%s: got %+v, want %q", name, r, test.want)
		}
	}
}
