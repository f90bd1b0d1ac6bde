package command

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
	"github.com/caddy-l402/caddy-l402/internal/client"
)

func cashuSend() *cobra.Command {
	var which purseFlags
	var key string
	flags := func(set *pflag.FlagSet) {
		which.add(set)
		set.StringVar(&key, "key", "", "A `name` for this payment: the same again gives the same token")
	}
	return cashuSubcommand("send "+purseUsage+" [--key <name>] <amount>", "Takes ecash out of a purse, as a token", `
Prints a token (cashuB…) on standard output. Whoever has this text has the money. The
amount is a number with sat or msat, or one in the purse's unit.

If the answer gets lost, the same call with the --key that is printed then gives the same
token again and not a second one. A token that nobody took is received again like any
other.`, 1, flags,
		func(ctx context.Context, api *adminapi.Client, args []string, out, aside io.Writer, asJSON bool) error {
			in := which.request()
			if err := readEcashAmount(args[0], in); err != nil {
				return err
			}
			if key == "" {
				var b [16]byte
				_, _ = rand.Read(b[:]) // it never fails
				key = hex.EncodeToString(b[:])
			}
			in["key"] = key
			var answer struct {
				Token  string `json:"token"`
				Mint   string `json:"mint"`
				Unit   string `json:"unit"`
				Amount uint64 `json:"amount"`
			}
			if err := api.Call(ctx, http.MethodPost, "/l402/cashu/send", in, &answer); err != nil {
				var refused *adminapi.StatusError
				if !errors.As(err, &refused) || refused.Status >= 500 {
					return fmt.Errorf("%w; to go on with this payment, call it again with --key %s", err, printable(key))
				}
				return err
			}
			if asJSON {
				return printJSON(out, answer)
			}
			if !strings.HasPrefix(answer.Token, "cashu") || printable(answer.Token) != answer.Token {
				return errors.New("reading the admin API's answer: it holds no token")
			}
			fmt.Fprintf(aside, "%d %s of %s; whoever has this text has the money:\n", answer.Amount, printable(answer.Unit), printable(answer.Mint))
			_, err := fmt.Fprintln(out, answer.Token)
			return err
		})
}

// readEcashAmount reads "100 sat" or a number in the purse's unit.
func readEcashAmount(text string, in map[string]any) error {
	number, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	unit = strings.ToLower(strings.TrimSpace(unit))
	amount, err := strconv.ParseUint(number, 10, 63)
	if err != nil || amount == 0 || unit != "" && unit != "sat" && unit != "msat" {
		return usageError("amount %q: use a whole number with sat or msat, such as \"100 sat\", or one in the purse's unit", text)
	}
	if unit == "" {
		in["amount"] = amount
		return nil
	}
	if asked, ok := in["unit"]; ok && asked != unit {
		return usageError("the amount is in %s, and --unit says %s", unit, asked)
	}
	in["amount"], in["unit"] = amount, unit
	return nil
}

// redeemedPurse is what came of redeeming a purse.
type redeemedPurse struct {
	purseName
	Paid []struct {
		Hash   string    `json:"payment_hash"`
		Target string    `json:"target"`
		Amount uint64    `json:"amount"`
		MaxFee uint64    `json:"max_fee"`
		Fee    uint64    `json:"fee"`
		Why    string    `json:"why"`
		Begun  time.Time `json:"begun"`
		Ended  time.Time `json:"ended"`
	} `json:"paid"`
	Problem  string `json:"problem,omitempty"`
	InFlight bool   `json:"in_flight,omitempty"`
}

func cashuRedeem() *cobra.Command {
	var which purseFlags
	return cashuSubcommand("redeem "+purseUsage, "Has the mints pay the ecash to redeem_to, now", `
Redeems what the purses have, whatever above and every say; keep, min and max_fee of
redeem_to hold. A payment that the mint has not confirmed goes on by itself.

The exit code is 4 where a purse could not be redeemed, or not yet.`, 0, which.add,
		func(ctx context.Context, api *adminapi.Client, _ []string, out, _ io.Writer, asJSON bool) error {
			var answer struct {
				Purses []redeemedPurse `json:"purses"`
			}
			if err := api.Call(ctx, http.MethodPost, "/l402/cashu/redeem", which.request(), &answer); err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(out, answer); err != nil {
					return err
				}
			}
			failed := 0
			for i := range answer.Purses {
				p := &answer.Purses[i]
				if p.Problem != "" {
					failed++
				}
				if asJSON {
					continue
				}
				for _, paid := range p.Paid {
					fmt.Fprintf(out, "%s: %d paid to %s, fee %d\n", p, paid.Amount, printable(paid.Target), paid.Fee)
				}
				if p.Problem != "" {
					fmt.Fprintf(out, "%s: %s\n", p, printable(p.Problem))
				}
			}
			if failed > 0 {
				return fmt.Errorf("%w: %d of %d purses were not redeemed", client.ErrPayment, failed, len(answer.Purses))
			}
			return nil
		})
}

func cashuRestore() *cobra.Command {
	var which purseFlags
	return cashuSubcommand("restore "+purseUsage, "Finds the ecash of the seed at the mints", `
Asks the mints for all that they signed for the seed (NUT-09, NUT-13), and takes in what
is unspent and not known: for when the storage was lost. Set the seed in the configuration
first. Ecash that was sent and that nobody took comes back as well.

Other instances on the same storage must be stopped, since the same ecash would be found
in several places. Tenants have purses of their own: restore each by --name.`, 0, which.add,
		func(ctx context.Context, api *adminapi.Client, _ []string, out, _ io.Writer, asJSON bool) error {
			var answer struct {
				Purses []struct {
					purseName
					Found uint64 `json:"found"`
				} `json:"purses"`
			}
			if err := api.Call(ctx, http.MethodPost, "/l402/cashu/restore", which.request(), &answer); err != nil {
				return err
			}
			if asJSON {
				return printJSON(out, answer)
			}
			for i := range answer.Purses {
				p := &answer.Purses[i]
				if _, err := fmt.Fprintf(out, "%s: found %d\n", &p.purseName, p.Found); err != nil {
					return err
				}
			}
			return nil
		})
}

func cashuSeed() *cobra.Command {
	var ofWallets bool
	flags := func(set *pflag.FlagSet) {
		set.BoolVar(&ofWallets, "wallets", false, "Show the seed of the wallets at mints instead of that of payments")
	}
	return cashuSubcommand("seed [--wallets]", "Shows, once, the words that the ecash can be restored from", `
Shows the words (BIP 39) of a seed that was generated. Whoever has them has the money:
write them down on paper. They are shown once only; that they were is kept.

A seed that stands in the configuration is not shown.`, 0, flags,
		func(ctx context.Context, api *adminapi.Client, _ []string, out, aside io.Writer, asJSON bool) error {
			in := map[string]string{"of": "payments"}
			if ofWallets {
				in["of"] = "wallets"
			}
			var answer struct {
				Seed string `json:"seed"`
			}
			if err := api.Call(ctx, http.MethodPost, "/l402/cashu/seed", in, &answer); err != nil {
				return err
			}
			if asJSON {
				return printJSON(out, answer)
			}
			fmt.Fprintln(aside, "write these words down; they are not shown again, and whoever has them has the money:")
			_, err := fmt.Fprintln(out, printable(answer.Seed))
			return err
		})
}
