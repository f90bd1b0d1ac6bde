package nwc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/nbd-wtf/go-nostr"
)

const (
	uriScheme = "nostr+walletconnect:"
	// maxURI and maxRelays bound what a connection URI may hold.
	maxURI    = 4096
	maxRelays = 8
)

// Connection is what a connection URI of NIP-47 says. It never prints its secret.
type Connection struct {
	// Wallet is the wallet service's public key, 32 bytes in lower-case hex.
	Wallet string
	// Relays are the URLs where the wallet service listens, ws or wss, each once.
	Relays []string

	// secret is the private key that signs for this client, 32 bytes in lower-case hex.
	secret string
}

// String names the wallet and hides the secret.
func (c Connection) String() string {
	return fmt.Sprintf("%s//%s (%d relays, secret hidden)", uriScheme, c.Wallet, len(c.Relays))
}

// GoString is String.
func (c Connection) GoString() string { return c.String() }

// ParseURI reads a connection URI: nostr+walletconnect://<pubkey>?relay=…&secret=…. Relays may be
// escaped or not and repeated; parameters that are not needed here (lud16 and others) are ignored.
// Errors name the part that is wrong and hold nothing of the URI.
func ParseURI(text string) (*Connection, error) {
	switch {
	case text == "":
		return nil, errors.New("uri is missing: give the nostr+walletconnect:// URI that the wallet shows for a new connection")
	case len(text) > maxURI:
		return nil, fmt.Errorf("uri is longer than %d bytes", maxURI)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("uri holds blanks, control or non-ASCII characters: paste it again, without line breaks")
	case len(text) < len(uriScheme) || !strings.EqualFold(text[:len(uriScheme)], uriScheme):
		return nil, errors.New("uri does not begin with nostr+walletconnect://")
	}
	rest := strings.TrimPrefix(text[len(uriScheme):], "//")
	wallet, query, _ := strings.Cut(rest, "?")
	c := &Connection{Wallet: strings.ToLower(strings.TrimSuffix(wallet, "/"))}
	if len(c.Wallet) != 64 || !nostr.IsValidPublicKey(c.Wallet) {
		return nil, errors.New("uri: what stands before '?' is no public key of 64 hex digits")
	}
	query, _, _ = strings.Cut(query, "#")
	for pair := range strings.SplitSeq(query, "&") {
		if err := c.parameter(pair); err != nil {
			return nil, err
		}
	}
	switch {
	case c.secret == "":
		return nil, errors.New("uri: secret is missing: take the URI as the wallet shows it, with everything after '?'")
	case len(c.Relays) == 0:
		return nil, errors.New("uri: relay is missing: take the URI as the wallet shows it, with everything after '?'")
	}
	return c, nil
}

// parameter reads one part of the query.
func (c *Connection) parameter(pair string) error {
	name, value, _ := strings.Cut(pair, "=")
	if name != "relay" && name != "secret" {
		return nil
	}
	// A plus stands for itself, as in a path: some wallets do not escape relays at all.
	value, err := url.PathUnescape(value)
	if err != nil {
		return fmt.Errorf("uri: %s has a '%%' without two hex digits", name)
	}
	if name == "relay" {
		return c.AddRelay(value)
	}
	if c.secret != "" {
		return errors.New("uri: secret is given twice")
	}
	c.secret, err = parseSecret(value)
	return err
}

func parseSecret(value string) (string, error) {
	raw, err := hex.DecodeString(value)
	if err != nil || len(raw) != 32 {
		return "", errors.New("uri: secret is not 64 hex digits")
	}
	var key btcec.ModNScalar
	if key.SetByteSlice(raw) || key.IsZero() {
		return "", errors.New("uri: secret is no private key of secp256k1")
	}
	return strings.ToLower(value), nil
}

// AddRelay adds a relay that is not there yet. Errors do not hold its URL, which may carry a
// token.
func (c *Connection) AddRelay(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("relay is no URL: give one such as wss://relay.example.com")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	port := u.Port()
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case u.Scheme != "wss" && u.Scheme != "ws":
		return errors.New("relay does not begin with wss:// or ws://")
	case u.Hostname() == "" || u.Opaque != "":
		return errors.New("relay has no host: give one such as wss://relay.example.com")
	case port != "" && (portErr != nil || n == 0):
		return errors.New("relay has a port that is not between 1 and 65535")
	case u.User != nil:
		return errors.New("relay holds a user name, which relays do not know: remove what stands before '@'")
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "/" && u.RawQuery == "" {
		u.Path, u.RawPath = "", ""
	}
	relay := u.String()
	if slices.Contains(c.Relays, relay) {
		return nil
	}
	if len(c.Relays) >= maxRelays {
		return fmt.Errorf("more than %d relays: remove some", maxRelays)
	}
	c.Relays = append(c.Relays, relay)
	return nil
}

// hostOf gives the part of a relay's URL that may stand in errors and logs.
func hostOf(relay string) string {
	u, err := url.Parse(relay)
	if err != nil {
		return "relay"
	}
	return u.Host
}

// Interface guards.
var (
	_ fmt.Stringer   = Connection{}
	_ fmt.GoStringer = Connection{}
)
