package command_test

import (
	"net"
	"strings"
	"testing"
)

// TestSlips shows that the likeliest slips on a command line are answered with what to type.
func TestSlips(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	const page = "http://127.0.0.1:1/"
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"another command":        {[]string{"stats"}, 2, "use demo, get, decode, "},
		"a key without its id":   {[]string{"keys", "retire"}, 2, "one argument, the id, and got 0"},
		"an argument too many":   {[]string{"keys", "rotate", "now"}, 2, "no arguments, not \"now\""},
		"ecash without amount":   {[]string{"cashu", "send"}, 2, "one argument, the amount, and got 0"},
		"an amount in two words": {[]string{"cashu", "send", "1", "sat"}, 2, "one argument, the amount, and got 2"},
		"a comma":                {[]string{"get", "--max", "1,000", page}, 2, "has a comma"},
		"a comma with a unit":    {[]string{"get", "--max", "10,5 sat", page}, 2, "has a comma"},
		"Caddy does not run":     {[]string{"status", "--address", nobody}, 1, "is Caddy running? Its admin API's address is taken from --address"},
		"nor for ecash":          {[]string{"cashu", "balance", "--address", nobody}, 1, "is Caddy running?"},
		"ecash to be decoded":    {[]string{"decode", "cashuBo2FteBhodHRwczo"}, 1, "Cashu ecash"},
		"a request for ecash":    {[]string{"decode", "creqAo2FhCmF1Y3NhdGFt"}, 1, "Cashu ecash"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t.Context(), "", test.args...)
			if got.code(t) != test.code || !strings.Contains(got.stderr, test.want) {
				t.Errorf("got %+v, want %d and %q", got, test.code, test.want)
			}
		})
	}
}
