package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/explain"
)

func decodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decode [--json] [--show-secrets] <text>|-",
		Short: "Explains a token, a challenge, a credential or an invoice",
		Long: `
Says what a text of the L402 protocol means:

  a token         a macaroon in base64 or hex
  a challenge     L402 macaroon="…", invoice="…", or Payment id="…", …, or the header
                  line WWW-Authenticate
  a credential    L402 <token>:<preimage>, or Payment <credential>, or a header line
                  such as Authorization
  an invoice      lnbc…, BOLT 11 or BOLT 12

With "-" the text comes from the standard input, which may also hold all headers
of an answer as curl -i prints them. That is the better way for credentials,
since others on this machine can read command lines.

Nothing is verified but the invoice's signature: only the server that made a token
has the key to it. Preimages are secrets and are shortened unless --show-secrets
is given.`,
		Example: `  curl -si http://127.0.0.1:8402/premium/hello | caddy l402 decode -
  caddy l402 decode 'L402 macaroon="AgEEbHNhdA…", invoice="lnbc…"'
  caddy l402 decode --json lnbc100n1…`,
	}
	asJSON := cmd.Flags().Bool("json", false, "Print JSON")
	secrets := cmd.Flags().Bool("show-secrets", false, "Print preimages in full")
	prepare(cmd, func(_ context.Context, cmd *cobra.Command, args []string) error {
		text := strings.Join(args, " ")
		if text == "" {
			return usageError(`name what to decode, or "-" to read it from the standard input`)
		}
		if text == "-" {
			data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), explain.MaxInput+1))
			if err != nil {
				return fmt.Errorf("reading the standard input: %w", err)
			}
			text = string(data)
		}
		explainer := explain.Explainer{ShowSecrets: *secrets}
		explanation, err := explainer.Text(text)
		if err != nil {
			return fmt.Errorf("decoding: %w", err)
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), explanation)
		}
		_, err = io.WriteString(cmd.OutOrStdout(), explanation.String())
		return err
	})
	return cmd
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
