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

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
)

// purseFacts is what balance shows of a purse of the answer of GET /l402/cashu/balance.
type purseFacts struct {
	purseName
	Available   uint64 `json:"available"`
	Proofs      int    `json:"proofs"`
	Pending     uint64 `json:"pending"`
	AtRisk      uint64 `json:"value_at_risk"`
	Disputed    uint64 `json:"disputed"`
	Problem     string `json:"problem"`
	Redemptions *struct {
		Count   uint64    `json:"count"`
		Amount  uint64    `json:"amount"`
		Fees    uint64    `json:"fees"`
		Problem string    `json:"problem"`
		Retry   time.Time `json:"retry"`
		Current *struct {
			Amount uint64    `json:"amount"`
			Begun  time.Time `json:"begun"`
		} `json:"current"`
	} `json:"redemptions"`
	RedeemTo    string `json:"redeem_to"`
	NotRedeemed string `json:"not_redeemed"`
}

func cashuBalance() *cobra.Command {
	return cashuSubcommand("balance", "Shows what each purse has", `
Shows the purses of this instance of Caddy, each with

  AVAILABLE  what can be spent
  PENDING    what is in payments and swaps that have not ended
  AT RISK    what was accepted without asking the mint, and is not swapped yet
  REDEEMED   what the mint has paid to redeem_to so far, and what that cost

Below the table stands what is wrong, and what is not redeemed and why. --format json
prints the answer of the admin API as it is.`, 0, nil, showBalance)
}

func showBalance(ctx context.Context, api *adminapi.Client, _ []string, out, _ io.Writer, asJSON bool) error {
	var answer json.RawMessage
	if err := api.Call(ctx, http.MethodGet, "/l402/cashu/balance", nil, &answer); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, answer)
	}
	var list struct {
		Purses []purseFacts `json:"purses"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return fmt.Errorf("reading the admin API's answer: %w", err)
	}
	if len(list.Purses) == 0 {
		_, err := fmt.Fprintln(out, "no purse is open: there is no ecash, or the storage does not work yet")
		return err
	}
	var notes []string
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MINT\tUNIT\tWHOSE\tAVAILABLE\tPENDING\tAT RISK\tREDEEMED")
	for i := range list.Purses {
		p := &list.Purses[i]
		redeemed := "-"
		if r := p.Redemptions; r != nil {
			redeemed = fmt.Sprintf("%d (fees %d)", r.Amount, r.Fees)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", printable(p.Mint), printable(p.Unit), p.whose(),
			p.Available, p.Pending, p.AtRisk, redeemed)
		notes = append(notes, p.notes()...)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(notes) > 0 {
		_, err := fmt.Fprintf(out, "\n%s\n", strings.Join(notes, "\n"))
		return err
	}
	return nil
}

// notes are what an operator should read.
func (p *purseFacts) notes() (out []string) {
	note := func(format string, args ...any) {
		out = append(out, p.String()+": "+printable(fmt.Sprintf(format, args...)))
	}
	if p.Disputed > 0 {
		note("the mint took %d and gave nothing for it", p.Disputed)
	}
	if p.Problem != "" {
		note("%s", p.Problem)
	}
	if p.NotRedeemed != "" && p.Available > 0 {
		note("not redeemed: %s", p.NotRedeemed)
	}
	if r := p.Redemptions; r != nil {
		if r.Current != nil {
			note("%d are being paid to %s since %s", r.Current.Amount, p.RedeemTo, r.Current.Begun.UTC().Format(time.RFC3339))
		}
		if r.Problem != "" {
			note("the last redemption failed: %s; it is tried again at %s", r.Problem, r.Retry.UTC().Format(time.RFC3339))
		}
	}
	return out
}
