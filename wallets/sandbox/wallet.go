package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/bolt11"
)

// maxAmount is all bitcoin there is, in millisatoshi.
const maxAmount lnwire.MilliSatoshi = 21_000_000 * 100_000_000 * 1000

// maxExpiry is the longest life of an invoice. A longer one says nothing more and overflows in
// sums of times.
const maxExpiry = 10 * 365 * 24 * time.Hour

// Wallet makes invoices and pays them itself. It is safe for concurrent use and holds nothing
// that must be closed.
type Wallet struct {
	env  wallets.Env
	key  *btcec.PrivateKey
	now  func() time.Time
	rand io.Reader

	warn  sync.Once
	books *books
}

func newWallet(env wallets.Env) (*Wallet, error) {
	key, err := btcec.NewPrivateKey()
	if err != nil {
		return nil, fmt.Errorf("making the sandbox's key: %w", err)
	}
	w := &Wallet{env: env, key: key, now: time.Now, rand: rand.Reader}
	if w.books, err = newBooks(w.rand); err != nil {
		return nil, err
	}
	return w, nil
}

// CreateInvoice implements wallets.Wallet. When 65,536 invoices are open, the one that expires
// first is forgotten.
func (w *Wallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	inv, err := w.create(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("creating sandbox invoice: %w", err)
	}
	return inv, nil
}

func (w *Wallet) create(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkRequest(req); err != nil {
		return nil, err
	}
	w.warn.Do(func() {
		w.env.Logger().Warn("the sandbox wallet is in use: its invoices are paid for nothing and are not money")
	})
	var preimage lntypes.Preimage
	terms := bolt11.Terms{
		Params: wallets.Regtest.Params(), Amount: req.Amount, Memo: req.Memo,
	}
	// The preimage and the payment secret are drawn apart, so that neither tells of the other.
	for _, b := range [][]byte{preimage[:], terms.PaymentAddr[:]} {
		if _, err := io.ReadFull(w.rand, b); err != nil {
			return nil, fmt.Errorf("drawing random bytes: %w", err)
		}
	}
	hash := preimage.Hash()
	terms.PaymentHash = hash
	// Invoices count in whole seconds; what the truncation takes off the start is added to the
	// life, so that it is never shorter than asked.
	now := w.now()
	terms.Timestamp = now.Truncate(time.Second)
	terms.Expiry = (now.Sub(terms.Timestamp) + req.Expiry + time.Second - 1).Truncate(time.Second)
	text, err := bolt11.Sign(w.key, terms)
	if err != nil {
		return nil, err
	}
	inv := &wallets.Invoice{
		PaymentRequest: text, PaymentHash: hash, Amount: req.Amount,
		ExpiresAt: terms.Timestamp.Add(terms.Expiry),
	}
	w.books.add(now, &entry{hash: hash, preimage: preimage, amount: req.Amount, expires: inv.ExpiresAt})
	return inv, nil
}

func checkRequest(req wallets.InvoiceRequest) error {
	switch {
	case req.Amount == 0 || req.Amount > maxAmount:
		return fmt.Errorf("%d msat: %w", uint64(req.Amount), wallets.ErrAmount)
	case len(req.Memo) > wallets.MaxMemo:
		return fmt.Errorf("memo has %d bytes, more than %d", len(req.Memo), wallets.MaxMemo)
	case !utf8.ValidString(req.Memo):
		return errors.New("memo is not UTF-8")
	case req.Expiry < time.Second || req.Expiry > maxExpiry:
		return fmt.Errorf("expiry %s is not between one second and ten years", req.Expiry)
	}
	return nil
}

// LookupInvoice implements wallets.Wallet.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("looking up sandbox invoice: %w", err)
	}
	st, ok := w.books.status(w.now(), hash)
	if !ok {
		return nil, fmt.Errorf("looking up sandbox invoice: %w", wallets.ErrNotFound)
	}
	return st, nil
}

// PayWithFee implements wallets.FeePayer: there is no fee.
func (w *Wallet) PayWithFee(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, lnwire.MilliSatoshi, error) {
	preimage, err := w.Pay(ctx, invoice, maxFee)
	return preimage, 0, err
}

// Pay implements wallets.Payer for this sandbox's own invoices; maxFee is not needed, since no
// fee arises. Paying a second time gives the same preimage. Errors wrap ErrBadInvoice for what
// is no regtest invoice, ErrNotFound for one that this sandbox did not make since it was started
// or has forgotten, and ErrPaymentFailed for an expired one.
func (w *Wallet) Pay(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	preimage, err := w.pay(ctx, invoice)
	if err != nil {
		return lntypes.Preimage{}, fmt.Errorf("paying in the sandbox: %w", err)
	}
	return preimage, nil
}

func (w *Wallet) pay(ctx context.Context, invoice string) (lntypes.Preimage, error) {
	if err := ctx.Err(); err != nil {
		return lntypes.Preimage{}, err
	}
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		return lntypes.Preimage{}, err
	}
	if d.Network != wallets.Regtest {
		return lntypes.Preimage{}, fmt.Errorf("%w: it is for %s, and the sandbox pays regtest only",
			wallets.ErrBadInvoice, d.Network)
	}
	// Decoding verified the signature, so the payee's key proves whose invoice it is.
	if d.Payee != [33]byte(w.key.PubKey().SerializeCompressed()) {
		return lntypes.Preimage{}, fmt.Errorf("%w: it was not made by this sandbox since it was started; "+
			"ask the gate for a fresh one", wallets.ErrNotFound)
	}
	return w.books.settle(w.now(), d.PaymentHash)
}

// Ping implements wallets.Pinger.
func (w *Wallet) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("pinging the sandbox: %w", err)
	}
	return nil
}

// Permissions implements wallets.Describer.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("asking the sandbox for permissions: %w", err)
	}
	return []string{"make invoices", "look up invoices", "pay own invoices without money"}, nil
}

var (
	_ wallets.Wallet    = (*Wallet)(nil)
	_ wallets.Payer     = (*Wallet)(nil)
	_ wallets.FeePayer  = (*Wallet)(nil)
	_ wallets.Pinger    = (*Wallet)(nil)
	_ wallets.Describer = (*Wallet)(nil)
)
