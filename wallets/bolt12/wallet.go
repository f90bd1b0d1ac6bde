package bolt12

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln"
)

const (
	// maxAmount is all bitcoin there is.
	maxAmount = lnwire.MilliSatoshi(21_000_000 * 100_000_000 * 1000)
	// maxFetches bounds the invoices being fetched at once. An issuer that does not answer
	// must not fill the node with requests.
	maxFetches = 64
	// maxRecent is how many of the latest payment hashes are remembered at least.
	maxRecent = 4096
)

// Wallet fetches invoices for a BOLT 12 offer at a Core Lightning node. It implements
// wallets.Wallet, Subscriber, Pinger, Describer and Payee, and is safe for concurrent use. It
// connects when it is first used.
type Wallet struct {
	node  *cln.Client
	offer *offer
	// timeout is how long a fetch may take.
	timeout atomic.Int64
	slots   chan struct{}
	recent  recent
	// own is set once the node turned out to know the offer's invoices.
	own atomic.Bool
	now func() time.Time
}

func newWallet(node *cln.Client, g *Guest) *Wallet {
	w := &Wallet{node: node, offer: g.offer, slots: make(chan struct{}, maxFetches), now: time.Now}
	w.timeout.Store(int64(g.fetchTimeout()))
	return w
}

// Reconfigure takes the time-outs and the node's changeable settings from a Guest; anything else
// it ignores. The other settings are part of the identity.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	if g, ok := g.(*Guest); ok && g.CLN != nil {
		w.timeout.Store(int64(g.fetchTimeout()))
		w.node.Configure(g.CLN.Options())
	}
}

// Close ends all calls and subscriptions. Later calls fail with net.ErrClosed.
func (w *Wallet) Close() error { return w.node.Close() }

// CreateInvoice has the node fetch an invoice for the offer and checks it against the offer and the
// request. The memo is left out: the offer has its own description. The issuer decides about the
// expiry; an invoice that expires before half the time asked for is refused. Errors are those of
// cln.Client.FetchInvoice, or wrap ErrAmount, ErrBadInvoice or, for an offer that has expired,
// cln.ErrOffer and ErrUnavailable.
func (w *Wallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	inv, err := w.create(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("creating invoice for the offer: %w", err)
	}
	w.recent.add(inv.PaymentHash)
	return inv, nil
}

func (w *Wallet) create(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	if err := w.check(req); err != nil {
		return nil, err
	}
	text, err := w.fetch(ctx, req.Amount)
	if err != nil {
		return nil, err
	}
	d, err := wallets.DecodeInvoice(text)
	if err != nil {
		return nil, err
	}
	if err := w.offer.match(d); err != nil {
		return nil, fmt.Errorf("%w: %w", wallets.ErrBadInvoice, err)
	}
	inv := &wallets.Invoice{PaymentRequest: d.PaymentRequest, PaymentHash: d.PaymentHash, Offer: w.offer.text}
	if err := wallets.CheckInvoice(w.node.Network(), req, inv, w.now(), nil); err != nil {
		return nil, err
	}
	return inv, nil
}

func (w *Wallet) check(req wallets.InvoiceRequest) error {
	switch {
	case req.Amount == 0:
		return fmt.Errorf("%w: it must be more than 0 msat", wallets.ErrAmount)
	case req.Amount > maxAmount:
		return fmt.Errorf("%w: %d msat is more than all bitcoin", wallets.ErrAmount, uint64(req.Amount))
	case req.Amount < w.offer.amount:
		return fmt.Errorf("%w: %d msat is less than the offer's %d msat: make an offer for amount any",
			wallets.ErrAmount, uint64(req.Amount), uint64(w.offer.amount))
	case w.offer.expired(w.now()):
		return fmt.Errorf("%w: %w: it expired at %s: make a new one",
			wallets.ErrUnavailable, cln.ErrOffer, w.offer.expiry.UTC().Format(time.RFC3339))
	}
	return nil
}

// fetch has the node fetch an invoice, when there is a place for one more.
func (w *Wallet) fetch(ctx context.Context, amount lnwire.MilliSatoshi) (string, error) {
	wait := time.Duration(w.timeout.Load())
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return "", ctx.Err()
	case <-timer.C:
		return "", fmt.Errorf("%w: %d others are being fetched", wallets.ErrUnavailable, maxFetches)
	}
	return w.node.FetchInvoice(ctx, w.offer.text, amount, wait)
}

// LookupInvoice asks the node, which knows the invoices of its own offers. For an invoice that this
// wallet made of another node's offer it returns ErrLookupUnsupported.
func (w *Wallet) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	st, err := w.node.LookupInvoice(ctx, hash)
	mine := w.recent.has(hash)
	switch {
	case err == nil && mine:
		w.own.Store(true)
	case errors.Is(err, wallets.ErrNotFound) && mine && !w.own.Load():
		return nil, fmt.Errorf("looking up invoice: %w: the offer is another node's than the one that fetches",
			wallets.ErrLookupUnsupported)
	}
	return st, err
}

// SubscribeSettlements follows the settlements at the node, as cln.Client does. Those of another
// node's offer are not among them.
func (w *Wallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	return w.node.SubscribeSettlements(ctx, cursor, found)
}

// Ping asks the node for an invoice that cannot be there. It asks nothing of the offer's issuer.
func (w *Wallet) Ping(ctx context.Context) error { return w.node.Ping(ctx) }

// Permissions lists what the node's rune allows.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) { return w.node.Permissions(ctx) }

// Payee is the key that the offer's invoices are signed by, or nil where the offer leaves several.
func (w *Wallet) Payee() *[33]byte {
	if len(w.offer.signers) != 1 {
		return nil
	}
	key := w.offer.signers[0]
	return &key
}

// recent remembers the latest payment hashes in bounded memory. The zero value is ready.
type recent struct {
	mu sync.Mutex
	// Two generations: when the young one is full it becomes the old one.
	young, old map[lntypes.Hash]struct{}
}

func (r *recent) add(hash lntypes.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || len(r.young) >= maxRecent {
		r.old, r.young = r.young, make(map[lntypes.Hash]struct{})
	}
	r.young[hash] = struct{}{}
}

func (r *recent) has(hash lntypes.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, young := r.young[hash]
	_, old := r.old[hash]
	return young || old
}

// Interface guards.
var (
	_ wallets.Wallet       = (*Wallet)(nil)
	_ wallets.Subscriber   = (*Wallet)(nil)
	_ wallets.Pinger       = (*Wallet)(nil)
	_ wallets.Describer    = (*Wallet)(nil)
	_ wallets.Payee        = (*Wallet)(nil)
	_ wallets.Reconfigurer = (*Wallet)(nil)
	_ io.Closer            = (*Wallet)(nil)
)
