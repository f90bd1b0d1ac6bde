package eclair

import (
	"encoding/hex"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

func init() {
	caddy.RegisterModule(new(Node))
}

const example = "http://127.0.0.1:8080"

// Node is a wallet at an Eclair node.
//
// Eclair's API has one password, and whoever has it can do everything. A reverse proxy in front of
// it can narrow that down: the gate calls `/createinvoice`, `/getreceivedinfo`,
// `/listreceivedpayments`, `/getinfo` and the websocket `/ws`.
//
// Every text may hold placeholders such as `{env.ECLAIR_PASSWORD}`, which are replaced when the
// configuration is loaded. Files are read when they are needed and not before.
type Node struct {
	// Address is the URL of Eclair's API, such as `http://127.0.0.1:8080`.
	Address string `json:"address,omitempty"`

	// Password is `eclair.api.password` of the node's `eclair.conf`.
	Password string `json:"password,omitempty"`

	// PasswordFile is the path of a file with the password, in its place. It is read again
	// when Eclair refuses the password.
	PasswordFile string `json:"password_file,omitempty"`

	// CA is the certificate that the peer must show, or that of the authority that issued it:
	// in PEM, or the path of a file. Without it, the authorities that the operating system
	// trusts decide.
	CA string `json:"ca,omitempty"`

	// NetworkName is the chain of the node: `mainnet` (the default), `testnet`, `signet` or
	// `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// PrivateChannels are the ids (64 hexadecimal digits) of unannounced channels that payers
	// may be led through. A node without announced channels cannot be paid otherwise.
	PrivateChannels []string `json:"private_channels,omitempty"`

	// Timeout bounds each call. The default is 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Insecure allows an address that begins with `http:` and is not loopback, private or of
	// the local link. The password travels in clear text then, so something else must protect
	// the connection.
	Insecure bool `json:"insecure,omitempty"`

	set restpeer.Settings
}

// CaddyModule tells Caddy of the module.
func (*Node) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.eclair",
		New: func() caddy.Module { return new(Node) },
	}
}

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	eclair <URL> {
//		password <password>
//		password_file <path>
//		ca <path>|<PEM>
//		network mainnet|testnet|signet|regtest
//		private_channels <id...>
//		timeout <duration>
//		insecure
//	}
//
// One of password and password_file is required.
func (n *Node) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return restpeer.ReadCaddyfile(d, restpeer.Fields{
		Kind: "eclair", Example: example,
		Address: &n.Address, Timeout: &n.Timeout,
		Texts: map[string]*string{
			"password": &n.Password, "password_file": &n.PasswordFile, "ca": &n.CA, "network": &n.NetworkName,
		},
		Lists: map[string]*[]string{"private_channels": &n.PrivateChannels},
		Flags: map[string]*bool{"insecure": &n.Insecure},
	})
}

// Provision replaces placeholders and checks the settings. It opens no file and no connection.
// Errors name the setting and the cure and hold none of the secrets.
func (n *Node) Provision(caddy.Context) error {
	set, err := restpeer.Resolve("eclair", example, restpeer.Raw{
		Address: n.Address, SecretName: "password", Secret: n.Password, SecretFile: n.PasswordFile,
		CA: n.CA, Network: n.NetworkName, Timeout: n.Timeout, Insecure: n.Insecure,
	})
	if err == nil {
		err = checkChannels(n.PrivateChannels)
	}
	if err != nil {
		return fmt.Errorf("wallet eclair: %w", err)
	}
	n.set = set
	return nil
}

func checkChannels(ids []string) error {
	for i, id := range ids {
		if b, err := hex.DecodeString(id); err != nil || len(b) != 32 {
			return fmt.Errorf("private_channels: number %d is not a channel id of 64 hexadecimal digits; "+
				"`eclair-cli channels` shows them as channelId", i+1)
		}
	}
	return nil
}

// Identity is the address with password and certificate. It may hold secrets.
func (n *Node) Identity() string { return n.set.Identity() }

// Network is the chain of the node.
func (n *Node) Network() wallets.Network { return n.set.Network }

// Open makes the wallet, a *Wallet, which connects at its first call.
func (n *Node) Open(env wallets.Env) (wallets.Wallet, error) {
	w, err := newWallet(n.set, env)
	if err != nil {
		return nil, fmt.Errorf("opening wallet eclair: %w", err)
	}
	w.setChannels(n.PrivateChannels)
	return w, nil
}

// Interface guards.
var (
	_ caddy.Module          = (*Node)(nil)
	_ caddy.Provisioner     = (*Node)(nil)
	_ caddyfile.Unmarshaler = (*Node)(nil)
	_ wallets.Guest         = (*Node)(nil)
)
