package command

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
	"github.com/caddy-l402/caddy-l402/l402"
)

// keyList is the answer of GET /l402/keys.
type keyList struct {
	Keys []struct {
		ID      string    `json:"id"`
		Created time.Time `json:"created,omitzero"`
		Minting bool      `json:"minting"`
	} `json:"keys"`
	Fixed bool `json:"fixed"`
}

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys list|rotate|retire",
		Short: "Lists, rotates and retires the keys that tokens are made with",
		Long: `
Administers the master keys of a running Caddy through its admin API.

  list          shows the ids of all keys; the secrets never leave the server
  rotate        makes a new key for new tokens; old tokens stay valid
  retire <id>   removes an old key; the tokens made with it are refused from then on,
                although they were paid for

Instances of Caddy that share a storage share the keys, so one call is enough for
all of them. Keys that the configuration gives as "secret" are changed there.`,
		Example: `  caddy l402 keys list
  caddy l402 keys rotate --address localhost:2019
  caddy l402 keys retire 4f1d2c3b4a596877`,
	}
	cmd.Args = cobra.ArbitraryArgs
	prepare(cmd, func(_ context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("unknown command %q: use list, rotate or retire", args[0])
		}
		return cmd.Help()
	})
	cmd.AddCommand(
		keysSubcommand("list", "Shows the ids of all keys", 0, listKeys),
		keysSubcommand("rotate", "Makes a new key for new tokens", 0, rotateKey),
		keysSubcommand("retire <id>", "Removes an old key", 1, retireKey),
	)
	return cmd
}

// keysRun does the work of a sub-command.
type keysRun func(ctx context.Context, api *adminapi.Client, args []string, out io.Writer, asJSON bool) error

func keysSubcommand(use, short string, wantArgs int, run keysRun) *cobra.Command {
	cmd := &cobra.Command{Use: use + " " + adminUsage + " [--json]", Short: short}
	var admin adminFlags
	admin.add(cmd.Flags())
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	prepare(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if len(args) != wantArgs {
			return wrongArgs(use, wantArgs, args)
		}
		api, err := admin.client()
		if err != nil {
			return err
		}
		return run(ctx, api, args, cmd.OutOrStdout(), *asJSON)
	})
	return cmd
}

func listKeys(ctx context.Context, api *adminapi.Client, _ []string, out io.Writer, asJSON bool) error {
	var list keyList
	if err := api.Call(ctx, http.MethodGet, "/l402/keys", nil, &list); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, list)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tCREATED\tUSE")
	for _, key := range list.Keys {
		if _, err := l402.ParseKeyID(key.ID); err != nil {
			return fmt.Errorf("listing keys: the admin API's answer holds no key id: %w", err)
		}
		created, use := "from the configuration", "accepted"
		if !key.Created.IsZero() {
			created = key.Created.UTC().Format(time.RFC3339)
		} else if !list.Fixed {
			created = "unknown"
		}
		if key.Minting {
			use = "makes new tokens"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", key.ID, created, use)
	}
	return table.Flush()
}

func rotateKey(ctx context.Context, api *adminapi.Client, _ []string, out io.Writer, asJSON bool) error {
	return changeKey(ctx, api, "/l402/keys/rotate", nil, "new tokens are made with key %s\n", out, asJSON)
}

func retireKey(ctx context.Context, api *adminapi.Client, args []string, out io.Writer, asJSON bool) error {
	id, err := l402.ParseKeyID(args[0])
	if err != nil {
		return usageError("%v; caddy l402 keys list shows the ids", err)
	}
	return changeKey(ctx, api, "/l402/keys/retire", map[string]string{"id": id.String()},
		"key %s is retired; its tokens are refused from now on\n", out, asJSON)
}

func changeKey(ctx context.Context, api *adminapi.Client, path string, in any, text string, out io.Writer, asJSON bool) error {
	var answer struct {
		ID string `json:"id"`
	}
	if err := api.Call(ctx, http.MethodPost, path, in, &answer); err != nil {
		return err
	}
	id, err := l402.ParseKeyID(answer.ID)
	if err != nil {
		return fmt.Errorf("reading the admin API's answer: %w", err)
	}
	if asJSON {
		return printJSON(out, answer)
	}
	_, err = fmt.Fprintf(out, text, id)
	return err
}

// wrongArgs says what a command takes; use is its name with the one argument it may take at the end.
func wrongArgs(use string, want int, args []string) error {
	if want == 0 {
		return usageError("it takes no arguments, not %q", args[0])
	}
	argument := strings.TrimSuffix(use[strings.LastIndex(use, "<")+1:], ">")
	return usageError("it takes one argument, the %s, and got %d", argument, len(args))
}
