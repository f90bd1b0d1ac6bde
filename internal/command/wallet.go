package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/walletcheck"
)

func walletCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wallet check",
		Short: "Tries the wallets of a configuration out",
		Long:  "\nWhat there is to do with the wallets of a configuration file.",
	}
	cmd.Args = cobra.ArbitraryArgs
	prepare(cmd, func(_ context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("unknown command %q: use check", args[0])
		}
		return cmd.Help()
	})
	cmd.AddCommand(walletCheckCommand())
	return cmd
}

func walletCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--config <path> [--adapter <name>]] [--amount <amount>] [--timeout <time>] [--json] [<name>]",
		Short: "Connects the wallets of a configuration file and makes an invoice with each",
		Long: `
Reads the configuration file as caddy run does, without starting any server, and tries
the wallet with this name out, or all of them:

  connect      does the peer answer?
  invoice      can it make an invoice? It is over one satoshi and is not meant to be paid.
  verify       is it the invoice that was asked for, on the right network?
  look-up      can it tell whether the invoice was paid?
  permissions  what does its credential allow?

Each step shows what it took and, where it failed, what to change. The exit code is 1 if
any wallet failed.

Run it as the user that Caddy runs as, with the same environment: files, placeholders such
as {env.NWC} and Caddy's storage are then the same. A wallet of the kind lnc takes one
connection at a time, so stop Caddy before checking one.`,
		Example: `  caddy l402 wallet check
  caddy l402 wallet check main --config /etc/caddy/Caddyfile
  sudo -u caddy caddy l402 wallet check --config /etc/caddy/Caddyfile --json`,
	}
	config := cmd.Flags().StringP("config", "c", "", "Configuration `file`; the default is the Caddyfile in this folder")
	adapter := cmd.Flags().String("adapter", "", "`Name` of the config adapter for --config")
	price := cmd.Flags().String("amount", "1 sat", "What the invoice is over, an `amount` in sat, msat or btc")
	timeout := cmd.Flags().Duration("timeout", walletcheck.DefaultTimeout, "The longest `time` that a step may take")
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	prepare(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError("name one wallet or none, not %d", len(args))
		}
		value, err := amount("--amount", *price)
		if err != nil {
			return err
		}
		if value < 1 || *timeout <= 0 {
			return usageError("--amount and --timeout must be more than zero")
		}
		app, err := loadApp(*config, *adapter)
		if err != nil {
			return err
		}
		defer app.close()
		return app.check(ctx, cmd.OutOrStdout(), args, walletcheck.Checker{Amount: value, Timeout: *timeout}, *asJSON)
	})
	return cmd
}

// check tries the wallets out, side by side, for some of them may hang.
func (a *loadedApp) check(ctx context.Context, out io.Writer, names []string, checker walletcheck.Checker, asJSON bool) error {
	declared := a.wallets
	if len(names) > 0 {
		i := slices.IndexFunc(declared, func(d walletcheck.Declared) bool { return d.Name == names[0] })
		if i < 0 {
			return usageError("the configuration declares no wallet %q, but %s", names[0], a.names())
		}
		declared = declared[i : i+1]
	}
	results := make([]*walletcheck.Result, len(declared))
	var checks sync.WaitGroup
	for i := range declared {
		// Owned by this call, which waits for them; each step is bounded.
		checks.Go(func() { results[i] = checker.Check(ctx, declared[i]) })
	}
	checks.Wait()
	failed := 0
	for _, r := range results {
		if !r.OK {
			failed++
		}
	}
	var err error
	if asJSON {
		err = printJSON(out, map[string]any{"ok": failed == 0, "wallets": results})
	} else {
		err = printChecks(out, results)
	}
	if err != nil || failed == 0 {
		return err
	}
	return fmt.Errorf("%d of %d wallets failed", failed, len(results))
}

func (a *loadedApp) names() string {
	names := make([]string, 0, len(a.wallets))
	for _, d := range a.wallets {
		names = append(names, d.Name)
	}
	if len(names) == 0 {
		return "none at all"
	}
	return strings.Join(names, ", ")
}

func printChecks(out io.Writer, results []*walletcheck.Result) error {
	var b strings.Builder
	for i, r := range results {
		if i > 0 {
			b.WriteByte('\n')
		}
		verdict := "ok"
		if !r.OK {
			verdict = "FAILED"
		}
		if r.Template {
			verdict = "not checked"
		}
		fmt.Fprintf(&b, "wallet %s (%s, %s): %s\n", r.Name, r.Adapter, r.Network, verdict)
		printSteps(&b, r)
		if r.Abilities != nil {
			fmt.Fprintf(&b, "  can do       %s\n", abilities(*r.Abilities))
		}
		for _, permission := range r.Permissions {
			fmt.Fprintf(&b, "  allows       %s\n", printable(permission))
		}
		if r.Note != "" {
			fmt.Fprintf(&b, "  note         %s\n", r.Note)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func printSteps(b *strings.Builder, r *walletcheck.Result) {
	cure := "" // the last one: steps that fail for one reason share it
	for _, s := range r.Steps {
		outcome, took, detail := s.Outcome, (time.Duration(s.Millis) * time.Millisecond).String(), printable(s.Detail)
		switch s.Outcome {
		case walletcheck.Skipped:
			outcome, took = "-", ""
		case walletcheck.Failed:
			outcome, detail = "FAILED", s.Error
		}
		line := fmt.Sprintf("  %-12s %-7s %-8s %s", s.Name, outcome, took, detail)
		fmt.Fprintln(b, strings.TrimRight(line, " "))
		if s.Cure != "" && s.Cure != cure {
			cure = s.Cure
			fmt.Fprintf(b, "  %-12s %s\n", "  cure", cure)
		}
	}
}

func abilities(a walletcheck.Abilities) string {
	words := []string{"make invoices"}
	for _, ability := range []struct {
		has  bool
		word string
	}{
		{a.LookUp, "look payments up"}, {a.Subscribe, "tell of payments as they happen"},
		{a.Hold, "hold payments"}, {a.Ping, "be pinged"}, {a.Pay, "pay (only transport l402 does)"},
	} {
		if ability.has {
			words = append(words, ability.word)
		}
	}
	return strings.Join(words, ", ")
}
