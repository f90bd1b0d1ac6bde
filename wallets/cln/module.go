package cln

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

func init() {
	caddy.RegisterModule(new(Node))
}

const maxTimeout = 10 * time.Minute

// Node is a wallet at a Core Lightning node, reached over its unix socket or over its REST plugin
// clnrest. A rune for the commands `invoice`, `listinvoices` and `waitanyinvoice` is enough.
//
// Every text may hold placeholders such as `{env.RUNE}`, which are replaced when the configuration
// is loaded. Files are read when they are needed and not before, and again after they changed.
type Node struct {
	// Address is the absolute path of the node's socket, such as
	// `/home/cln/.lightning/bitcoin/lightning-rpc`, or the URL of clnrest, such as
	// `https://127.0.0.1:3010`.
	Address string `json:"address,omitempty"`

	// Rune is the rune for clnrest, as `lightning-cli createrune` prints it.
	Rune string `json:"rune,omitempty"`

	// RuneFile is the path of a file with the rune, in its place.
	RuneFile string `json:"rune_file,omitempty"`

	// CA is the certificate that clnrest must show, or that of the authority that issued it:
	// in PEM, or the path of a file. Core Lightning writes `ca.pem` and `server.pem` into the
	// folder of its network; `ca.pem` will do where the URL's host is `localhost` or `cln`, and
	// `server.pem` whatever the host. Without it, the authorities that the operating system
	// trusts decide.
	CA string `json:"ca,omitempty"`

	// NetworkName is the chain of the node: `mainnet` (the default), `testnet`, `signet` or
	// `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// Timeout bounds each call. The default is 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Private has unpublished channels always considered for the hints by which payers find the
	// node. By itself Core Lightning considers them only where it has no published one.
	Private bool `json:"private,omitempty"`

	set settings
}

// settings are what Provision makes of the configuration: placeholders replaced, texts parsed.
type settings struct {
	// socket is the path of the socket; where it is empty, base is set.
	socket   string
	base     *url.URL
	rune     *httpjson.Secret
	pin      *httpjson.Pin
	network  wallets.Network
	identity string
}

// CaddyModule tells Caddy of the module.
func (*Node) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.cln",
		New: func() caddy.Module { return new(Node) },
	}
}

// Provision replaces placeholders and checks the settings. It opens no file and no connection.
// Errors name the setting and the cure and hold none of the secrets.
func (n *Node) Provision(caddy.Context) error {
	if err := n.Resolve(); err != nil {
		return fmt.Errorf("wallet cln: %w", err)
	}
	return nil
}

// Resolve is Provision for a Node that is part of another module's settings. Errors do not name
// the wallet.
func (n *Node) Resolve() error {
	repl := caddy.NewReplacer()
	values := map[string]string{
		"address": n.Address, "rune": n.Rune, "rune_file": n.RuneFile, "ca": n.CA, "network": n.NetworkName,
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if value == "" {
			continue
		}
		replaced, err := repl.ReplaceOrErr(value, true, true)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if values[name] = strings.TrimSpace(replaced); values[name] == "" {
			return fmt.Errorf("%s is empty after its placeholders were replaced", name)
		}
	}
	if t := time.Duration(n.Timeout); t < 0 || t > maxTimeout {
		return fmt.Errorf("timeout %s is not between 0 and %s", t, maxTimeout)
	}
	set, err := parse(values)
	if err != nil {
		return err
	}
	n.set = set
	return nil
}

