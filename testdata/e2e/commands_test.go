package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/upstream"
)

// runCaddy runs a command of the program under test in a folder of its own.
func runCaddy(t testing.TB, home string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), caddy, args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home+"/data", "XDG_CONFIG_HOME="+home+"/config")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestDemo runs the demonstration that performs the whole exchange by itself.
func TestDemo(t *testing.T) {
	stdout, stderr, err := runCaddy(t, t.TempDir(), "l402", "demo", "--once")
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
	}
	all := stdout + stderr
	for _, want := range []string{"402", "lnbcrt", "200"} {
		if !strings.Contains(all, want) {
			t.Errorf("the demonstration does not show %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "panic") {
		t.Errorf("the demonstration panics:\n%s", all)
	}
}

// TestValidateLeavesNothing shows that checking a configuration neither dials LND nor writes.
func TestValidateLeavesNothing(t *testing.T) {
	net, up := network(t), upstream.Start(t)
	before, err := os.ReadFile(filepath.Join(net.Bob.Dir, "lnd.out"))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	gw := gateway.New(home, gateway.Options{Global: lndOptions(net.Bob), Site: shop(up)})
	file := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(file, []byte(gw.Caddyfile()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, err := runCaddy(t, home, "validate", "--config", file); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	err = filepath.WalkDir(filepath.Join(home, "storage"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			t.Errorf("validating wrote %s", path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	after, err := os.ReadFile(filepath.Join(net.Bob.Dir, "lnd.out"))
	if err != nil {
		t.Fatal(err)
	}
	if new := string(after[len(before):]); strings.Contains(new, "Invoice") {
		t.Errorf("validating called LND: %s", new)
	}
}

// TestGetCommand buys with the project's own client from either wallet, refuses a price over its
// limit before anything is paid, and uses a stored token again.
func TestGetCommand(t *testing.T) {
	net, lndGate, lndUp := lndShop(t)
	_, payGate, payUp := lndShop(t, "schemes Payment")
	play, playUp := sandboxShop(t)
	alice := "lnd:" + net.Alice.Addr() + "?macaroon=" + net.Alice.AdminMacaroon() + "&tls_cert=" + net.Alice.CertFile() + "&network=regtest"
	for _, tc := range []struct {
		name, wallet string
		gw           *gateway.Gateway
		up           *upstream.Server
	}{
		{"sandbox", "sandbox:" + strings.TrimPrefix(play.AdminURL(), "http://"), play, playUp},
		{"lnd", alice, lndGate, lndUp},
		{"the Payment scheme alone", alice, payGate, payUp},
	} {
		t.Run(tc.name, func(t *testing.T) {
			home := t.TempDir()
			tokens := filepath.Join(home, "tokens.json")
			get := func(limit string) (string, string, error) {
				return runCaddy(t, home, "l402", "get", "--wallet", tc.wallet, "--max", limit, "--token-file", tokens, tc.gw.Base+"/premium/a")
			}
			out, _, err := get("9 sat")
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 3 {
				t.Fatalf("a price of 10 sat with a limit of 9 ends with %v: %s", err, out)
			}
			if tc.up.Count() != 0 {
				t.Fatal("the upstream was reached unpaid")
			}
			for range 2 {
				out, errs, err := get("10 sat")
				if err != nil {
					t.Fatalf("%v\n%s", err, errs)
				}
				if out != "GET /premium/a" {
					t.Errorf("the body is %q", out)
				}
			}
			if tc.up.Count() != 2 {
				t.Errorf("%d requests reached the upstream, want 2", tc.up.Count())
			}
			if info, err := os.Stat(tokens); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("the token file is open to others: %v, %v", info, err)
			}
		})
	}
}

// TestKeyRotation rotates the signing key: old tokens pass, new ones are made with the new key.
func TestKeyRotation(t *testing.T) {
	gw, up := sandboxShop(t)
	before := gw.Buy(t, gw.Sandbox(), "/premium/a")
	if _, stderr, err := runCaddy(t, t.TempDir(), "l402", "keys", "rotate", "--address", strings.TrimPrefix(gw.AdminURL(), "http://")); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	after := gw.Buy(t, gw.Sandbox(), "/premium/a")
	passes(t, gw, up, "/premium/a", client.Auth(before))
	passes(t, gw, up, "/premium/a", client.Auth(after))
	if a, b := keyID(t, before), keyID(t, after); a == b {
		t.Error("after the rotation tokens are still made with the old key")
	}
	gw.Kill()
	if err := gw.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	passes(t, gw, up, "/premium/a", client.Auth(before))
	passes(t, gw, up, "/premium/a", client.Auth(after))
}

// keyID is the part of a token's id that names its key.
func keyID(t testing.TB, token client.Token) string {
	t.Helper()
	id, err := token.TokenID()
	if err != nil {
		t.Fatal(err)
	}
	return string(id[:8])
}
