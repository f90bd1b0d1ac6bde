package localpurse

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// mintKind is where the mints are written down that the purse deals with.
const mintKind = "mints"

// ErrUnknownMint says that the purse has no ecash of a mint and was not told to take it.
var ErrUnknownMint = errors.New("a mint that the purse does not know")

// Spec says what ecash is meant.
type Spec struct {
	// Mint is the mint's address.
	Mint string `json:"mint"`
	// Unit is sat or msat; empty is sat.
	Unit string `json:"unit"`
	// Network is the chain of the mint's invoices; empty is the one that was named before, or
	// mainnet.
	Network wallets.Network `json:"network"`
}

// Mint is the part of a folder that is ecash of one mint and unit. It is safe for concurrent use.
type Mint struct {
	*cashu.Wallet
	// Spec is what was asked for, complete.
	Spec   Spec
	folder *Folder
}

// Mint opens the ecash of a mint and remembers the mint. Nothing is dialed. Close ends it.
func (f *Folder) Mint(ctx context.Context, s Spec) (*Mint, error) {
	address, err := token.NormalizeMint(s.Mint)
	if err != nil {
		return nil, err
	}
	if s.Mint = address; s.Unit == "" {
		s.Unit = mint.UnitSat
	}
	known, err := f.Mints(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range known {
		if k.Mint != s.Mint || k.Unit != s.Unit {
			continue
		}
		if s.Network == "" {
			s.Network = k.Network
		}
		if s.Network != k.Network {
			return nil, fmt.Errorf("the purse has the mint %s for %s, not for %s", s.Mint, k.Network, s.Network)
		}
	}
	if s.Network == "" {
		s.Network = wallets.Mainnet
	}
	guest := &cashu.Mint{MintURL: s.Mint, Unit: s.Unit, NetworkName: string(s.Network)}
	if err := guest.Provision(caddy.Context{}); err != nil {
		return nil, err
	}
	opened, err := guest.Open(f)
	if err != nil {
		return nil, err
	}
	w, ok := opened.(*cashu.Wallet)
	if !ok {
		return nil, fmt.Errorf("the wallet %T has no purse", opened)
	}
	b, err := json.Marshal(s)
	if err == nil {
		err = f.PutDurable(ctx, mintKind, keyOf(s), b)
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return &Mint{Wallet: w, Spec: s, folder: f}, nil
}

// Mints lists the mints that the purse deals with.
func (f *Folder) Mints(ctx context.Context) ([]Spec, error) {
	list, err := f.ListDurable(ctx, mintKind)
	if err != nil {
		return nil, err
	}
	var out []Spec
	for _, d := range list {
		var s Spec
		if err := json.Unmarshal(d.Value, &s); err != nil || s.Mint == "" {
			return nil, f.fail("reading", errors.New("its list of mints is damaged"))
		}
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Mint+out[i].Unit < out[j].Mint+out[j].Unit })
	return out, nil
}

// Find completes a Spec: without an address it is the only mint that there is.
func (f *Folder) Find(ctx context.Context, s Spec) (Spec, error) {
	if s.Mint != "" {
		return s, nil
	}
	known, err := f.Mints(ctx)
	if err != nil {
		return s, err
	}
	var fits []Spec
	for _, k := range known {
		if s.Unit == "" || s.Unit == k.Unit {
			fits = append(fits, k)
		}
	}
	switch len(fits) {
	case 0:
		return s, errors.New("the purse has no mint yet: name one by its URL")
	case 1:
		return fits[0], nil
	}
	var names []string
	for _, k := range fits {
		names = append(names, k.Mint+" ("+cmp.Or(k.Unit, "sat")+")")
	}
	return s, fmt.Errorf("the purse has %d mints: name one of %s", len(fits), strings.Join(names, ", "))
}

// ready opens the purse and brings what an earlier process left to its end.
func (m *Mint) ready(ctx context.Context) (*purse.Purse, error) {
	p, err := m.Purse(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.takeBackAll(ctx, p); err != nil {
		return nil, err
	}
	if _, err := p.Resume(ctx); err != nil && !errors.Is(err, wallets.ErrUnavailable) {
		return nil, err
	}
	return p, nil
}

// Balance brings open operations to their end, where the mint answers, and tells what there is.
func (m *Mint) Balance(ctx context.Context) (purse.Balance, error) {
	p, err := m.ready(ctx)
	if err != nil {
		return purse.Balance{}, err
	}
	return p.Balance(), nil
}

// Seed gives the words that all ecash of the folder is made from, and makes them where there are
// none. Whoever has them has the money.
func (f *Folder) Seed(ctx context.Context) (string, error) { return cashu.Seed(ctx, f) }
