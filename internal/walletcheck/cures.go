package walletcheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// credentials says, by adapter, how to make a credential with the least rights that do.
var credentials = map[string]string{
	"lnd": "bake a macaroon with `lncli bakemacaroon --save_to l402.macaroon invoices:read invoices:write` " +
		"(or take LND's own invoice.macaroon), make it readable for Caddy and name it as `macaroon`",
	"lnc": "make a new session with `litcli sessions add --label l402 --type custom --uri /lnrpc.Lightning/AddInvoice " +
		"--uri /lnrpc.Lightning/LookupInvoice --uri /lnrpc.Lightning/ListInvoices --uri /lnrpc.Lightning/SubscribeInvoices`, " +
		"with an --expiry of your choice, and put its 10 words into `pairing_phrase`",
	"cln": "make a rune with `lightning-cli createrune restrictions='[[\"method=invoice\",\"method=listinvoices\"," +
		"\"method=waitanyinvoice\"]]'` and set it as `rune`; for the socket, let Caddy's user read and write lightning-rpc",
	"bolt12": "the rune of the node under `cln` must allow fetchinvoice, listinvoices and waitanyinvoice: " +
		"`lightning-cli createrune restrictions='[[\"method=fetchinvoice\",\"method=listinvoices\",\"method=waitanyinvoice\"]]'`",
	"eclair":   "set `password` to eclair.api.password of the node's eclair.conf; eclair.api.enabled must be true",
	"phoenixd": "set `password` to http-password-limited-access of phoenixd's phoenix.conf (in ~/.phoenix)",
	"lnbits":   "set `key` to the invoice/read key that the wallet's page shows under \"API docs\"",
	"nwc": "make a new connection in the wallet that allows make_invoice and lookup_invoice, without a budget for paying, " +
		"and set its nostr+walletconnect:// URI",
	"lnurl": "the payee's server asks for a login: take an address that anyone can pay",
	"cashu": "take another mint, or one that lets anyone mint",
}

// reaching says, by adapter, what to look at where the peer does not answer.
var reaching = map[string]string{
	"lnd": "check host and port (`lnd --rpclisten`, 10009 by default; 8080 is REST and does not do), that a firewall lets Caddy through, " +
		"that `tls_cert` is the node's present tls.cert, that the wallet is unlocked, and for an onion name `proxy socks5://127.0.0.1:9050`",
	"lnc": "check `mailbox`, that Caddy may call out to it on port 443, that the node and its litd run, that the session has not " +
		"expired, and that no other Caddy uses the same session",
	"cln": "check that lightningd runs and that the path of lightning-rpc is right and reachable for Caddy's user; over HTTP check " +
		"clnrest-host and clnrest-port, and that `ca` is the node's ca.pem or server.pem",
	"eclair":   "check the URL (eclair.api.port, 8080 by default) and eclair.api.enabled=true, and that a firewall lets Caddy through",
	"phoenixd": "check that phoenixd runs and listens there (http-bind-port, 9740 by default)",
	"lnbits":   "check the URL and that the server's funding source works: its page shows the wallet's balance then",
	"nwc": "check that the wallet service is online and that Caddy may call out to the relays of the URI; " +
		"`relay wss://…` adds further ones",
	"lnurl": "check the address: https://<host>/.well-known/lnurlp/<user> must answer from here; a private address needs `allow_private`, " +
		"an onion name `proxy socks5://127.0.0.1:9050`",
	"cashu": "check the mint's URL: <url>/v1/info must answer from here",
}

// notes are what to know whatever the check finds.
var notes = map[string]string{
	"sandbox": "the sandbox is not money: anyone who reaches the admin API can pay its invoices for nothing",
	"lnc": "a session takes one connection at a time: stop Caddy before checking, and run the check as the user that Caddy runs " +
		"as, since the keys of the session are in its storage",
}

// Cure says what the operator can do about an error of a wallet.
func Cure(adapter string, err error) string {
	var chain *networkError
	switch {
	case errors.As(err, &chain):
		return fmt.Sprintf("set `network %s` in the wallet's block if that is what you want to be paid in, or connect to a wallet on %s",
			chain.got, chain.want)
	case errors.Is(err, errPanic):
		return "this is a fault of the adapter: report it with the version of the wallet's software"
	case errors.Is(err, wallets.ErrUnauthorized):
		return or(credentials[adapter], "give the wallet a credential that may make and look up invoices")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return "check the path, and that Caddy's user may read the file and its folders; this command sees what its own user sees"
	case errors.Is(err, wallets.ErrAmount):
		return "this wallet cannot make an invoice over this amount: check again with --amount, such as --amount '100 sat', " +
			"and set no price below what works; a wallet that knows whole satoshis only needs prices in sat"
	case errors.Is(err, wallets.ErrRateLimited):
		return "wait a minute and check again; if it stays, raise the limit of the wallet's service"
	case errors.Is(err, wallets.ErrNotFound):
		return "the wallet answers from another database than it makes invoices in: check that address and proxy lead to one instance"
	case errors.Is(err, wallets.ErrBadInvoice):
		return "the wallet gives invoices that the gate refuses: check that the address leads to the wallet you mean, " +
			"that nothing between changes answers, and that the clocks of both machines are right"
	case errors.Is(err, wallets.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return or(reaching[adapter], "check address, port and TLS settings, and that a firewall lets Caddy through")
	case errors.Is(err, wallets.ErrBadAnswer):
		return "what answers there is not the wallet's software, or a version that this adapter does not know: check address and port"
	case errors.Is(err, context.Canceled):
		return "the check was interrupted: run it again"
	}
	return or(reaching[adapter], "check the wallet's settings and its own log")
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
