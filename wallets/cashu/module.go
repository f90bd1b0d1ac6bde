package cashu

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
)

func init() {
	caddy.RegisterModule(new(Mint))
}

const maxTimeout = 10 * time.Minute

// Mint is a wallet at a Cashu mint. The mint makes the invoices; what is paid becomes ecash that is
// kept in Caddy's storage. Whoever can read that storage, or has the seed, has the money.
//
// Texts may hold placeholders such as `{env.SEED}`, which are replaced when the configuration is
// loaded.
type Mint struct {
	// MintURL is the mint's address, such as `https://mint.example.com`. Plain http is allowed
	// for this machine and for onion services only.
	MintURL string `json:"mint,omitempty"`

	// Unit is the unit of the ecash: `sat` (the default) or `msat`. At a mint of `sat` every
	// price must be whole satoshis.
	Unit string `json:"unit,omitempty"`

	// Seed holds the 12 to 24 words (BIP 39) that the ecash is made from (NUT-13). Without it
	// words are generated and kept in Caddy's storage. A seed must not be used by any other
	// wallet.
	Seed string `json:"seed,omitempty"`

	// NetworkName is the chain of the mint's invoices: `mainnet` (the default), `testnet`,
	// `signet` or `regtest`. Invoices for another chain are refused.
	NetworkName string `json:"network,omitempty"`

	// Timeout bounds each call to the mint. The default is 10 seconds.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	set settings
}

// settings are what Provision makes of the configuration.
type settings struct {
	url     string // in its normal form
	unit    string
	seed    string // empty where it is kept in storage
	network wallets.Network
	timeout time.Duration
}

// name tells purses apart that have the mint and the unit in common.
func (s *settings) name() string {
	name := "wallet " + string(s.network)
	if s.seed != "" {
		sum := sha256.Sum256([]byte(s.seed))
		name += " " + hex.EncodeToString(sum[:8])
	}
	return name
}

// CaddyModule tells Caddy of the module.
func (*Mint) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "l402.wallets.cashu",
		New: func() caddy.Module { return new(Mint) },
	}
}

// Provision replaces placeholders and checks the settings. It dials nothing. Errors name the setting
// and the cure and hold no word of the seed.
func (m *Mint) Provision(caddy.Context) error {
	if err := m.provision(); err != nil {
		return fmt.Errorf("wallet cashu: %w", err)
	}
	return nil
}

func (m *Mint) provision() error {
	repl := caddy.NewReplacer()
	values := []struct{ name, value string }{
		{"mint", m.MintURL}, {"unit", m.Unit}, {"seed", m.Seed}, {"network", m.NetworkName},
	}
	for i, v := range values {
		if v.value == "" {
			continue
		}
		replaced, err := repl.ReplaceOrErr(v.value, true, true)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		if values[i].value = strings.Join(strings.Fields(replaced), " "); values[i].value == "" {
			return fmt.Errorf("%s is empty after its placeholders were replaced", v.name)
		}
	}
	set := settings{unit: values[1].value, seed: strings.ToLower(values[2].value), timeout: time.Duration(m.Timeout)}
	if values[0].value == "" {
		return errors.New("mint is missing: give the mint's address, such as https://mint.example.com")
	}
	c, err := mint.New(mint.Config{URL: values[0].value})
	if err != nil {
		return fmt.Errorf("mint: %w", err)
	}
	set.url = c.URL()
	if err := c.Close(); err != nil {
		return fmt.Errorf("mint: %w", err)
	}
	switch set.unit {
	case "":
		set.unit = mint.UnitSat
	case mint.UnitSat, mint.UnitMsat:
	default:
		return fmt.Errorf("unit %.16q is not sat or msat, which are what Lightning is paid in", set.unit)
	}
	if set.seed != "" {
		if _, err := ecash.NewSeed(set.seed); err != nil {
			return errors.New("seed is no BIP 39 mnemonic: give its 12 to 24 English words, " +
				"or leave it out to have one generated")
		}
	}
	if set.network, err = wallets.ParseNetwork(values[3].value); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if set.timeout < 0 || set.timeout > maxTimeout {
		return fmt.Errorf("timeout %s is not between 0 and %s", set.timeout, maxTimeout)
	}
	m.set = set
	return nil
}

// Identity is the mint with the unit and the seed. It holds a secret.
func (m *Mint) Identity() string {
	return strings.Join([]string{"cashu", m.set.url, m.set.unit, m.set.seed}, "\x00")
}

// PayeeName implements wallets.Named: it is the purse at the mint.
func (m *Mint) PayeeName() string { return m.Identity() }

// Address is the address of the mint in its normal form, once the settings are checked.
func (m *Mint) Address() string { return m.set.url }

// HasSeed tells whether the wallet was given these words (BIP 39) as its seed. It is false for a wallet
// whose seed is kept in storage.
func (m *Mint) HasSeed(words string) bool {
	words = strings.ToLower(strings.Join(strings.Fields(words), " "))
	return m.set.seed != "" && subtle.ConstantTimeCompare([]byte(words), []byte(m.set.seed)) == 1
}

// Network is the chain of the mint's invoices.
func (m *Mint) Network() wallets.Network { return m.set.network }

// Open makes the wallet, a *Wallet, which connects at its first call. Its env must be a
// wallets.Vault.
func (m *Mint) Open(env wallets.Env) (wallets.Wallet, error) {
	vault, ok := env.(wallets.Vault)
	switch {
	case m.set.url == "":
		return nil, errors.New("opening wallet cashu: it was not provisioned")
	case !ok:
		return nil, errors.New("opening wallet cashu: its money needs a storage, and there is none here")
	}
	w, err := newWallet(m.set, vault)
	if err != nil {
		return nil, fmt.Errorf("opening wallet cashu: %w", err)
	}
	return w, nil
}

// Interface guards.
var (
	_ caddy.Module      = (*Mint)(nil)
	_ caddy.Provisioner = (*Mint)(nil)
	_ wallets.Guest     = (*Mint)(nil)
	_ wallets.Named     = (*Mint)(nil)
)
