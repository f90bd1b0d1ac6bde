package lnd

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() {
	caddy.RegisterModule(new(Node))
}

const (
	defaultPort = "10009"
	// systemRoots as tls_cert means the certificates that the operating system trusts.
	systemRoots = "system"
	maxTimeout  = 10 * time.Minute
)

// Node is a wallet at an LND node, reached over gRPC. The macaroon needs no more rights than
// LND's own invoice.macaroon has.
//
// Every text may hold placeholders such as `{env.MACAROON}`, which are replaced when the
// configuration is loaded. Files are read when they are needed and not before, and again after
// they changed.
type Node struct {
	// Address is the host and port of LND's gRPC interface, such as `127.0.0.1:10009`. The
	// port is 10009 where none is given. The host may be an onion name if there is a proxy.
	Address string `json:"address,omitempty"`

	// Macaroon is the path of a file with the macaroon, as LND wrote it or in hex.
	Macaroon string `json:"macaroon,omitempty"`

	// MacaroonHex is the macaroon itself in hex or base64, in place of a file.
	MacaroonHex string `json:"macaroon_hex,omitempty"`

	// TLSCert is the path of a file with the node's certificate (LND's `tls.cert`), or of the
	// authority that issued it. The node must show that certificate; its names do not matter.
	// The word `system` stands for the authorities that the operating system trusts, for
	// nodes with a public certificate.
	TLSCert string `json:"tls_cert,omitempty"`

	// TLSCertHex is the certificate itself, PEM or DER, in hex or base64, in place of a file.
	TLSCertHex string `json:"tls_cert_hex,omitempty"`

	// Proxy is a SOCKS5 proxy such as `socks5://127.0.0.1:9050`, with `user:password@` before
	// the host where it wants them. It resolves the node's name, so that Tor works.
	Proxy string `json:"proxy,omitempty"`

	// NetworkName is the chain of the node: `mainnet` (the default), `testnet`, `signet` or
	// `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// Timeout bounds each call. The default is 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Private puts hints to the node's private channels into invoices. A node that has no
	// public channel cannot be paid without.
	Private bool `json:"private,omitempty"`

	set settings
}

// settings are what Provision makes of the configuration: placeholders replaced, texts parsed.
type settings struct {
	address, host string
	network       wallets.Network
	identity      string
	mac           *macaroonSource
	pin           *pin
	dial          dialContext
}

// CaddyModule tells Caddy of the module.
func (*Node) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.lnd",
		New: func() caddy.Module { return new(Node) },
	}
}

// Provision replaces placeholders and checks the settings. It opens no file and no connection.
// Errors name the setting and the cure and hold none of the secrets.
func (n *Node) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	values := map[string]string{
		"address": n.Address, "macaroon": n.Macaroon, "macaroon_hex": n.MacaroonHex,
		"tls_cert": n.TLSCert, "tls_cert_hex": n.TLSCertHex, "proxy": n.Proxy, "network": n.NetworkName,
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if value == "" {
			continue
		}
		replaced, err := repl.ReplaceOrErr(value, true, true)
		if err != nil {
			return fmt.Errorf("wallet lnd: %s: %w", name, err)
		}
		if strings.TrimSpace(replaced) == "" {
			return fmt.Errorf("wallet lnd: %s is empty after its placeholders were replaced", name)
		}
		values[name] = strings.TrimSpace(replaced)
	}
	set, err := parse(values)
	if err != nil {
		return fmt.Errorf("wallet lnd: %w", err)
	}
	if t := time.Duration(n.Timeout); t < 0 || t > maxTimeout {
		return fmt.Errorf("wallet lnd: timeout %s is not between 0 and %s", t, maxTimeout)
	}
	n.set = set
	return nil
}

