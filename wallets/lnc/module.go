// Package lnc makes invoices at an LND node that is reached through Lightning Node Connect: both
// sides call a mailbox server on the internet, so that the node needs no open port. It is the
// Caddy module l402.wallets.lnc.
//
// A session begins with a pairing phrase of 10 words, which works once. From it both sides get
// keys that serve for all later connections and that are kept in Caddy's storage. A session takes
// one connection at a time: each server needs a session of its own.
package lnc

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd"
)

func init() {
	caddy.RegisterModule(new(Session))
}

const (
	// defaultMailbox is the server that Lightning Terminal uses where it is told nothing else.
	defaultMailbox = "mailbox.terminal.lightning.today:443"
	defaultPort    = "443"
	maxTimeout     = 10 * time.Minute
)

// Session is a wallet at an LND node, reached through Lightning Node Connect. The session that
// Lightning Terminal makes for it needs no more rights than LND's own invoice.macaroon has.
//
// Every text may hold placeholders such as `{env.LNC}`, which are replaced when the configuration
// is loaded.
//
// The phrase works once. The keys that come from it are kept in Caddy's storage under the phrase,
// the mailbox and the network: a change of one of these needs a new session.
type Session struct {
	// PairingPhrase is the 10 words that Lightning Terminal shows for a new session.
	PairingPhrase string `json:"pairing_phrase,omitempty"`

	// Mailbox is the host and port of the mailbox server that the node uses for the session.
	// The port is 443 where none is given. The default is
	// `mailbox.terminal.lightning.today:443`.
	Mailbox string `json:"mailbox,omitempty"`

	// MailboxCA is the path of a file with the certificate of the mailbox server, or of the
	// authority that issued it, for one that is not publicly trusted. It is read for each
	// connection. The default are the authorities that the operating system trusts.
	MailboxCA string `json:"mailbox_ca,omitempty"`

	// NetworkName is the chain of the node: `mainnet` (the default), `testnet`, `signet` or
	// `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// Timeout bounds each call. The default is 10 seconds. Connecting takes its own time.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Private puts hints to the node's private channels into invoices. A node that has no
	// public channel cannot be paid without.
	Private bool `json:"private,omitempty"`

	set settings
}

// settings are what Provision makes of the configuration.
type settings struct {
	entropy  entropy
	mailbox  string
	ca       string
	network  wallets.Network
	identity string
}

// CaddyModule tells Caddy of the module.
func (*Session) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.lnc",
		New: func() caddy.Module { return new(Session) },
	}
}

// Provision replaces placeholders and checks the settings. It opens no file and no connection.
// Errors name the setting and the cure and hold no word of the phrase.
func (s *Session) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	var phrase, network string
	for _, text := range []struct {
		name, value string
		to          *string
	}{
		{"pairing_phrase", s.PairingPhrase, &phrase},
		{"mailbox", s.Mailbox, &s.set.mailbox},
		{"mailbox_ca", s.MailboxCA, &s.set.ca},
		{"network", s.NetworkName, &network},
	} {
		*text.to = ""
		if text.value == "" {
			continue
		}
		value, err := repl.ReplaceOrErr(text.value, true, true)
		if err != nil {
			return fmt.Errorf("wallet lnc: %s: %w", text.name, err)
		}
		if *text.to = strings.TrimSpace(value); *text.to == "" {
			return fmt.Errorf("wallet lnc: %s is empty after its placeholders were replaced", text.name)
		}
	}
	if err := s.set.parse(phrase, network); err != nil {
		return fmt.Errorf("wallet lnc: %w", err)
	}
	if t := time.Duration(s.Timeout); t < 0 || t > maxTimeout {
		return fmt.Errorf("wallet lnc: timeout %s is not between 0 and %s", t, maxTimeout)
	}
	return nil
}

func (set *settings) parse(phrase, network string) (err error) {
	var words string
	if set.entropy, words, err = parsePhrase(phrase); err != nil {
		return err
	}
	if set.mailbox, err = parseMailbox(set.mailbox); err != nil {
		return err
	}
	if set.network, err = wallets.ParseNetwork(network); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	set.identity = fmt.Sprintf("lnc %s %x", set.mailbox, sha256.Sum256([]byte(words)))
	return nil
}

// hostName matches what can be the name of a host.
var hostName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func parseMailbox(text string) (string, error) {
	if text == "" {
		return defaultMailbox, nil
	}
	bad := errors.New("mailbox must be host:port and nothing else, such as " + defaultMailbox)
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), defaultPort
	}
	if !hostName.MatchString(host) && net.ParseIP(host) == nil {
		return "", bad
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", bad
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}

// Identity is the mailbox with a hash over the phrase.
func (s *Session) Identity() string { return s.set.identity }

// Network is the chain of the node.
func (s *Session) Network() wallets.Network { return s.set.network }

func (s *Session) options() lnd.Options {
	return lnd.Options{Network: s.set.network, Timeout: time.Duration(s.Timeout), Private: s.Private}
}

// Open makes the Wallet, which connects from its first call on.
func (s *Session) Open(env wallets.Env) (wallets.Wallet, error) {
	if s.set.identity == "" {
		return nil, errGuest
	}
	session, peer := newSession(env, s.set), "behind "+s.set.mailbox
	return &Wallet{Client: lnd.NewClient(session, peer, env.Logger, s.options()), session: session, peer: peer}, nil
}

// Interface guards.
var (
	_ caddy.Module      = (*Session)(nil)
	_ caddy.Provisioner = (*Session)(nil)
	_ wallets.Guest     = (*Session)(nil)
)
