package caddyl402

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// walletFacts is how a wallet does.
type walletFacts struct {
	Name    string          `json:"name"`
	Adapter string          `json:"adapter"`
	Network wallets.Network `json:"network"`
	Default bool            `json:"default"`
	// Healthy is false while the wallet is left alone after failures; absent for a wallet that
	// each request fills in.
	Healthy *bool `json:"healthy,omitempty"`
	// Premade is how many invoices are ready.
	Premade int `json:"premade"`
}

// offerFacts is what the configuration sells.
type offerFacts struct {
	Service      string   `json:"service"`
	Tier         uint8    `json:"tier"`
	Capabilities []string `json:"capabilities,omitempty"`
	PriceMsat    uint64   `json:"price_msat"` // zero where it depends on the request
	Price        string   `json:"price"`      // in words
	Wallet       string   `json:"wallet"`
	Terms        string   `json:"terms"`
	Scope        string   `json:"scope"`
}

// adminStatus tells how the running configuration does.
func (a *App) adminStatus(r *http.Request) (any, error) {
	status := struct {
		Wallets     []walletFacts `json:"wallets"`
		Tenants     int           `json:"open_tenant_wallets"`
		Offers      []offerFacts  `json:"offers"`
		Keys        []keyAge      `json:"keys"`
		Ledger      *ledger.Stats `json:"ledger,omitempty"`
		LedgerError string        `json:"ledger_error,omitempty"`
		// Accounts are the budgets for buying from upstreams.
		Accounts      []accountFacts `json:"upstream_budgets,omitempty"`
		AccountsError string         `json:"upstream_budgets_error,omitempty"`
	}{Wallets: []walletFacts{}, Offers: []offerFacts{}, Keys: []keyAge{}, Tenants: a.tenants.count()}
	for name, w := range a.open {
		facts := walletFacts{Name: name, Adapter: adapterOf(w.guest), Network: w.guest.Network(), Default: name == a.DefaultWallet}
		if w.cashier != nil {
			healthy := w.cashier.Healthy()
			facts.Healthy, facts.Premade = &healthy, w.cashier.Premade()
		}
		status.Wallets = append(status.Wallets, facts)
	}
	slices.SortFunc(status.Wallets, func(x, y walletFacts) int { return strings.Compare(x.Name, y.Name) })
	a.mu.Lock()
	for _, place := range a.offers {
		for _, o := range append([]terms{place.terms}, place.more...) {
			facts := offerFacts{
				Service: o.Service, Tier: o.Tier, Capabilities: o.Capabilities, PriceMsat: uint64(o.Price), Price: o.price(),
				Wallet: o.Wallet, Terms: o.bought(), Scope: o.Scope,
			}
			if o.Tariff != "" {
				facts.PriceMsat = 0
			}
			status.Offers = append(status.Offers, facts)
		}
	}
	a.mu.Unlock()
	for i, key := range a.keys.Keys() {
		age := keyAge{ID: key.ID.String(), Minting: i == 0}
		if !key.Created.IsZero() {
			age.Seconds = int64(time.Since(key.Created).Seconds())
		}
		status.Keys = append(status.Keys, age)
	}
	if book := a.books.Ledger(); book != nil {
		stats := book.Stats()
		status.Ledger = &stats
	} else {
		status.LedgerError = "the ledger is not open: storage does not work"
	}
	var err error
	if status.Accounts, err = a.accounts(r.Context()); err != nil {
		a.logger.Warn("accounts of upstream purchases cannot be read", zap.Error(err))
		status.AccountsError = "the accounts cannot be read: storage does not work"
	}
	return status, nil
}

type keyAge struct {
	ID      string `json:"id"`
	Minting bool   `json:"minting"`
	Seconds int64  `json:"age_seconds,omitempty"`
}

// adapterOf is the name of a wallet's module.
func adapterOf(guest wallets.Guest) string {
	if module, ok := guest.(caddy.Module); ok {
		return module.CaddyModule().ID.Name()
	}
	return ""
}