// parse reads the settings by their names.
func parse(v map[string]string) (set settings, err error) {
	if set.address, set.host, err = parseAddress(v["address"]); err != nil {
		return set, err
	}
	if set.network, err = wallets.ParseNetwork(v["network"]); err != nil {
		return set, fmt.Errorf("network: %w", err)
	}
	if set.dial, err = proxyDialer(v["proxy"]); err != nil {
		return set, err
	}
	if v["proxy"] == "" && strings.HasSuffix(set.host, ".onion") {
		return set, errors.New("address is an onion name: set proxy, such as socks5://127.0.0.1:9050 for Tor")
	}
	if set.mac, err = parseMacaroon(v["macaroon"], v["macaroon_hex"]); err != nil {
		return set, err
	}
	if set.pin, err = parsePin(v["tls_cert"], v["tls_cert_hex"]); err != nil {
		return set, err
	}
	// The secrets among them are kept in no more places than needed.
	sum := sha256.New()
	for _, name := range []string{"macaroon", "macaroon_hex", "tls_cert", "tls_cert_hex", "proxy"} {
		fmt.Fprintf(sum, "%d %s\n", len(v[name]), v[name])
	}
	set.identity = fmt.Sprintf("lnd %s %x", set.address, sum.Sum(nil))
	return set, nil
}

func parseAddress(s string) (address, host string, err error) {
	if s == "" {
		return "", "", errors.New("address is missing: give host:port of LND's gRPC interface, such as 127.0.0.1:10009")
	}
	if strings.ContainsAny(s, "/@ ") {
		return "", "", errors.New("address must be host:port and nothing else, such as 127.0.0.1:10009")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), defaultPort
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", "", fmt.Errorf("address %q is not host:port", s)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return "", "", fmt.Errorf("address %q is not host:port", s)
	}
	return net.JoinHostPort(host, port), host, nil
}

func parseMacaroon(path, text string) (*macaroonSource, error) {
	switch {
	case path != "" && text != "":
		return nil, errors.New("macaroon and macaroon_hex are both set: keep one")
	case path != "":
		return &macaroonSource{path: path}, nil
	case text == "":
		return nil, errors.New("macaroon is missing: give the path of LND's invoice.macaroon")
	}
	m, err := ParseMacaroon([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("macaroon_hex: %w", err)
	}
	return &macaroonSource{current: m}, nil
}

// parsePin gives nil for the system's authorities.
func parsePin(path, text string) (*pin, error) {
	switch {
	case path != "" && text != "":
		return nil, errors.New("tls_cert and tls_cert_hex are both set: keep one")
	case path == systemRoots:
		return nil, nil
	case path != "":
		return &pin{path: path, now: time.Now}, nil
	case text == "":
		return nil, errors.New("tls_cert is missing: give the path of LND's tls.cert, " +
			"or the word system for a publicly trusted certificate")
	}
	certs, err := ParseCertificates([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("tls_cert_hex: %w", err)
	}
	return &pin{certs: certs, now: time.Now}, nil
}

// Identity is the address with a hash over credential, certificate and proxy as configured.
func (n *Node) Identity() string { return n.set.identity }

// Network is the chain of the node.
func (n *Node) Network() wallets.Network { return n.set.network }

func (n *Node) options() Options {
	return Options{Network: n.set.network, Timeout: time.Duration(n.Timeout), Private: n.Private}
}

// Open makes the Wallet, which connects at its first call.
func (n *Node) Open(env wallets.Env) (wallets.Wallet, error) {
	if n.set.mac == nil {
		return nil, errors.New("opening wallet lnd: it was not provisioned")
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: n.set.host}
	if n.set.pin != nil {
		tlsConfig = n.set.pin.config(n.set.host)
	}
	c := &conn{address: n.set.address, tls: tlsConfig, mac: n.set.mac, dial: n.set.dial}
	return &Wallet{Client: NewClient(c, n.set.address, env.Logger, n.options()), conn: c}, nil
}

// Interface guards.
var (
	_ caddy.Module      = (*Node)(nil)
	_ caddy.Provisioner = (*Node)(nil)
	_ wallets.Guest     = (*Node)(nil)
)
