package cashu

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

// CreateInvoice implements wallets.Wallet with a mint quote (NUT-04). The expiry is the mint's own;
// the memo is left out where the mint takes none. An amount that the mint cannot do is ErrAmount.
func (w *Wallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	const step = "creating invoice"
	if err := ctx.Err(); err != nil {
		return nil, w.fail(step, err)
	}
	amount, err := w.units(req.Amount)
	if err != nil {
		return nil, w.fail(step, err)
	}
	method, err := w.minting(ctx)
	if err != nil {
		return nil, w.fail(step, err)
	}
	if amount < method.Min || method.Max > 0 && amount > method.Max {
		return nil, w.fail(step, fmt.Errorf("%w: %d %s, and the mint takes %d to %d",
			wallets.ErrAmount, amount, w.set.unit, method.Min, method.Max))
	}
	memo := ""
	if method.Description {
		memo = cut(strings.ToValidUTF8(req.Memo, "\ufffd"), wallets.MaxMemo)
	}
	p, err := w.Purse(ctx)
	if err != nil {
		return nil, w.fail(step, err)
	}
	inv, err := p.Bill(ctx, amount, memo)
	if err != nil {
		return nil, w.fail(step, err)
	}
	w.billed(inv.Quote)
	return &wallets.Invoice{
		PaymentRequest: inv.Request, PaymentHash: inv.Hash, Amount: req.Amount, ExpiresAt: inv.Expiry,
	}, nil
}

// units gives an amount in the purse's unit.
func (w *Wallet) units(amount lnwire.MilliSatoshi) (uint64, error) {
	switch {
	case amount == 0:
		return 0, fmt.Errorf("%w: nothing", wallets.ErrAmount)
	case w.set.unit == mint.UnitMsat:
		return uint64(amount), nil
	case amount%1000 != 0:
		return 0, fmt.Errorf("%w: %d msat at a mint of sat: let prices be whole satoshis, or set unit to msat "+
			"where the mint has it", wallets.ErrAmount, uint64(amount))
	}
	return uint64(amount) / 1000, nil
}

// msat gives an amount of the purse's unit.
func (w *Wallet) msat(amount uint64) lnwire.MilliSatoshi {
	if w.set.unit == mint.UnitMsat {
		return lnwire.MilliSatoshi(amount)
	}
	return lnwire.MilliSatoshi(amount * 1000) // no more than an invoice's
}

// cut shortens a text to n bytes and whole characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// LookupInvoice implements wallets.Wallet. An invoice that is paid becomes ecash on the way. The
// preimage is the payer's alone.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	const step = "looking up invoice"
	if err := ctx.Err(); err != nil {
		return nil, w.fail(step, err)
	}
	p, err := w.Purse(ctx)
	if err != nil {
		return nil, w.fail(step, err)
	}
	inv, err := p.Collect(ctx, hash)
	if errors.Is(err, purse.ErrNotFound) {
		inv, err = w.elsewhere(ctx, p, hash)
	}
	if err != nil && (inv == nil || !inv.Paid) {
		return nil, w.fail(step, err)
	}
	st := &wallets.Status{State: wallets.StatePending, PaymentRequest: inv.Request}
	switch {
	case inv.Paid:
		if err != nil {
			// The payer is served; the ecash comes with a later try.
			w.vault.Logger().Warn("ecash for a paid invoice could not be made yet", zap.Error(w.fail(step, err)))
		}
		st.State, st.AmountPaid, st.SettledAt = wallets.StateSettled, w.msat(inv.Amount), inv.SettledAt
	case !w.now().Before(inv.Expiry):
		st.State = wallets.StateExpired
	}
	return st, nil
}
