package e2e

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// TestGetWithEcash fills a purse with ecash of somebody else's wallet and buys with it at a shop that
// takes ecash; the token that comes with the answer opens it again.
func TestGetWithEcash(t *testing.T) {
	t.Parallel()
	up := upstream.Start(t)
	m := startMint(t, nil, 100)
	gw := gateway.Start(t, gateway.Options{
		Binary: caddy, Site: shop(up, "limit off"),
		Global: "l402 {\n\twallet play sandbox\n\tcashu {\n\t\tmint " + m.URL + "\n\t}\n}",
	})
	rich := m.NewWallet(t)
	if err := rich.Buy(t.Context(), 200, nil); err != nil {
		t.Fatal(err)
	}
	token, err := rich.Send(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	folder := filepath.Join(home, "purse")
	purse := func(args ...string) (string, error) {
		out, stderr, err := runCaddy(t, home, append(append([]string{"l402", "purse"}, args...), "--purse", folder)...)
		if err != nil {
			t.Logf("%q: %s", args, stderr)
		}
		return out, err
	}
	if _, err := purse("receive", token); err == nil {
		t.Fatal("a purse took ecash of a mint that nobody told it to trust")
	}
	if _, err := purse("receive", "--mint", m.URL, "--network", "regtest", token); err != nil {
		t.Fatal(err)
	}
	if err := rich.Receive(t.Context(), token); err == nil {
		t.Fatal("the payer can take back what the purse received")
	}
	tokens := filepath.Join(home, "tokens.json")
	get := func(limit string) (string, string, error) {
		return runCaddy(t, home, "l402", "get", "--wallet", "cashu:"+m.URL+"?purse="+folder, "--max", limit, "--token-file", tokens, gw.Base+"/premium/a")
	}
	var exit *exec.ExitError
	if _, _, err := get("9 sat"); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("a price above the limit ends with %v", err)
	}
	for range 2 {
		out, stderr, err := get("10 sat")
		if err != nil || out != "GET /premium/a" {
			t.Fatalf("got %q, %v: %s", out, err, stderr)
		}
	}
	if up.Count() != 2 {
		t.Errorf("%d requests reached the upstream, want 2", up.Count())
	}
	out, err := purse("balance")
	if err != nil || !strings.Contains(out, " sat at "+m.URL+" (regtest)") || strings.Contains(out, "in payments") {
		t.Fatalf("balance %q, %v", out, err)
	}
	// What is left is worth something elsewhere.
	back, err := purse("send", "50")
	if err != nil {
		t.Fatal(err)
	}
	friend := m.NewWallet(t)
	if err := friend.Receive(t.Context(), strings.TrimSpace(back)); err != nil {
		t.Fatal(err)
	}
	if sat, err := friend.Balance(t.Context()); err != nil || sat < 45 || sat > 50 {
		t.Errorf("50 sat became %d, %v", sat, err)
	}
}
