package lnbits

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

func init() {
	caddy.RegisterModule(new(Account))
}

const example = "https://lnbits.example.com"

// Account is a wallet at an LNbits server, version 1.0 or later. Its invoice key is enough.
//
// Invoices are over whole satoshis, so every price must be one. An empty memo becomes the title of
// the LNbits site.
//
// **LNbits shows payments to anyone who knows their hash**, and the hash is in the invoice. With most
// funding sources (LND, Core Lightning, Eclair) that includes the preimage of invoices that were
// not paid, and the preimage is what proves a payment here. The wallet asks LNbits without a key
// whether that is so, and makes no invoices if it is: see `private_api`.
//
// Every text may hold placeholders such as `{env.LNBITS_KEY}`, which are replaced when the
// configuration is loaded. Files are read when they are needed and not before.
type Account struct {
	// Address is the URL of the LNbits server, such as `https://lnbits.example.com`.
	Address string `json:"address,omitempty"`

	// Key is the wallet's invoice key (the page of the wallet calls it invoice/read key). The
	// admin key works too, but can spend all money.
	Key string `json:"key,omitempty"`

	// KeyFile is the path of a file with the key, in its place. It is read again when LNbits
	// refuses the key.
	KeyFile string `json:"key_file,omitempty"`

	// CA is the certificate that the server must show, or that of the authority that issued
	// it: in PEM, or the path of a file. Without it, the authorities that the operating system
	// trusts decide.
	CA string `json:"ca,omitempty"`

	// NetworkName is the chain of LNbits' funding source: `mainnet` (the default), `testnet`,
	// `signet` or `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// Timeout bounds each call. The default is 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// PrivateAPI says that nobody but the operator can ask this LNbits for
	// `/api/v1/payments/`, because it listens on a private address alone or because a proxy
	// refuses such calls without a key. Only then may LNbits know the preimages of invoices
	// that were not paid: set it where that is not so, and everyone passes without paying.
	PrivateAPI bool `json:"private_api,omitempty"`

	// Insecure allows an address that begins with `http:` and is not loopback, private or of
	// the local link. The key travels in clear text then, so something else must protect the
	// connection.
	Insecure bool `json:"insecure,omitempty"`

	set restpeer.Settings
}

// CaddyModule tells Caddy of the module.
func (*Account) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.lnbits",
		New: func() caddy.Module { return new(Account) },
	}
}

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	lnbits <URL> {
//		key <key>
//		key_file <path>
//		ca <path>|<PEM>
//		network mainnet|testnet|signet|regtest
//		timeout <duration>
//		private_api
//		insecure
//	}
//
// One of key and key_file is required.
func (a *Account) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return restpeer.ReadCaddyfile(d, restpeer.Fields{
		Kind: "lnbits", Example: example,
		Address: &a.Address, Timeout: &a.Timeout,
		Texts: map[string]*string{
			"key": &a.Key, "key_file": &a.KeyFile, "ca": &a.CA, "network": &a.NetworkName,
		},
		Flags: map[string]*bool{"insecure": &a.Insecure, "private_api": &a.PrivateAPI},
	})
}

// Provision replaces placeholders and checks the settings. It opens no file and no connection.
// Errors name the setting and the cure and hold none of the secrets.
func (a *Account) Provision(caddy.Context) error {
	set, err := restpeer.Resolve("lnbits", example, restpeer.Raw{
		Address: a.Address, SecretName: "key", Secret: a.Key, SecretFile: a.KeyFile,
		CA: a.CA, Network: a.NetworkName, Timeout: a.Timeout, Insecure: a.Insecure,
	})
	if err != nil {
		return fmt.Errorf("wallet lnbits: %w", err)
	}
	a.set = set
	return nil
}

// Identity is the address with key and certificate. It may hold secrets.
func (a *Account) Identity() string { return a.set.Identity() }

// Network is the chain of LNbits' funding source.
func (a *Account) Network() wallets.Network { return a.set.Network }

// Open makes the wallet, a *Wallet, which connects at its first call.
func (a *Account) Open(env wallets.Env) (wallets.Wallet, error) {
	w, err := newWallet(a.set, env)
	if err != nil {
		return nil, fmt.Errorf("opening wallet lnbits: %w", err)
	}
	w.private.Store(a.PrivateAPI)
	return w, nil
}

// Interface guards.
var (
	_ caddy.Module          = (*Account)(nil)
	_ caddy.Provisioner     = (*Account)(nil)
	_ caddyfile.Unmarshaler = (*Account)(nil)
	_ wallets.Guest         = (*Account)(nil)
)
