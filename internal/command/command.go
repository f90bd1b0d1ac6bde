// Package command is the command line of the gate: what stands behind caddy l402.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
)

// Name, Usage, Short and Long describe the command to Caddy.
const (
	Name  = "l402"
	Usage = "demo|get|decode|keys|revoke|report|status|wallet|manifest|cashu|purse"
	Short = "Shows, pays, explains and administers L402 payments"
	Long  = `
Commands around the L402 gate, which charges for HTTP routes over Lightning.

Each of them has a --help with examples:

To try it out, and to buy:

  caddy l402 demo      runs a gate on this machine to try it out; no money moves
  caddy l402 get       requests a URL and pays for it
  caddy l402 purse     shows, fills and empties the ecash that get can pay with
  caddy l402 decode    explains a token, a challenge, a credential or an invoice

With a configuration file:

  caddy l402 wallet    tries the wallets of a configuration out
  caddy l402 manifest  shows what a configuration tells clients about what it sells

With a running Caddy, by its admin API:

  caddy l402 status    shows how a running gate does
  caddy l402 report    adds up what was paid
  caddy l402 revoke    makes tokens invalid that were sold
  caddy l402 keys      lists, rotates and retires the keys that tokens are made with
  caddy l402 cashu     shows and moves the ecash that was taken
`
)

// Setup gives the command its sub-commands.
func Setup(cmd *cobra.Command) {
	cmd.Example = "  caddy l402 demo --once\n  caddy l402 get --max '50 sat' https://example.com/premium/a"
	cmd.Args = cobra.ArbitraryArgs
	prepare(cmd, func(_ context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("unknown command %q: use %s", args[0], strings.ReplaceAll(Usage, "|", ", "))
		}
		return cmd.Help()
	})
	cmd.AddCommand(demoCommand(), getCommand(), decodeCommand(), keysCommand(),
		revokeCommand(), reportCommand(), statusCommand(), walletCommand(), manifestCommand(), cashuCommand(),
		purseCommand())
}

// prepare makes a command end with our exit codes and error texts, and with Ctrl-C.
func prepare(cmd *cobra.Command, run func(context.Context, *cobra.Command, []string) error) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return finish(cmd, usageError("%v", err))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		return finish(cmd, run(ctx, cmd, args))
	}
}

// finish prints an error and turns it into an exit code.
func finish(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	code := codeOf(err)
	if text := err.Error(); text != "" {
		if errors.Is(err, adminapi.ErrUnreachable) && cmd.Flags().Lookup("address") != nil {
			text += "; is Caddy running? Its admin API's address is taken from --address or --config"
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.CommandPath(), text)
	}
	if code == exitUsage {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s --help tells more\n", cmd.CommandPath())
	}
	if code <= exitError {
		return err
	}
	// Caddy's main takes exit codes from an error of its own that only this function makes.
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

// program is how the user called this program, for texts to be copied.
func program() string {
	name := os.Args[0]
	if strings.Contains(filepath.ToSlash(name), "/go-build") {
		return "go run ./xcaddy"
	}
	if found, err := exec.LookPath(filepath.Base(name)); err == nil {
		if same, err := filepath.EvalSymlinks(found); err == nil && same == name || found == name {
			return filepath.Base(name)
		}
	}
	return name
}
