package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/demo"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo [--once] [--address <host:port>] [--price <amount>]",
		Short: "Runs a gate on this machine to try it out; no money moves",
		Long: `
Starts Caddy with one site on 127.0.0.1:8402 that charges for a page, and prints
what to try. The wallet is a sandbox: its invoices are real BOLT 11 for regtest,
and it pays them itself.

With --once it performs the whole exchange, prints each step (request, challenge,
payment, answer) and ends; the exit code is 0 if all went well.

Nothing is left behind: keys lie in a temporary folder and are removed.`,
		Example: `  caddy l402 demo
  caddy l402 demo --once
  caddy l402 demo --address 127.0.0.1:9402 --price "1500 msat"`,
	}
	address := cmd.Flags().StringP("address", "a", demo.DefaultAddress, "Where the site listens, a loopback `address`; port 0 takes a free one")
	price := cmd.Flags().StringP("price", "p", demo.DefaultPrice, "What the page costs, an `amount` in sat, msat or btc")
	once := cmd.Flags().Bool("once", false, "Perform the exchange, print each step and end")
	prepare(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("demo takes no arguments, only flags; got %q", args[0])
		}
		amount, err := pricing.ParseText(*price)
		if err != nil {
			return usageError("--price: %v", err)
		}
		d := &demo.Demo{Address: *address, Price: amount, Out: cmd.OutOrStdout(), Program: program()}
		if *once {
			return d.Once(ctx)
		}
		return d.Run(ctx)
	})
	return cmd
}