// parse reads the settings by their names.
func parse(v map[string]string) (set settings, err error) {
	if set.network, err = wallets.ParseNetwork(v["network"]); err != nil {
		return set, fmt.Errorf("network: %w", err)
	}
	if set.socket, err = socketPath(v["address"]); err != nil {
		return set, err
	}
	set.identity = "cln"
	for _, name := range []string{"address", "rune", "rune_file", "ca"} {
		set.identity += "\x00" + v[name]
	}
	if set.socket != "" {
		for _, name := range []string{"rune", "rune_file", "ca"} {
			if v[name] != "" {
				return set, fmt.Errorf("%s is for clnrest, but address is a socket: "+
					"remove it, or set address to https://host:3010", name)
			}
		}
		return set, nil
	}
	if set.base, err = httpjson.ParseBase("address", v["address"]); err != nil {
		return set, err
	}
	if set.rune, err = httpjson.NewSecret("rune", v["rune"], v["rune_file"]); err != nil {
		return set, err
	}
	if v["rune"] != "" {
		if _, err := DescribeRune(v["rune"]); err != nil {
			return set, fmt.Errorf("rune: %w", err)
		}
	}
	if v["ca"] != "" {
		if set.base.Scheme != "https" {
			return set, errors.New("ca is for https, but address begins with http: change one of them")
		}
		if set.pin, err = httpjson.ParsePin("ca", v["ca"]); err != nil {
			return set, err
		}
	}
	return set, nil
}

// socketPath gives the path if the address is one of a socket, else nothing.
func socketPath(address string) (string, error) {
	if address == "" {
		return "", errors.New("address is missing: give the path of the node's lightning-rpc, " +
			"or the URL of clnrest such as https://127.0.0.1:3010")
	}
	p, named := strings.CutPrefix(address, "unix:")
	if !named {
		// The form in which Caddy writes sockets.
		if rest, ok := strings.CutPrefix(address, "unix/"); ok {
			p, named = rest, true
		}
	}
	if !named && strings.Contains(p, "://") {
		return "", nil
	}
	if !path.IsAbs(p) {
		return "", fmt.Errorf("address %q is neither an absolute path nor a URL that begins with https://",
			httpjson.Clean(address))
	}
	if p = path.Clean(p); len(p) > maxSocketPath {
		return "", fmt.Errorf("address: the path has %d bytes, and a socket's at most %d: "+
			"set lightningd's rpc-file to a shorter one, or make a symbolic link", len(p), maxSocketPath)
	}
	return p, nil
}

// Identity is the address with credential and certificate. It may hold secrets.
func (n *Node) Identity() string { return n.set.identity }

// Network is the chain of the node.
func (n *Node) Network() wallets.Network { return n.set.network }

// Options are the settings that can change while the wallet is open.
func (n *Node) Options() Options {
	return Options{Network: n.set.network, Timeout: time.Duration(n.Timeout), Private: n.Private}
}

// Open makes the wallet, a *Client, which connects at its first call.
func (n *Node) Open(env wallets.Env) (wallets.Wallet, error) {
	c, err := n.Connect(env)
	if err != nil {
		return nil, fmt.Errorf("opening wallet cln: %w", err)
	}
	return c, nil
}

// Connect makes the Client for a Node that is part of another module's settings. It does not dial.
func (n *Node) Connect(env wallets.Env) (*Client, error) {
	if n.set.socket != "" {
		return newClient(newSocket(n.set.socket), n.set.socket, env.Logger, n.Options()), nil
	}
	if n.set.base == nil {
		return nil, errors.New("it was not provisioned")
	}
	cfg := httpjson.Config{Base: n.set.base}
	if n.set.pin != nil {
		cfg.TLS = n.set.pin.Config(n.set.base.Hostname())
	}
	t, err := newREST(cfg, n.set.rune)
	if err != nil {
		return nil, err
	}
	if n.set.base.Scheme == "http" {
		env.Logger().Warn("the rune travels without encryption: use https", zap.String("peer", n.set.base.Host))
	}
	return newClient(t, n.set.base.Host, env.Logger, n.Options()), nil
}

// Interface guards.
var (
	_ caddy.Module      = (*Node)(nil)
	_ caddy.Provisioner = (*Node)(nil)
	_ wallets.Guest     = (*Node)(nil)
)
