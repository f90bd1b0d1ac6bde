package phoenixd

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer"
)

func init() {
	caddy.RegisterModule(new(Daemon))
}

const example = "http://127.0.0.1:9740"

// Daemon is a wallet at a phoenixd, the server version of the Phoenix wallet. Its password with
// limited access is enough.
//
// Invoices are over whole satoshis, so every price must be one. Their memo has at most 128
// characters; what is longer is cut.
//
// Every text may hold placeholders such as `{env.PHOENIXD_PASSWORD}`, which are replaced when the
// configuration is loaded. Files are read when they are needed and not before.
type Daemon struct {
	// Address is the URL of phoenixd's API, such as `http://127.0.0.1:9740`.
	Address string `json:"address,omitempty"`

	// Password is phoenixd's `http-password-limited-access`, as it stands in its
	// `phoenix.conf`. The `http-password` works too, but can spend all money.
	Password string `json:"password,omitempty"`

	// PasswordFile is the path of a file with the password, in its place. It is read again
	// when phoenixd refuses the password.
	PasswordFile string `json:"password_file,omitempty"`

	// CA is the certificate that the peer must show, or that of the authority that issued it:
	// in PEM, or the path of a file. Without it, the authorities that the operating system
	// trusts decide.
	CA string `json:"ca,omitempty"`

	// NetworkName is the chain of phoenixd: `mainnet` (the default), `testnet`, `signet` or
	// `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// Timeout bounds each call. The default is 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Insecure allows an address that begins with `http:` and is not loopback, private or of
	// the local link. The password travels in clear text then, so something else must protect
	// the connection.
	Insecure bool `json:"insecure,omitempty"`

	set restpeer.Settings
}

// CaddyModule tells Caddy of the module.
func (*Daemon) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.phoenixd",
		New: func() caddy.Module { return new(Daemon) },
	}
}

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	phoenixd <URL> {
//		password <password>
//		password_file <path>
//		ca <path>|<PEM>
//		network mainnet|testnet|signet|regtest
//		timeout <duration>
//		insecure
//	}
//
// One of password and password_file is required.
func (p *Daemon) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return restpeer.ReadCaddyfile(d, restpeer.Fields{
		Kind: "phoenixd", Example: example,
		Address: &p.Address, Timeout: &p.Timeout,
		Texts: map[string]*string{
			"password": &p.Password, "password_file": &p.PasswordFile, "ca": &p.CA, "network": &p.NetworkName,
		},
		Flags: map[string]*bool{"insecure": &p.Insecure},
	})
}

// Provision replaces placeholders and checks the settings. It opens no file and no connection.
// Errors name the setting and the cure and hold none of the secrets.
func (p *Daemon) Provision(caddy.Context) error {
	set, err := restpeer.Resolve("phoenixd", example, restpeer.Raw{
		Address: p.Address, SecretName: "password", Secret: p.Password, SecretFile: p.PasswordFile,
		CA: p.CA, Network: p.NetworkName, Timeout: p.Timeout, Insecure: p.Insecure,
	})
	if err != nil {
		return fmt.Errorf("wallet phoenixd: %w", err)
	}
	p.set = set
	return nil
}

// Identity is the address with password and certificate. It may hold secrets.
func (p *Daemon) Identity() string { return p.set.Identity() }

// Network is the chain of phoenixd.
func (p *Daemon) Network() wallets.Network { return p.set.Network }

// Open makes the wallet, a *Wallet, which connects at its first call.
func (p *Daemon) Open(env wallets.Env) (wallets.Wallet, error) {
	w, err := newWallet(p.set, env)
	if err != nil {
		return nil, fmt.Errorf("opening wallet phoenixd: %w", err)
	}
	return w, nil
}

// Interface guards.
var (
	_ caddy.Module          = (*Daemon)(nil)
	_ caddy.Provisioner     = (*Daemon)(nil)
	_ caddyfile.Unmarshaler = (*Daemon)(nil)
	_ wallets.Guest         = (*Daemon)(nil)
)
