package wallets

import (
	"fmt"

	"github.com/btcsuite/btcd/chaincfg"
)

// Network is a Bitcoin chain, by the name that the configuration uses. The empty Network is
// Mainnet.
type Network string

// The chains that invoices can be for.
const (
	Mainnet Network = "mainnet"
	Testnet Network = "testnet"
	Signet  Network = "signet"
	Regtest Network = "regtest"
)

// ParseNetwork reads a network's name; the empty name is Mainnet.
func ParseNetwork(s string) (Network, error) {
	n := Network(s)
	if n == "" {
		n = Mainnet
	}
	if n.Params() == nil {
		return "", fmt.Errorf("unknown network %q: use mainnet, testnet, signet or regtest", s)
	}
	return n, nil
}

// Params gives the chain's parameters for decoding invoices, or nil for an unknown name.
func (n Network) Params() *chaincfg.Params {
	switch n {
	case Mainnet, "":
		return &chaincfg.MainNetParams
	case Testnet:
		return &chaincfg.TestNet3Params
	case Signet:
		return &chaincfg.SigNetParams
	case Regtest:
		return &chaincfg.RegressionNetParams
	}
	return nil
}

// IsRealMoney tells whether coins of this chain have a price.
func (n Network) IsRealMoney() bool { return n == Mainnet || n == "" }
