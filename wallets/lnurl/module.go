package lnurl

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

func init() {
	caddy.RegisterModule(new(Payee))
}

const (
	maxTimeout = 10 * time.Minute
	// maxComment bounds the setting, in characters. Servers that take comments at all take
	// from 32 to about 2000.
	maxComment = 2000
)

// Payee is a wallet behind a Lightning address or an LNURL. The server behind it makes the
// invoices and gets the payments for the payee.
//
// Texts may hold placeholders such as `{env.ADDRESS}`, which are replaced when the configuration
// is loaded. The address may also hold placeholders that each request fills in, such as
// `{http.vars.ln_address}`: one wallet that stands for many payees. What a request puts there is
// checked as a client's words: lower-case letters, digits, `.`, `_`, `-` and `+`, where the
// placeholder stands for the whole address a Lightning address of the form user@host, and never a
// port or a further part of a path.
type Payee struct {
	// Address is the payee: a Lightning address such as `shop@example.com`, an LNURL
	// (`lnurl1…`), a URL that begins with `https://`, or one that begins with `lnurlp://`.
	Address string `json:"address,omitempty"`

	// NetworkName is the chain of the invoices: `mainnet` (the default), `testnet`, `signet` or
	// `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// Timeout bounds each call to the payee's server. The default is 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Comment is sent to the payee with each invoice, as far as its server takes comments, and
	// cut to the length that it takes.
	Comment string `json:"comment,omitempty"`

	// AllowPrivate permits plain http and addresses that are not on the public internet, such
	// as loopback and private ones. It is for tests and for servers in one's own network, and
	// not to be had where a placeholder names the host, since clients would then choose where
	// in that network the calls go.
	AllowPrivate bool `json:"allow_private,omitempty"`

	// CA holds the certificates of the authorities that the payee's servers must be certified
	// by, in PEM, or the path of a file of those. The file is read when the configuration is
	// loaded. The default is the authorities that the operating system trusts.
	CA string `json:"ca,omitempty"`

	// Proxy is a SOCKS5 proxy such as `socks5://127.0.0.1:9050`, through which onion names are
	// reached. All other names are dialed directly, since otherwise the proxy would resolve
	// them and nobody would check where they lead.
	Proxy string `json:"proxy,omitempty"`

	set settings
}

// settings are what Provision makes of the configuration: placeholders replaced, texts parsed.
type settings struct {
	// target is whom to pay. It is nil where template says what requests fill in.
	target   *target
	template *template
	rules    rules
	network  wallets.Network
	comment  string
	tls      *tls.Config
	proxy    dialContext
	// access tells apart ways of reaching one payee.
	access string
}

// CaddyModule tells Caddy of the module.
func (*Payee) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.lnurl",
		New: func() caddy.Module { return new(Payee) },
	}
}

// Provision replaces the placeholders that are known by now and checks the settings. It dials
// nothing. Errors name the setting and the cure and do not repeat addresses, which may be secret.
func (p *Payee) Provision(caddy.Context) error {
	if err := p.provision(); err != nil {
		return fmt.Errorf("wallet lnurl: %w", err)
	}
	return nil
}

func (p *Payee) provision() (err error) {
	repl := caddy.NewReplacer()
	text := func(setting, value string) string {
		if value == "" || err != nil {
			return ""
		}
		var replaced string
		if replaced, err = repl.ReplaceOrErr(value, true, true); err != nil {
			err = fmt.Errorf("%s: %w", setting, err)
		}
		return strings.TrimSpace(replaced)
	}
	network, ca, proxy := text("network", p.NetworkName), text("ca", p.CA), text("proxy", p.Proxy)
	set := settings{comment: text("comment", p.Comment)}
	if err != nil {
		return err
	}
	if t := time.Duration(p.Timeout); t < 0 || t > maxTimeout {
		return fmt.Errorf("timeout %s is not between 0 and %s", t, maxTimeout)
	}
	if set.network, err = wallets.ParseNetwork(network); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if utf8.RuneCountInString(set.comment) > maxComment || !utf8.ValidString(set.comment) {
		return fmt.Errorf("comment is longer than %d characters or no UTF-8", maxComment)
	}
	if set.tls, err = tlsConfig(ca); err != nil {
		return err
	}
	if set.proxy, err = onionDialer(proxy); err != nil {
		return err
	}
	set.rules = rules{allowPrivate: p.AllowPrivate, onion: set.proxy != nil}
	set.access = fmt.Sprintf("%t %x %x", p.AllowPrivate, sha256.Sum256([]byte(ca)), sha256.Sum256([]byte(proxy)))
	if err := set.setAddress(repl.ReplaceKnown(p.Address, "")); err != nil {
		return err
	}
	p.set = set
	return nil
}

