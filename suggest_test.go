package caddyl402

import (
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestUnknownOption(t *testing.T) {
	for name, test := range map[string]struct {
		word string
		want string
	}{
		"a letter too few":      {"walet", "did you mean `wallet`?"},
		"a hyphen":              {"invoice-expiry", "did you mean `invoice_expiry`?"},
		"upper case":            {"Uses", "did you mean `uses`?"},
		"a longer word":         {"validity", "did you mean `valid`?"},
		"the beginning":         {"capa", "did you mean `capabilities`?"},
		"something else":        {"macaroon", "there is capabilities, invoice_expiry, "},
		"two would do":          {"mix", "there is capabilities, "},
		"two letters":           {"va", "there is capabilities, "},
		"nothing":               {"", "there is capabilities, "},
		"longer than any word":  {strings.Repeat("valid", 100), "did you mean `valid`?"},
		"long and like nothing": {strings.Repeat("x", 10000), "there is capabilities, "},
	} {
		t.Run(name, func(t *testing.T) {
			d := caddyfile.NewDispenser([]caddyfile.Token{{File: "Caddyfile", Line: 3, Text: test.word}})
			d.Next()
			err := unknownOption(d, "l402", "wallet", "valid", "uses", "max", "min", "mid", "invoice_expiry", "capabilities")
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), " of l402") {
				t.Errorf("got %v, want …%s", err, test.want)
			}
		})
	}
}

// TestUnknownOptionNamesThemAll compares the names that are told with those that are read.
func TestUnknownOptionNamesThemAll(t *testing.T) {
	told := func(n ast.Node) []ast.Expr {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return nil
		}
		if f, ok := call.Fun.(*ast.Ident); !ok || f.Name != "unknownOption" {
			return nil
		}
		return call.Args[2:]
	}
	for _, file := range []string{"globaloption.go", "cashu_caddyfile.go", "redemption_caddyfile.go", "rates_caddyfile.go"} {
		have, want := stringsIn(t, file, told), stringsIn(t, file, cases)
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("%s tells of %q and reads %q", file, have, want)
		}
	}
}
