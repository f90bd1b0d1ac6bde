package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/client/payers"
	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
)

func getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get [flags] <url>",
		Short: "Requests a URL and pays for it",
		Long: `
Requests a URL. If the answer is an L402 challenge, it checks the invoice, shows
the price on the standard error, pays, asks again with the token, and prints the
body. An invoice is paid only if it is not dearer than --max, for the wallet's
network, not expired, and over the payment hash that the token names.

One run pays at most once. With --token-file tokens are kept (the file is a secret,
as good as money) and used again; several processes can share a file. A token is
written down before it is used, so that a payment is not lost, and it is sent to
no other origin than the one that sold it, redirects or not.

With --netrc the token's line for a netrc is printed in place of the body, or put into
a file, so that curl, git, nix, pip and others use it. Others' entries stay.

The wallet that pays:

  sandbox[:<admin address>]   the sandbox of a Caddy on this machine, which is not
                              money; this is the default, with the address of --admin
  lnd:<host:port>?macaroon=<file>&tls_cert=<file>[&network=regtest]
                              an LND node; the macaroon must allow to pay
                              (offchain:write and offchain:read)
  cln:/path/lightning-rpc     Core Lightning, by its socket, or by https:
  cln:https://<host:port>?rune_file=<file>
  phoenixd:<address>?password_file=<file>
  eclair:<address>?password_file=<file>
  lnbits:<address>?key_file=<file>
  cashu:<URL of the mint>[?purse=<folder>&unit=msat&network=regtest]
                              ecash of the user's own purse (see caddy l402 purse):
                              given as such where the server asks for ecash of this
                              mint, else the mint pays the invoice
  nwc:{env.<name>}            Nostr Wallet Connect, its URI in an environment variable

The wallet is taken from --wallet, or else --wallet-file, or else the environment variable
L402_WALLET. Others can read command lines, so secrets have no place in --wallet.

With --budget or --host-budget, or a limit in the environment variable L402_BUDGET or
L402_HOST_BUDGET (several of them with commas), what is spent is written down before
it is paid, in --spending-file or else in l402/spending.json in Caddy's data folder,
and a payment that would go beyond one of the limits is not made. A limit holds for
any stretch of its length. The greatest fee counts where the wallet does not tell
the real one, and so does a payment whose end is not known.

Exit codes:

  0   an answer came
  1   another error
  2   wrong usage
  3   the price is above --max; nothing was paid
  4   the payment failed, or its end is not known
  5   paid, and the server still asks for payment
  6   over budget, or the account of it cannot be kept; nothing was paid
  22  with --fail: the answer's status is 400 or more`,
		Example: `  caddy l402 get http://127.0.0.1:8402/premium/hello
  caddy l402 get --max "50 sat" --token-file tokens.json -o report.pdf https://example.com/report.pdf
  caddy l402 get --json --budget 1000sat/day --host-budget 200sat/day https://example.com/data
  caddy l402 get --wallet "lnd:127.0.0.1:10009?macaroon=admin.macaroon&tls_cert=tls.cert" https://example.com/
  caddy l402 get --netrc=/etc/nix/netrc https://cache.example.com/nar/x.nar.xz
  caddy l402 get -X POST -H "Content-Type: application/json" -d @query.json https://example.com/search`,
	}
	var o getOptions
	o.flags(cmd.Flags())
	prepare(cmd, func(ctx context.Context, cmd *cobra.Command, args []string) error {
		request, err := o.request(args, cmd.InOrStdin())
		if err != nil {
			return err
		}
		return o.run(ctx, cmd, request)
	})
	return cmd
}

// run performs the exchange and prints what came of it.
func (o *getOptions) run(ctx context.Context, cmd *cobra.Command, request *client.Request) (err error) {
	c, err := o.client()
	if err != nil {
		return err
	}
	spec, err := o.walletSpec()
	if err != nil {
		return err
	}
	wallet, err := payers.Open(ctx, spec)
	if err != nil {
		return usageError("%v", err)
	}
	defer func() { err = errors.Join(err, wallet.Close()) }()
	c.Wallet, c.Ecash = &wallet.Wallet, wallet.Ecash
	out, err := o.newOutput(cmd)
	if err != nil {
		return err
	}
	out.network = wallet.Network
	if out.account, err = o.account(); err != nil {
		return err
	}
	if out.account != nil {
		c.Budget = out.account
	}
	c.Trace = out.trace(wallet.Name)

	result, err := c.Do(ctx, request)
	if result.Response != nil {
		defer result.Response.Body.Close()
	}
	return out.finish(ctx, result, err)
}

// client makes the client without its wallet.
func (o *getOptions) client() (*client.Client, error) {
	var roots *x509.CertPool
	if o.caCert != "" {
		pem, err := os.ReadFile(o.caCert)
		if err != nil {
			return nil, usageError("--cacert: %v", err)
		}
		if roots, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("reading the system's certificates: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, usageError("--cacert: %s holds no PEM certificate", o.caCert)
		}
	}
	c := &client.Client{
		MaxPrice: o.maxPrice, MaxFee: o.maxFee, Timeout: o.timeout, MaxRedirects: o.redirects,
		Transport: client.NewTransport(roots),
	}
	if o.tokenFile != "" {
		c.Tokens = tokenfile.New(o.tokenFile)
	}
	return c, nil
}

// walletSpec finds the wallet: the flag, the file, the environment, the sandbox.
func (o *getOptions) walletSpec() (payers.Spec, error) {
	text, public, source := o.wallet, true, "--wallet"
	switch {
	case o.wallet != "" && o.walletFile != "":
		return payers.Spec{}, usageError("--wallet and --wallet-file are both given: keep one")
	case o.wallet != "":
	case o.walletFile != "":
		data, err := readSmall(o.walletFile, payers.MaxSpec)
		if err != nil {
			return payers.Spec{}, usageError("--wallet-file: %v", err)
		}
		text, public, source = string(data), false, "--wallet-file"
	case o.adminSet():
		text = "sandbox:" + o.admin
	case os.Getenv(payers.EnvWallet) != "":
		text, public, source = os.Getenv(payers.EnvWallet), false, payers.EnvWallet
	default:
		text = "sandbox:" + caddy.DefaultAdminListen
	}
	spec, err := payers.Parse(text, public)
	if err != nil {
		return spec, usageError("%s: %v", source, err)
	}
	if o.adminSet() && spec.Scheme != "sandbox" {
		return spec, usageError("--admin is for the sandbox, and %s names another wallet", source)
	}
	if o.adminSet() && spec.Address == "" {
		spec.Address = o.admin
	}
	return spec, nil
}
