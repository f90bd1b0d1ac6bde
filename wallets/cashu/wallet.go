package cashu

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

const (
	// grace is for how long after its end an unpaid invoice is asked for. Lightning takes no
	// payment of an expired invoice, but one may have begun before.
	grace = 10 * time.Minute
	// resumeEvery is how often operations that are open are gone on with.
	resumeEvery = 2 * time.Second
)

// Wallet is a purse at a mint. It implements wallets.Wallet, Subscriber, Payer, Pinger, Describer and
// Reconfigurer and is safe for concurrent use. It connects when it is first used.
type Wallet struct {
	set   settings
	vault wallets.Vault
	mint  *mint.Client
	now   func() time.Time
	every time.Duration
	// many is how many small proofs are swapped for few great ones: no payment takes more than
	// token.MaxProofs, and the record of each invoice stays as long as its proofs do.
	many int

	purse atomic.Pointer[purse.Purse]
	// opening holds a token for the one who opens the purse.
	opening chan struct{}

	// life ends with Close.
	life context.Context
	end  context.CancelFunc

	mu        sync.Mutex
	listeners map[*listener]struct{}
}

func newWallet(set settings, vault wallets.Vault) (*Wallet, error) {
	c, err := mint.New(mint.Config{URL: set.url, Timeout: set.timeout})
	if err != nil {
		return nil, err
	}
	w := &Wallet{
		set: set, vault: vault, mint: c, now: time.Now, every: resumeEvery, many: 2 * token.MaxProofs,
		opening: make(chan struct{}, 1), listeners: make(map[*listener]struct{}),
	}
	w.life, w.end = context.WithCancel(context.Background())
	return w, nil
}

// Reconfigure implements wallets.Reconfigurer for timeout.
func (w *Wallet) Reconfigure(g wallets.Guest) {
	if m, ok := g.(*Mint); ok && m.set.url != "" {
		w.mint.SetTimeout(m.set.timeout)
	}
}

// Close ends all calls and subscriptions. What is in the purse stays in storage.
func (w *Wallet) Close() error {
	w.end()
	return w.mint.Close()
}

// fail names mint and step and wraps the sentinel of package wallets that fits.
func (w *Wallet) fail(step string, err error) error {
	also := func(sentinel error) error {
		if errors.Is(err, sentinel) {
			return err
		}
		return fmt.Errorf("%w: %w", sentinel, err)
	}
	switch {
	case errors.Is(err, purse.ErrStore), errors.Is(err, mint.ErrDisabled):
		err = also(wallets.ErrUnavailable)
	case errors.Is(err, purse.ErrBills):
		err = also(wallets.ErrRateLimited)
	case errors.Is(err, mint.ErrLimit), errors.Is(err, token.ErrAmount):
		err = also(wallets.ErrAmount)
	case errors.Is(err, purse.ErrNotFound):
		err = also(wallets.ErrNotFound)
	case errors.Is(err, mint.ErrUnsupported):
		err = fmt.Errorf("%w: is this the address of a mint?", also(wallets.ErrBadAnswer))
	case errors.Is(err, mint.ErrNoKeyset):
		err = fmt.Errorf("%w: set unit to one that the mint has", also(wallets.ErrBadAnswer))
	}
	return fmt.Errorf("%s at mint %s: %w", step, w.mint.URL(), err)
}

// minting tells how the mint sells ecash of the unit.
func (w *Wallet) minting(ctx context.Context) (mint.MintMethod, error) {
	info, err := w.mint.Info(ctx)
	if err != nil {
		return mint.MintMethod{}, err
	}
	method, ok := info.Minting(w.set.unit)
	if !ok {
		return method, fmt.Errorf("%w: it makes no ecash of %s for Lightning payments at present",
			wallets.ErrUnavailable, w.set.unit)
	}
	return method, nil
}

// Ping implements wallets.Pinger: it asks for the mint's keys and opens the purse.
func (w *Wallet) Ping(ctx context.Context) error {
	const step = "pinging"
	if err := w.mint.Refresh(ctx); err != nil {
		return w.fail(step, err)
	}
	if _, err := w.mint.Active(ctx, w.set.unit); err != nil {
		return w.fail(step, err)
	}
	if _, err := w.Purse(ctx); err != nil {
		return w.fail(step, err)
	}
	return nil
}

// Permissions implements wallets.Describer. There is no credential, so it tells what the mint does
// and what the purse has.
func (w *Wallet) Permissions(ctx context.Context) ([]string, error) {
	const step = "asking for permissions"
	method, err := w.minting(ctx)
	if err != nil {
		return nil, w.fail(step, err)
	}
	p, err := w.Purse(ctx)
	if err != nil {
		return nil, w.fail(step, err)
	}
	bounds := "of any amount"
	switch least, most := strconv.FormatUint(method.Min, 10), strconv.FormatUint(method.Max, 10); {
	case method.Min > 0 && method.Max > 0:
		bounds = "over " + least + " to " + most + " " + w.set.unit
	case method.Max > 0:
		bounds = "over up to " + most + " " + w.set.unit
	case method.Min > 0:
		bounds = "over at least " + least + " " + w.set.unit
	}
	words := []string{"make invoices " + bounds, "look up invoices"}
	if info, err := w.mint.Info(ctx); err == nil && info.Watches(w.set.unit) {
		words = append(words, "tell of payments as they happen (NUT-17)")
	}
	b := p.Balance()
	words = append(words, fmt.Sprintf("spend the ecash: %d %s available, %d in payments", b.Available, w.set.unit, b.Reserved))
	return words, nil
}

// Interface guards.
var (
	_ wallets.Wallet       = (*Wallet)(nil)
	_ wallets.Subscriber   = (*Wallet)(nil)
	_ wallets.FeePayer     = (*Wallet)(nil)
	_ wallets.Pinger       = (*Wallet)(nil)
	_ wallets.Describer    = (*Wallet)(nil)
	_ wallets.Reconfigurer = (*Wallet)(nil)
)
