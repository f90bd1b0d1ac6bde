package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// status is what the command shows of the answer of GET /l402/status.
type status struct {
	Wallets []struct {
		Name    string `json:"name"`
		Adapter string `json:"adapter"`
		Network string `json:"network"`
		Default bool   `json:"default"`
		Healthy *bool  `json:"healthy"`
		Premade int    `json:"premade"`
	} `json:"wallets"`
	Tenants int `json:"open_tenant_wallets"`
	Offers  []struct {
		Service      string   `json:"service"`
		Tier         uint8    `json:"tier"`
		Capabilities []string `json:"capabilities"`
		PriceMsat    uint64   `json:"price_msat"`
		Price        string   `json:"price"`
		Wallet       string   `json:"wallet"`
		Terms        string   `json:"terms"`
		Scope        string   `json:"scope"`
	} `json:"offers"`
	Keys []struct {
		ID      string `json:"id"`
		Minting bool   `json:"minting"`
		Age     int64  `json:"age_seconds"`
	} `json:"keys"`
	Ledger *struct {
		Instance     string        `json:"instance"`
		Pending      int           `json:"pending_bytes"`
		Lag          time.Duration `json:"lag"`
		Degraded     bool          `json:"degraded"`
		Failing      string        `json:"failing"`
		LastError    string        `json:"last_error"`
		FailingSince time.Time     `json:"failing_since"`
		Commits      int64         `json:"commits"`
		Latency      time.Duration `json:"commit_latency"`
		Damaged      int64         `json:"damaged"`
		Lost         int64         `json:"lost"`
		Tokens       int64         `json:"tokens"`
		InUse        int64         `json:"in_use"`
		Revocations  int           `json:"revocations"`
	} `json:"ledger"`
	LedgerError string `json:"ledger_error"`
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status " + adminUsage + " [--json]",
		Short: "Shows how a running gate does",
		Long: `
Shows wallets, what is sold, keys and ledger of a running Caddy, by its admin API.

A wallet "fails" while it is left alone after several errors in a row: unpaid requests get
503 then. --json prints the answer of the admin API as it is.`,
		Example: "  caddy l402 status\n  caddy l402 status --json | jq .ledger",
	}
	var admin adminFlags
	admin.add(cmd.Flags())
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	prepare(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("status takes no arguments, only flags; got %q", args[0])
		}
		api, err := admin.client()
		if err != nil {
			return err
		}
		var answer json.RawMessage
		if err := api.Call(ctx, http.MethodGet, "/l402/status", nil, &answer); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), answer)
		}
		var s status
		if err := json.Unmarshal(answer, &s); err != nil {
			return fmt.Errorf("reading the admin API's answer: %w", err)
		}
		return s.print(cmd.OutOrStdout())
	})
	return cmd
}

func (s *status) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i := range cells {
			if cells[i] = printable(cells[i]); cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	row("WALLET", "ADAPTER", "NETWORK", "STATE", "READY INVOICES")
	for _, wallet := range s.Wallets {
		name, state := wallet.Name, "filled in by requests"
		if wallet.Default {
			name += " (default)"
		}
		if wallet.Healthy != nil {
			if state = "ok"; !*wallet.Healthy {
				state = "fails"
			}
		}
		row(name, wallet.Adapter, wallet.Network, state, fmt.Sprint(wallet.Premade))
	}
	if s.Tenants > 0 {
		fmt.Fprintf(w, "%d wallets of tenants are open\n", s.Tenants)
	}
	fmt.Fprintln(w)
	row("SERVICE", "TIER", "PRICE", "BUYS", "BOUND TO", "WALLET", "CAPABILITIES")
	for _, o := range s.Offers {
		if o.Price == "" { // of an older server
			o.Price = pricing.Format(lnwire.MilliSatoshi(o.PriceMsat))
		}
		row(o.Service, fmt.Sprint(o.Tier), o.Price, o.Terms, o.Scope, o.Wallet,
			strings.Join(o.Capabilities, " "))
	}
	fmt.Fprintln(w)
	row("KEY", "AGE", "USE")
	for _, key := range s.Keys {
		age, use := "", "accepted"
		if key.Age > 0 {
			age = (time.Duration(key.Age) * time.Second).String()
		}
		if key.Minting {
			use = "makes new tokens"
		}
		row(key.ID, age, use)
	}
	fmt.Fprintln(w)
	s.printLedger(w)
	return w.Flush()
}

func (s *status) printLedger(w io.Writer) {
	if s.Ledger == nil {
		fmt.Fprintf(w, "ledger: %s\n", printable(s.LedgerError))
		return
	}
	l := s.Ledger
	state := "ok"
	switch {
	case l.Degraded:
		state = "storage fails: metered tokens get 503"
	case l.Failing != "":
		state = "storage fails"
	}
	fmt.Fprintf(w, "ledger: %s\n", state)
	if l.Failing != "" {
		fmt.Fprintf(w, "  %s fails since %s: %s\n", printable(l.Failing), l.FailingSince.UTC().Format(time.RFC3339), printable(l.LastError))
	}
	fmt.Fprintf(w, "  instance %s, %d commits, the last one in %s\n", printable(l.Instance), l.Commits, l.Latency.Round(time.Microsecond))
	fmt.Fprintf(w, "  %d bytes wait to be written, the oldest for %s\n", l.Pending, l.Lag.Round(time.Millisecond))
	fmt.Fprintf(w, "  %d metered tokens in memory, %d uses under way, %d revocations\n", l.Tokens, l.InUse, l.Revocations)
	if l.Damaged > 0 || l.Lost > 0 {
		fmt.Fprintf(w, "  %d damaged objects, %d lost records\n", l.Damaged, l.Lost)
	}
}
