package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-l402/caddy-l402/internal/client/localpurse"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// maxToken bounds a token that is read from the standard input.
const maxToken = 1 << 20

// purseOptions are the flags that all of purse's commands have.
type purseOptions struct {
	folder, mint, unit, network string
	timeout                     time.Duration
}

func (o *purseOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.folder, "purse", localpurse.DefaultPath(), "The `folder` with the ecash")
	f.StringVar(&o.mint, "mint", "", "The `URL` of the mint; the default is the only one there is")
	f.StringVar(&o.unit, "unit", "", "The `unit` of the ecash, sat or msat")
	f.StringVar(&o.network, "network", "", "The `network` of the mint's Lightning node; the default is mainnet")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "The longest `time` that it may take")
}

// open opens the folder, and spec from the flags.
func (o *purseOptions) open(ctx context.Context) (*localpurse.Folder, localpurse.Spec, error) {
	spec := localpurse.Spec{Mint: o.mint, Unit: o.unit}
	if o.network != "" {
		network, err := wallets.ParseNetwork(o.network)
		if err != nil {
			return nil, spec, usageError("--network: %v", err)
		}
		spec.Network = network
	}
	if o.unit != "" && o.unit != "sat" && o.unit != "msat" {
		return nil, spec, usageError("--unit %q is not sat or msat", o.unit)
	}
	if o.folder == "" || o.timeout <= 0 {
		return nil, spec, usageError("--purse must not be empty and --timeout be more than zero")
	}
	f, err := localpurse.Open(ctx, o.folder)
	return f, spec, err
}

// purseAction is what a command does with the folder.
type purseAction func(ctx context.Context, cmd *cobra.Command, f *localpurse.Folder, spec localpurse.Spec, args []string) error

func purseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "purse balance|receive|send|restore|seed",
		Short: "Shows, fills and empties the ecash that get can pay with",
		Long: `
Keeps Cashu ecash in a folder of the user's own, for caddy l402 get --wallet cashu:…
The folder is as good as money; only its owner may read it. One process uses it at a
time, others wait. The seed in it (see seed) is all that is needed to restore it.`,
	}
	cmd.Args = cobra.ArbitraryArgs
	prepare(cmd, func(_ context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("unknown command %q: use balance, receive, send, restore or seed", args[0])
		}
		return cmd.Help()
	})
	for _, c := range []struct {
		use, short, example string
		args                [2]int
		run                 purseAction
	}{
		{"balance", "Shows what is in the purse, by mint", "  caddy l402 purse balance", [2]int{0, 0}, purseBalance},
		{"receive [<token>]", "Takes a token in, from the arguments or the standard input",
			"  caddy l402 purse receive --mint https://mint.example.com < token.txt", [2]int{0, 1}, purseReceive},
		{"send <amount>", "Takes a token out, an amount in the mint's unit", "  caddy l402 purse send 100", [2]int{1, 1}, purseSend},
		{"restore", "Finds the ecash of the seed at the mint", "  caddy l402 purse restore --mint https://mint.example.com", [2]int{0, 0}, purseRestore},
		{"seed", "Shows the words that the ecash can be restored from", "  caddy l402 purse seed", [2]int{0, 0}, purseSeed},
	} {
		var o purseOptions
		sub := &cobra.Command{Use: c.use, Short: c.short, Example: c.example}
		o.flags(sub.Flags())
		prepare(sub, func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if len(args) < c.args[0] || len(args) > c.args[1] {
				return usageError("use it as: purse %s", c.use)
			}
			ctx, cancel := context.WithTimeout(ctx, o.timeout)
			defer cancel()
			f, spec, err := o.open(ctx)
			if err != nil {
				return err
			}
			return errors.Join(c.run(ctx, cmd, f, spec, args), f.Close())
		})
		cmd.AddCommand(sub)
	}
	return cmd
}

// withMint opens the ecash of one mint for use.
func withMint(ctx context.Context, f *localpurse.Folder, spec localpurse.Spec, use func(*localpurse.Mint, *purse.Purse) error) error {
	m, err := f.Mint(ctx, spec)
	if err != nil {
		return err
	}
	p, err := m.Purse(ctx)
	if err == nil {
		err = use(m, p)
	}
	return errors.Join(err, m.Close())
}

