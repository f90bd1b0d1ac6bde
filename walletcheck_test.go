package caddyl402

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/command"
)

// checkWallets runs `caddy l402 wallet check` with a configuration of these wallets.
func checkWallets(t *testing.T, wallets string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "Caddyfile")
	text := "{\n\tstorage file_system " + t.TempDir() + "\n\tl402 {\n" + wallets + "\n\t}\n}\n" +
		"http://127.0.0.1:1 {\n\tbind 127.0.0.1\n\tl402 10 sat\n}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	root := &cobra.Command{Use: "caddy"}
	cmd := &cobra.Command{Use: command.Name}
	command.Setup(cmd)
	root.AddCommand(cmd)
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(append([]string{"l402", "wallet", "check", "--config", file}, args...))
	err = root.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func TestWalletCheck(t *testing.T) {
	const wallets = "wallet try sandbox wallet-check\nwallet many lnurl {http.vars.user}@example.com"
	out, _, err := checkWallets(t, wallets)
	if err != nil {
		t.Fatal(err, out)
	}
	for _, text := range []string{
		"wallet try (sandbox, regtest): ok", "look-up      ok", "pending", "can do       make invoices, look payments up",
		"is not money", "wallet many (lnurl, mainnet): not checked",
	} {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in\n%s", text, out)
		}
	}
	if strings.Contains(out, "lnbcrt") {
		t.Error("the invoice is shown as something to pay:", out)
	}
	out, _, err = checkWallets(t, wallets, "--json", "try")
	var result struct {
		OK      bool
		Wallets []struct {
			Name      string
			OK        bool
			Steps     []struct{ Name, Outcome string }
			Abilities map[string]bool
		}
	}
	if jsonErr := json.Unmarshal([]byte(out), &result); err != nil || jsonErr != nil || !result.OK || len(result.Wallets) != 1 ||
		result.Wallets[0].Name != "try" || len(result.Wallets[0].Steps) != 5 || !result.Wallets[0].Abilities["look_up"] {
		t.Errorf("%v %v %s", err, jsonErr, out)
	}
}

func TestWalletCheckFails(t *testing.T) {
	const wallets = "wallet try sandbox wallet-check\nwallet node lnd 127.0.0.1:1 {\n\tmacaroon /none/such\n\ttls_cert /none/such\n}"
	out, errs, err := checkWallets(t, wallets)
	if err == nil || !strings.Contains(errs, "1 of 2 wallets failed") {
		t.Error(err, errs)
	}
	for _, text := range []string{"wallet node (lnd, mainnet): FAILED", "wallet try (sandbox, regtest): ok", "cure", "Caddy's user"} {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in\n%s", text, out)
		}
	}
	if out, _, err = checkWallets(t, wallets, "--json"); err == nil || !strings.Contains(out, `"ok": false`) {
		t.Error(err, out)
	}
}

func TestWalletCheckRefusals(t *testing.T) {
	const sandbox = "wallet try sandbox wallet-check"
	for name, test := range map[string]struct {
		wallets string
		args    []string
		says    string
	}{
		"unknown wallet": {sandbox, []string{"other"}, `declares no wallet "other", but try`},
		"two wallets":    {sandbox, []string{"a", "b"}, "one wallet or none"},
		"bad amount":     {sandbox, []string{"--amount", "much"}, "--amount"},
		"no amount":      {sandbox, []string{"--amount", "0"}, "more than zero"},
		"no time":        {sandbox, []string{"--timeout", "0s"}, "more than zero"},
		"bad wallet":     {"wallet node lnd 127.0.0.1:1", nil, "macaroon"},
		"bad Caddyfile":  {"wallet", nil, "expected `wallet <name> <adapter>`"},
	} {
		if out, errs, err := checkWallets(t, test.wallets, test.args...); err == nil || !strings.Contains(errs, test.says) || out != "" {
			t.Errorf("%s: %v, %s", name, err, errs)
		}
	}
	root := &cobra.Command{Use: "caddy"}
	cmd := &cobra.Command{Use: command.Name}
	command.Setup(cmd)
	root.AddCommand(cmd)
	root.SetArgs([]string{"l402", "wallet", "check", "--config", "/none/such"})
	root.SetErr(new(bytes.Buffer))
	if err := root.Execute(); err == nil {
		t.Error("a configuration that is not there was checked")
	}
}
