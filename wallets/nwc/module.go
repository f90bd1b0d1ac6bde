package nwc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() {
	caddy.RegisterModule(new(Guest))
}

const maxTimeout = 10 * time.Minute

// Guest is a wallet that is reached with Nostr Wallet Connect (NIP-47), such as Alby Hub. A
// connection that may only receive (`make_invoice`, `lookup_invoice`, `list_transactions`,
// notifications) is all that the gate needs.
//
// Every text may hold placeholders such as `{env.NWC}`, which are replaced when the configuration
// is loaded.
type Guest struct {
	// URI is the connection URI that the wallet shows: `nostr+walletconnect://…`. It holds a
	// secret key, so keep it out of the configuration itself: `{env.NWC}`.
	URI string `json:"uri,omitempty"`

	// Relays are further relays at which the wallet listens, such as `wss://relay.example.com`,
	// besides those in the URI. Requests go to all of them and the first valid answer counts.
	Relays []string `json:"relays,omitempty"`

	// NetworkName is the chain of the wallet: `mainnet` (the default), `testnet`, `signet` or
	// `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// Timeout bounds each call. The default is 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	connection *Connection
	network    wallets.Network
}

// CaddyModule tells Caddy of the module.
func (*Guest) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.nwc",
		New: func() caddy.Module { return new(Guest) },
	}
}

// Provision replaces placeholders and checks the settings. It opens no connection. Errors name the
// setting and the cure and hold nothing of the URI.
func (g *Guest) Provision(caddy.Context) error {
	if err := g.provision(); err != nil {
		return fmt.Errorf("wallet nwc: %w", err)
	}
	return nil
}

func (g *Guest) provision() error {
	uri, err := replaced("uri", g.URI)
	if err != nil {
		return err
	}
	c, err := ParseURI(uri)
	if err != nil {
		return err
	}
	for _, text := range g.Relays {
		relay, err := replaced("relay", text)
		if err != nil {
			return err
		}
		if err := c.AddRelay(relay); err != nil {
			return err
		}
	}
	name, err := replaced("network", g.NetworkName)
	if err != nil {
		return err
	}
	network, err := wallets.ParseNetwork(name)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if t := time.Duration(g.Timeout); t < 0 || t > maxTimeout {
		return fmt.Errorf("timeout %s is not between 0 and %s", t, maxTimeout)
	}
	if _, err := newKeys(c.secret, c.Wallet); err != nil {
		return err
	}
	g.connection, g.network = c, network
	return nil
}

// replaced replaces placeholders in the setting.
func replaced(name, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	out, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: a placeholder is unknown or empty: %w", name, hidden(err))
	}
	if out = strings.TrimSpace(out); out == "" {
		return "", fmt.Errorf("%s is empty after its placeholders were replaced", name)
	}
	return out, nil
}

// hidden takes out of an error what a value that was meant as a placeholder could hold.
func hidden(err error) error { return errors.New(clean(err.Error())) }

// Identity is the wallet with the key and the relays. It holds secrets.
func (g *Guest) Identity() string {
	if g.connection == nil {
		return ""
	}
	relays := slices.Sorted(slices.Values(g.connection.Relays))
	return "nwc\x00" + g.connection.Wallet + "\x00" + g.connection.secret + "\x00" + strings.Join(relays, "\x00")
}

// Network is the chain of the wallet.
func (g *Guest) Network() wallets.Network { return g.network }

func (g *Guest) options() options {
	return options{network: g.network, timeout: time.Duration(g.Timeout)}
}

// Open makes the Wallet, which connects at its first call.
func (g *Guest) Open(env wallets.Env) (wallets.Wallet, error) {
	if g.connection == nil {
		return nil, errors.New("opening wallet nwc: it was not provisioned")
	}
	w, err := newWallet(g.connection, env.Logger, g.options())
	if err != nil {
		return nil, fmt.Errorf("opening wallet nwc: %w", err)
	}
	return w, nil
}

// Interface guards.
var (
	_ caddy.Module      = (*Guest)(nil)
	_ caddy.Provisioner = (*Guest)(nil)
	_ wallets.Guest     = (*Guest)(nil)
)
