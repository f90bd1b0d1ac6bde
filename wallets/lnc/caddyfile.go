package lnc

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the wallet's settings. Syntax:
//
//	lnc {
//		pairing_phrase <10 words>
//		mailbox <host:port>
//		mailbox_ca <path>
//		network mainnet|testnet|signet|regtest
//		timeout <duration>
//		private
//	}
//
// pairing_phrase is required. Errors do not repeat values, which may be secrets.
func (s *Session) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the wallet's kind
	if d.NextArg() {
		return d.Err("lnc takes no value: put the phrase into its block, as pairing_phrase")
	}
	texts := map[string]*string{"mailbox": &s.Mailbox, "mailbox_ca": &s.MailboxCA, "network": &s.NetworkName}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := s.setting(d, name, texts[name]); err != nil {
			return err
		}
	}
	return nil
}

// setting reads one line of the block; text is where its value goes if it is a text.
func (s *Session) setting(d *caddyfile.Dispenser, name string, text *string) error {
	switch {
	case text != nil:
		// ArgErr would repeat the word at hand, which may be a secret.
		if !d.AllArgs(text) {
			return d.Errf("%s takes one value", name)
		}
	case name == "pairing_phrase":
		words := d.RemainingArgs()
		if len(words) == 0 {
			return d.Err(errNoPhrase.Error())
		}
		s.PairingPhrase = strings.Join(words, " ")
	case name == "timeout":
		var value string
		if !d.AllArgs(&value) {
			return d.Errf("%s takes one value", name)
		}
		timeout, err := caddy.ParseDuration(value)
		if err != nil || timeout <= 0 {
			return d.Err("timeout is not a duration such as 10s")
		}
		s.Timeout = caddy.Duration(timeout)
	case name == "private":
		if d.CountRemainingArgs() != 0 {
			return d.Errf("%s takes no value", name)
		}
		s.Private = true
	default:
		// The name may be a word of a phrase whose first line was broken.
		return d.Err("unknown setting of wallet lnc: use pairing_phrase, mailbox, mailbox_ca, network, timeout or private")
	}
	return nil
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*Session)(nil)
