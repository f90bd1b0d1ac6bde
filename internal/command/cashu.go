package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
)

func cashuCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cashu balance|send|redeem|restore|seed",
		Short: "Shows and moves the ecash that was taken",
		Long: `
Administers the ecash of a running Caddy through its admin API: what payers sent
(the cashu block of the global l402 options) and what wallets at a mint hold.

  balance        shows what each purse has
  send <amount>  takes ecash out of a purse, as a token
  redeem         has the mints pay it to redeem_to, now
  restore        finds the ecash of the seed at the mints, after a loss of the storage
  seed           shows, once, the words that it can be restored from

Each instance of Caddy has purses of its own, also where they share a storage; ask each
of them by --address.`,
		Example: `  caddy l402 cashu balance
  caddy l402 cashu send '100 sat'
  caddy l402 cashu redeem --mint https://mint.example.com`,
	}
	cmd.Args = cobra.ArbitraryArgs
	prepare(cmd, func(_ context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("unknown command %q: use balance, send, redeem, restore or seed", args[0])
		}
		return cmd.Help()
	})
	cmd.AddCommand(cashuBalance(), cashuSend(), cashuRedeem(), cashuRestore(), cashuSeed())
	return cmd
}

// cashuTimeout is longer than that of other calls, since mints are asked, and Lightning takes its
// time.
const cashuTimeout = 15 * time.Minute

// cashuRun does the work of a sub-command.
type cashuRun func(ctx context.Context, api *adminapi.Client, args []string, out, aside io.Writer, asJSON bool) error

// cashuSubcommand makes a sub-command with the flags that all of them have.
func cashuSubcommand(use, short, long string, wantArgs int, more func(*pflag.FlagSet), run cashuRun) *cobra.Command {
	cmd := &cobra.Command{Use: use + " " + adminUsage + " [--format text|json]", Short: short, Long: long}
	var admin adminFlags
	admin.add(cmd.Flags())
	format := cmd.Flags().String("format", "text", "The form: `text` or json")
	if more != nil {
		more(cmd.Flags())
	}
	prepare(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		switch {
		case len(args) != wantArgs:
			return wrongArgs(use, wantArgs, args)
		case !slices.Contains([]string{"text", "json"}, *format):
			return usageError("--format %q: use text or json", *format)
		}
		api, err := admin.client()
		if err != nil {
			return err
		}
		api.Timeout = cashuTimeout
		return run(ctx, api, args, cmd.OutOrStdout(), cmd.ErrOrStderr(), *format == "json")
	})
	return cmd
}

// purseUsage shows the flags of purseFlags in a usage line.
const purseUsage = "[--mint <url>] [--unit sat|msat] [--name <tenant>] [--wallet <name>]"

// purseFlags say which purses are meant.
type purseFlags struct {
	set                      *pflag.FlagSet
	mint, unit, name, wallet string
}

func (f *purseFlags) add(set *pflag.FlagSet) {
	f.set = set
	set.StringVar(&f.mint, "mint", "", "Only purses at the mint with this `URL`")
	set.StringVar(&f.unit, "unit", "", "Only purses of this `unit`: sat or msat")
	set.StringVar(&f.name, "name", "", "Only the purse of this `tenant`; an empty name is the operator's own")
	set.StringVar(&f.wallet, "wallet", "", "Only the purse of the `wallet` of this name; an empty name is none of a wallet")
}

// request is what the admin API is told.
func (f *purseFlags) request() map[string]any {
	in := make(map[string]any)
	for name, value := range map[string]string{"mint": f.mint, "unit": f.unit, "name": f.name, "wallet": f.wallet} {
		if f.set.Changed(name) {
			in[name] = value
		}
	}
	return in
}

// purseName is how a purse is called.
type purseName struct {
	Mint   string `json:"mint"`
	Unit   string `json:"unit"`
	Name   string `json:"name,omitempty"`
	Wallet string `json:"wallet,omitempty"`
}

// whose says whose a purse is.
func (p *purseName) whose() string {
	switch {
	case p.Wallet != "":
		return "wallet " + printable(p.Wallet)
	case p.Name != "":
		return printable(p.Name)
	}
	return "-"
}

func (p *purseName) String() string {
	text := fmt.Sprintf("%s (%s)", printable(p.Mint), printable(p.Unit))
	if whose := p.whose(); whose != "-" {
		text += " of " + whose
	}
	return text
}

// Guard.
var _ fmt.Stringer = (*purseName)(nil)