func purseBalance(ctx context.Context, cmd *cobra.Command, f *localpurse.Folder, spec localpurse.Spec, _ []string) error {
	mints, err := f.Mints(ctx)
	if err != nil {
		return err
	}
	shown := 0
	for _, known := range mints {
		if spec.Mint != "" && !token.SameMint(spec.Mint, known.Mint) || spec.Unit != "" && spec.Unit != known.Unit {
			continue
		}
		shown++
		err := withMint(ctx, f, known, func(m *localpurse.Mint, p *purse.Purse) error {
			if _, err := m.Balance(ctx); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: what is open stays so: %v\n", known.Mint, err)
			}
			b := p.Balance()
			fmt.Fprintf(cmd.OutOrStdout(), "%d %s at %s (%s)", b.Available, known.Unit, known.Mint, known.Network)
			if b.Reserved > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), ", %d in payments", b.Reserved)
			}
			if b.Disputed > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), ", %d taken by the mint for nothing", b.Disputed)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout())
			return err
		})
		if err != nil {
			return err
		}
	}
	if shown == 0 {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the purse is empty: `caddy l402 purse receive --mint <URL> <token>` fills it")
	}
	return err
}

func purseReceive(ctx context.Context, cmd *cobra.Command, f *localpurse.Folder, spec localpurse.Spec, args []string) error {
	text := strings.Join(args, "")
	if text == "" || text == "-" {
		b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxToken+1))
		if err != nil || len(b) > maxToken {
			return errors.Join(errors.New("reading the token: the standard input is too large or broken"), err)
		}
		text = strings.TrimSpace(string(b))
	}
	t, err := token.Parse(text)
	if err != nil {
		return err
	}
	known, err := f.Mints(ctx)
	if err != nil {
		return err
	}
	trusted := spec.Mint != "" && token.SameMint(spec.Mint, t.Mint)
	if spec.Mint != "" && !trusted {
		return usageError("the token is of %s and --mint names another", t.Mint)
	}
	for _, k := range known {
		trusted = trusted || token.SameMint(k.Mint, t.Mint)
	}
	if !trusted {
		return fmt.Errorf("%w: the token is of %s; if you trust it with your money, repeat this with --mint %s",
			localpurse.ErrUnknownMint, t.Mint, t.Mint)
	}
	if spec.Mint = t.Mint; spec.Unit == "" {
		spec.Unit = t.Unit
	}
	return withMint(ctx, f, spec, func(m *localpurse.Mint, p *purse.Purse) error {
		r, err := p.Receive(ctx, t, purse.Terms{})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "received %d %s (fee %d); now %d\n", r.Amount, m.Spec.Unit, r.Fee, p.Balance().Available)
		return err
	})
}

func purseSend(ctx context.Context, cmd *cobra.Command, f *localpurse.Folder, spec localpurse.Spec, args []string) error {
	amount, err := strconv.ParseUint(args[0], 10, 63)
	if err != nil || amount == 0 {
		return usageError("%q is not an amount, a whole number greater than zero", args[0])
	}
	if spec, err = f.Find(ctx, spec); err != nil {
		return err
	}
	return withMint(ctx, f, spec, func(_ *localpurse.Mint, p *purse.Purse) error {
		t, err := p.Send(ctx, amount, "")
		if err != nil {
			return err
		}
		text, err := t.Encode()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
		return err
	})
}

func purseRestore(ctx context.Context, cmd *cobra.Command, f *localpurse.Folder, spec localpurse.Spec, _ []string) error {
	spec, err := f.Find(ctx, spec)
	if err != nil {
		return err
	}
	return withMint(ctx, f, spec, func(m *localpurse.Mint, p *purse.Purse) error {
		found, err := p.Restore(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "found %d %s; now %d\n", found, m.Spec.Unit, p.Balance().Available)
		return err
	})
}

func purseSeed(ctx context.Context, cmd *cobra.Command, f *localpurse.Folder, _ localpurse.Spec, _ []string) error {
	words, err := f.Seed(ctx)
	if err == nil {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), words)
	}
	return err
}
