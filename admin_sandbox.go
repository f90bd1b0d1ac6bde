package caddyl402

import (
	"errors"
	"net/http"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

// adminSandboxPay pays an invoice of a sandbox wallet of this process.
func (a *App) adminSandboxPay(r *http.Request) (any, error) {
	var body struct {
		Invoice string `json:"invoice"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	found := false
	for _, w := range a.open {
		wallet, ok := w.cashier.Wallet().(*sandbox.Wallet)
		if !ok {
			continue
		}
		found = true
		preimage, err := wallet.Pay(r.Context(), body.Invoice, 0)
		if errors.Is(err, wallets.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, adminError(http.StatusBadRequest, err)
		}
		return map[string]any{"preimage": preimage.String()}, nil
	}
	if !found {
		return nil, adminError(http.StatusNotFound, errors.New("no sandbox wallet is declared: only a sandbox's invoices can be paid here"))
	}
	return nil, adminError(http.StatusNotFound, errors.New("no sandbox wallet of this process made this invoice"))
}
