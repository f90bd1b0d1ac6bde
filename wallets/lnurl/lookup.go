package lnurl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

// LookupInvoice implements wallets.Wallet with LUD-21. It returns ErrLookupUnsupported where the
// payee's server has no such call, and also where it is not known to have it, as after a restart
// before the first invoice: then the payer has to show the preimage.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	st, err := w.lookup(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("looking up invoice of %s: %w", w.target.name, err)
	}
	return st, nil
}

func (w *Wallet) lookup(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entry, _ := w.pending.Get(hash)
	address, err := w.addressOf(ctx, hash, entry)
	if err != nil {
		return nil, err
	}
	var a verifyAnswer
	if err := w.get(ctx, httpjson.Request{URL: address}, &a); err != nil {
		if no := (*refused)(nil); errors.As(err, &no) && no.unknown() {
			return nil, fmt.Errorf("%w: the payee's server says: %s", wallets.ErrNotFound, no.reason)
		}
		if errors.Is(err, errGone) {
			return nil, fmt.Errorf("%w: %w", wallets.ErrNotFound, err)
		}
		return nil, err
	}
	st, err := w.status(hash, entry, &a)
	if err != nil {
		return nil, err
	}
	if entry != nil {
		w.keep(ctx, hash, entry, st.State == wallets.StateSettled)
	}
	return st, nil
}

// verifyAnswer is what LUD-21's address says.
type verifyAnswer struct {
	Settled  *bool  `json:"settled"`
	Preimage any    `json:"preimage"`
	PR       string `json:"pr"`
}

// status checks that an answer is about the invoice and reads it. entry is nil where nothing of
// the invoice is remembered.
func (w *Wallet) status(hash lntypes.Hash, entry *pending, a *verifyAnswer) (*wallets.Status, error) {
	if a.Settled == nil {
		return nil, fmt.Errorf("%w: it does not tell whether the invoice is settled", wallets.ErrBadAnswer)
	}
	d, err := w.decode(a.PR)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the invoice in it: %w", wallets.ErrBadAnswer, err)
	case d.PaymentHash != hash, entry != nil && d.Amount != entry.amount:
		return nil, fmt.Errorf("%w: it is about another invoice", wallets.ErrBadAnswer)
	}
	st := &wallets.Status{PaymentRequest: d.PaymentRequest}
	switch {
	case *a.Settled:
		st.State, st.AmountPaid = wallets.StateSettled, d.Amount
		// Until then it would be the proof of a payment that was not made.
		st.Preimage, err = readPreimage(a.Preimage, hash)
	case w.now().Before(d.ExpiresAt):
		st.State = wallets.StatePending
	default:
		st.State = wallets.StateExpired
	}
	return st, err
}

// readPreimage reads what may be a preimage in hex. LUD-21 has null where it is not told; other
// servers send an empty text or zeros.
func readPreimage(v any, hash lntypes.Hash) (*lntypes.Preimage, error) {
	text, ok := v.(string)
	if v != nil && !ok {
		return nil, fmt.Errorf("%w: the preimage is no text", wallets.ErrBadAnswer)
	}
	if strings.Trim(text, "0") == "" {
		return nil, nil
	}
	preimage, err := lntypes.MakePreimageFromStr(text)
	if err != nil || !preimage.Matches(hash) {
		return nil, fmt.Errorf("%w: the preimage is not the invoice's", wallets.ErrBadAnswer)
	}
	return &preimage, nil
}