// setAddress reads the address, or finds out what of it requests fill in.
func (s *settings) setAddress(address string) (err error) {
	if !strings.ContainsAny(address, "{}") {
		s.target, err = parseTarget(address, s.rules)
		return err
	}
	if s.template, err = parseTemplate(address); err != nil {
		return err
	}
	if s.rules.allowPrivate && s.template.hostOpen() {
		return errors.New("allow_private and an address whose host is a placeholder would let clients reach " +
			"hosts of your own network: write the host out, or remove allow_private")
	}
	// The parts that stand there must make an address with what requests may fill in.
	_, err = s.template.fill(func(string) (string, error) { return s.template.sample(), nil }, s.rules)
	return err
}

// tlsConfig makes the TLS settings for the authorities in ca, or nil for those of the system.
func tlsConfig(ca string) (*tls.Config, error) {
	if ca == "" {
		return nil, nil
	}
	pem := []byte(ca)
	if !strings.Contains(ca, "-----BEGIN") {
		if strings.ContainsAny(ca, "\n\r\x00") {
			return nil, errors.New("ca is neither certificates in PEM nor the path of a file")
		}
		var err error
		if pem, err = httpjson.ReadFile(ca); err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca holds no certificate in PEM")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// Identity is the address where the payee's server is asked, with the way it is reached. The
// address may hold a secret.
func (p *Payee) Identity() string {
	if p.set.target == nil {
		return "lnurl template " + p.Address
	}
	return "lnurl " + p.set.access + " " + p.set.target.url.String()
}

// PayeeName implements wallets.Named: it is the address where the payee's server is asked.
func (p *Payee) PayeeName() string {
	if p.set.target == nil {
		return "template " + p.Address
	}
	return p.set.target.url.String()
}

// Network is the chain of the invoices.
func (p *Payee) Network() wallets.Network { return p.set.network }

// Open makes the Wallet, which connects at its first call.
func (p *Payee) Open(env wallets.Env) (wallets.Wallet, error) {
	switch {
	case p.set.template != nil:
		return nil, errors.New("opening wallet lnurl: its address has placeholders that only a request fills in")
	case p.set.target == nil:
		return nil, errors.New("opening wallet lnurl: it was not provisioned")
	}
	w, err := newWallet(env, &p.set)
	if err != nil {
		return nil, fmt.Errorf("opening wallet lnurl: %w", err)
	}
	w.Reconfigure(p)
	return w, nil
}

// IsTemplate implements wallets.Templated.
func (p *Payee) IsTemplate() bool { return p.set.template != nil }

// Fill implements wallets.Templated: it gives the Payee that one request names.
func (p *Payee) Fill(replace func(text string) (string, error)) (wallets.Guest, error) {
	if p.set.template == nil {
		return p, nil
	}
	t, err := p.set.template.fill(replace, p.set.rules)
	if err != nil {
		return nil, err
	}
	filled := *p
	filled.set.target, filled.set.template = t, nil
	return &filled, nil
}

// Interface guards.
var (
	_ caddy.Module      = (*Payee)(nil)
	_ caddy.Provisioner = (*Payee)(nil)
	_ wallets.Guest     = (*Payee)(nil)
	_ wallets.Templated = (*Payee)(nil)
	_ wallets.Named     = (*Payee)(nil)
)
