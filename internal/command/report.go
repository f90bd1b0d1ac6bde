package command

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

const (
	// reportTimeout is longer than that of other calls: a report reads all payments.
	reportTimeout = 10 * time.Minute
	// maxReport bounds the answer, which has up to 65,536 rows.
	maxReport = 64 << 20
)

// payments is the answer of GET /l402/report.
type payments struct {
	By   string       `json:"by"`
	Rows []paymentRow `json:"rows"`
}

type paymentRow struct {
	Key        string    `json:"key"`
	Payments   int64     `json:"payments"`
	AmountMsat uint64    `json:"amount_msat"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
}

func reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "report [--by day|service|wallet|tenant|scheme] [--since <time>] [--until <time>] [--service <name>] " +
			"[--format table|csv|json] " + adminUsage,
		Short: "Adds up what was paid",
		Long: `
Adds the payments up that arrived at all instances of Caddy that share a storage, and asks
one of them through its admin API for it.

Times are dates such as 2026-01-31 (UTC), times such as 2026-01-31T12:00:00Z, or ages
such as 24h or 7d; --since is included, --until is not.

With --format csv the first line names the columns; amounts are in millisatoshi there
and in JSON.`,
		Example: `  caddy l402 report --since 7d
  caddy l402 report --by service --since 2026-01-01 --until 2026-02-01 --format csv`,
	}
	var admin adminFlags
	admin.add(cmd.Flags())
	by := cmd.Flags().String("by", "day", "What to add up by: `day`, service, wallet, tenant or scheme")
	since := cmd.Flags().String("since", "", "Count payments from this `time` on")
	until := cmd.Flags().String("until", "", "Count payments before this `time`")
	service := cmd.Flags().String("service", "", "Count payments for this `service` only")
	format := cmd.Flags().String("format", "table", "The form: `table`, csv or json")
	prepare(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return usageError("report takes no arguments, only flags; got %q", args[0])
		case !slices.Contains([]string{"day", "service", "wallet", "tenant", "scheme"}, *by):
			return usageError("--by %q: use day, service, wallet, tenant or scheme", *by)
		case !slices.Contains([]string{"table", "csv", "json"}, *format):
			return usageError("--format %q: use table, csv or json", *format)
		}
		query := url.Values{"by": {*by}}
		for name, value := range map[string]string{"since": *since, "until": *until, "service": *service} {
			if value != "" {
				query.Set(name, value)
			}
		}
		api, err := admin.client()
		if err != nil {
			return err
		}
		api.Timeout, api.MaxAnswer = reportTimeout, maxReport
		var report payments
		if err := api.Call(ctx, http.MethodGet, "/l402/report?"+query.Encode(), nil, &report); err != nil {
			return err
		}
		switch *format {
		case "csv":
			return report.csv(cmd.OutOrStdout())
		case "json":
			return printJSON(cmd.OutOrStdout(), report)
		}
		return report.table(cmd.OutOrStdout())
	})
	return cmd
}

func (p *payments) table(out io.Writer) error {
	if len(p.Rows) == 0 {
		_, err := fmt.Fprintln(out, "no payment in this time")
		return err
	}
	heads := map[string]string{"day": "DAY", "service": "SERVICE", "wallet": "WALLET", "tenant": "TENANT", "scheme": "SCHEME"}
	var count int64
	var sum lnwire.MilliSatoshi
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\tPAYMENTS\tAMOUNT\tFIRST\tLAST\n", heads[p.By])
	for _, row := range p.Rows {
		key := printable(row.Key)
		if key == "" {
			key = "-"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\n", key, row.Payments, pricing.Format(lnwire.MilliSatoshi(row.AmountMsat)),
			row.First.UTC().Format(time.RFC3339), row.Last.UTC().Format(time.RFC3339))
		count, sum = count+row.Payments, sum+lnwire.MilliSatoshi(row.AmountMsat)
	}
	fmt.Fprintf(table, "total\t%d\t%s\t\t\n", count, pricing.Format(sum))
	return table.Flush()
}

func (p *payments) csv(out io.Writer) error {
	w := csv.NewWriter(out)
	// An error is kept until Flush.
	_ = w.Write([]string{p.By, "payments", "amount_msat", "first", "last"})
	for _, row := range p.Rows {
		_ = w.Write([]string{
			row.Key, strconv.FormatInt(row.Payments, 10), strconv.FormatUint(row.AmountMsat, 10),
			row.First.UTC().Format(time.RFC3339), row.Last.UTC().Format(time.RFC3339),
		})
	}
	w.Flush()
	return w.Error()
}
