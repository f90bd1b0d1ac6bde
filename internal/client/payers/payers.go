// Package payers opens the wallets that the command line pays with.
//
// A wallet is named by a short text, scheme:address?setting=value&…, such as
//
//	sandbox:localhost:2019
//	lnd:127.0.0.1:10009?macaroon=/path/admin.macaroon&tls_cert=/path/tls.cert
//
// The scheme is the name of a wallet adapter and the settings are those that the adapter has in
// Caddy's JSON. Other users of a machine can read a command line, so secrets are refused there;
// they come as paths, as placeholders like {env.NAME}, or in a text from a file or the environment.
package payers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-l402/caddy-l402/internal/client"
)

// MaxSpec is the greatest length of a wallet's text in bytes.
const MaxSpec = 16 << 10

// ErrSpec says that a wallet's text cannot be used. The error never repeats the text's settings.
var ErrSpec = errors.New("wallet not usable")

// Opened is a wallet ready to pay. Close gives back what it holds.
type Opened struct {
	client.Wallet
	io.Closer
	// Ecash is the wallet's purse where it has one.
	Ecash client.Ecash
	// Name says in a few words who pays, without secrets.
	Name string
}

// Spec is a wallet's text, taken apart.
type Spec struct {
	// Scheme is the adapter's name.
	Scheme string
	// Address stands behind the scheme; it may be empty.
	Address string
	// Settings are the adapter's own.
	Settings url.Values
}

// payer is a kind of wallet that can pay. Another adapter is one more line in payers.
type payer struct {
	open func(context.Context, Spec) (*Opened, error)
	// secrets are the settings that must not stand on a command line; "address" means what
	// stands behind the scheme.
	secrets []string
	// usage is an example.
	usage string
}

// payers are the wallets by scheme.
var payers = map[string]payer{
	"sandbox": {open: openSandbox, usage: "sandbox:localhost:2019"},
	"lnd": {
		open: openModule("address"), secrets: []string{"macaroon_hex", "proxy"},
		usage: "lnd:127.0.0.1:10009?macaroon=/path/admin.macaroon&tls_cert=/path/tls.cert",
	},
	"cashu": {open: openCashu, usage: "cashu:https://mint.example.com"},
	"cln": {
		open: openModule("address"), secrets: []string{"rune"},
		usage: "cln:/path/lightning-rpc",
	},
	"eclair": {
		open: openModule("address"), secrets: []string{"password"},
		usage: "eclair:http://127.0.0.1:8080?password_file=/path/password",
	},
	"lnbits": {
		open: openModule("address"), secrets: []string{"key"},
		usage: "lnbits:https://host?key_file=/path/admin.key",
	},
	"nwc": {
		open: openModule("uri"), secrets: []string{"address", "uri"},
		usage: "nwc:{env.NWC}",
	},
	"phoenixd": {
		open: openModule("address"), secrets: []string{"password"},
		usage: "phoenixd:http://127.0.0.1:9740?password_file=/path/password",
	},
}

// Usages lists an example for each kind of wallet, in alphabetical order.
func Usages() []string {
	var all []string
	for _, p := range payers {
		all = append(all, p.usage)
	}
	slices.Sort(all)
	return all
}

// Parse reads a wallet's text. public says that others may have seen it, as on a command line: then
// secrets in it are refused.
func Parse(text string, public bool) (Spec, error) {
	text = strings.TrimSpace(text)
	if len(text) > MaxSpec {
		return Spec{}, fmt.Errorf("%w: its text is longer than %d bytes", ErrSpec, MaxSpec)
	}
	head, query, _ := strings.Cut(text, "?")
	scheme, address, _ := strings.Cut(head, ":")
	scheme = strings.ToLower(scheme)
	kind, ok := payers[scheme]
	if !ok {
		return Spec{}, fmt.Errorf("%w: it must begin with a kind of wallet that can pay; examples: %s",
			ErrSpec, strings.Join(Usages(), ", "))
	}
	settings, err := parseSettings(query)
	if err != nil {
		return Spec{}, fmt.Errorf("%w: %w; example: %s", ErrSpec, err, kind.usage)
	}
	spec := Spec{Scheme: scheme, Address: strings.TrimPrefix(address, "//"), Settings: settings}
	if public {
		if err := spec.checkPublic(kind.secrets); err != nil {
			return Spec{}, fmt.Errorf("%w: %w", ErrSpec, err)
		}
	}
	return spec, nil
}

// parseSettings reads name=value pairs. Unlike in a query "+" means itself, as it occurs in base64;
// percent escapes are undone.
func parseSettings(query string) (url.Values, error) {
	settings := url.Values{}
	if query == "" {
		return settings, nil
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, errors.New("its settings must have the form name=value, separated by &")
		}
		unescaped, err := url.PathUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("its setting %.40q has a wrong percent escape", name)
		}
		if settings.Has(name) {
			return nil, fmt.Errorf("its setting %.40q is given twice", name)
		}
		settings.Set(name, unescaped)
	}
	return settings, nil
}

// checkPublic refuses secrets in clear. A placeholder only says where the secret is.
func (s Spec) checkPublic(secrets []string) error {
	for _, name := range secrets {
		value := s.Settings.Get(name)
		if name == "address" {
			value = s.Address
		}
		placeholder := strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}")
		harmlessProxy := name == "proxy" && !strings.Contains(value, "@")
		if value != "" && !placeholder && !harmlessProxy {
			return fmt.Errorf("its setting %s is a secret, and others can read a command line: write "+
				"%s={env.NAME}, or put the whole text into the variable %s or a file", name, name, EnvWallet)
		}
	}
	return nil
}

// EnvWallet is the environment variable that may hold a wallet's text.
const EnvWallet = "L402_WALLET"

// Open opens the wallet. It connects no sooner than at the first payment.
func Open(ctx context.Context, spec Spec) (*Opened, error) {
	opened, err := payers[spec.Scheme].open(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("opening wallet %s: %w: %w", spec.Scheme, ErrSpec, err)
	}
	return opened, nil
}
