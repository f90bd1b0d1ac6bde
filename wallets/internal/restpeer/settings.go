package restpeer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// maxTimeout is the longest time-out that the configuration may ask for.
const maxTimeout = 10 * time.Minute

// Raw is the part of an adapter's configuration that all adapters of this package share, as it
// stands there: placeholders are not replaced yet.
type Raw struct {
	// Address is the URL of the peer's API.
	Address string
	// SecretName is how the credential's setting is called, such as password.
	SecretName string
	// Secret and SecretFile give the credential, by value or by the path of a file.
	Secret, SecretFile string
	// CA is the certificate to pin, in PEM or as a path.
	CA string
	// Network is the chain's name.
	Network string
	// Timeout bounds each call.
	Timeout caddy.Duration
	// Insecure allows a plain connection to a public address.
	Insecure bool
}

// Settings are what Resolve makes of a Raw: placeholders replaced, texts parsed and checked.
type Settings struct {
	// Network is the chain that invoices must be for.
	Network wallets.Network
	// Timeout bounds each call; zero is the default.
	Timeout time.Duration

	base     *url.URL
	secret   *httpjson.Secret
	pin      *httpjson.Pin
	insecure bool
	identity string
}

// Resolve replaces placeholders and checks. kind is the adapter's name and example an address for
// the message that one is missing. It opens no file and no connection. Errors name the setting and
// the cure and hold no secret.
func Resolve(kind, example string, raw Raw) (Settings, error) {
	set := Settings{insecure: raw.Insecure, Timeout: time.Duration(raw.Timeout)}
	repl := caddy.NewReplacer()
	for _, setting := range []struct {
		name  string
		value *string
	}{
		{"address", &raw.Address}, {raw.SecretName, &raw.Secret}, {raw.SecretName + "_file", &raw.SecretFile},
		{"ca", &raw.CA}, {"network", &raw.Network},
	} {
		if *setting.value == "" {
			continue
		}
		replaced, err := repl.ReplaceOrErr(*setting.value, true, true)
		if err != nil {
			return set, fmt.Errorf("%s: %w", setting.name, err)
		}
		if *setting.value = strings.TrimSpace(replaced); *setting.value == "" {
			return set, fmt.Errorf("%s is empty after its placeholders were replaced", setting.name)
		}
	}
	if raw.Address == "" {
		return set, fmt.Errorf("address is missing: give the URL of its API, such as %s", example)
	}
	if set.Timeout < 0 || set.Timeout > maxTimeout {
		return set, fmt.Errorf("timeout %s is not between 0 and %s", set.Timeout, maxTimeout)
	}
	var err error
	if set.Network, err = wallets.ParseNetwork(raw.Network); err != nil {
		return set, fmt.Errorf("network: %w", err)
	}
	if set.base, err = httpjson.ParseBase("address", raw.Address); err != nil {
		return set, err
	}
	if set.secret, err = httpjson.NewSecret(raw.SecretName, raw.Secret, raw.SecretFile); err != nil {
		return set, err
	}
	if err := set.checkPlain(raw.SecretName); err != nil {
		return set, err
	}
	if raw.CA != "" {
		if set.base.Scheme != "https" {
			return set, errors.New("ca is for https, but address begins with http: change one of them")
		}
		if set.pin, err = httpjson.ParsePin("ca", raw.CA); err != nil {
			return set, err
		}
	}
	set.identity = strings.Join([]string{
		kind, set.base.String(), raw.Secret, raw.SecretFile, raw.CA, fmt.Sprint(raw.Insecure),
	}, "\x00")
	return set, nil
}

// checkPlain refuses a plain connection to a public address that is written as such. What a name
// stands for is checked when it is dialed.
func (s *Settings) checkPlain(secret string) error {
	if s.insecure && s.base.Scheme == "https" {
		return errors.New("insecure is for addresses that begin with http: remove it, and set ca if the " +
			"peer's certificate is its own")
	}
	if s.base.Scheme != "http" || s.insecure {
		return nil
	}
	ip, err := netip.ParseAddr(s.base.Hostname())
	if err != nil || trusted(ip) {
		return nil
	}
	return fmt.Errorf("the %s would travel in clear text to the public address %s: use https, "+
		"or set insecure if a tunnel protects the connection", secret, ip)
}

// Ready tells whether Resolve has filled the settings.
func (s *Settings) Ready() bool { return s.secret != nil }

// Identity names address and credential. It may hold the secret.
func (s *Settings) Identity() string { return s.identity }

// shared is the address space for carriers' networks (RFC 6598), which overlay networks use too.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// trusted tells the addresses that do not lead over the public internet.
func trusted(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || shared.Contains(ip)
}

// checkAddress refuses a public address, before anything is sent to it.
func checkAddress(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err == nil && trusted(ip) {
		return nil
	}
	return fmt.Errorf("the credential would travel in clear text to the public address %s: use https, "+
		"or set insecure if a tunnel protects the connection", host)
}
