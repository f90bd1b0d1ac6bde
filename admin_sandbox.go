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
	var refused error
	for _, w := range a.open {
		if w.cashier == nil {
			continue
		}
		wallet, ok := w.cashier.Wallet().(*sandbox.Wallet)
		if !ok {
			continue
		}
		preimage, err := wallet.Pay(r.Context(), body.Invoice, 0)
		if err == nil {
			return map[string]any{"preimage": preimage.String()}, nil
		}
		// Of several sandboxes the one that made the invoice says what is wrong with it.
		if refused == nil || !errors.Is(err, wallets.ErrNotFound) {
			refused = err
		}
	}
	switch {
	case refused == nil:
		return nil, adminError(http.StatusNotFound, errors.New("no sandbox wallet is declared: only a sandbox's invoices can be paid here"))
	case errors.Is(refused, wallets.ErrNotFound):
		return nil, adminError(http.StatusNotFound, errors.New("no sandbox wallet of this process made this invoice"))
	}
	return nil, adminError(http.StatusBadRequest, refused)
}
