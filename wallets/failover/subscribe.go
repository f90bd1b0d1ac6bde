package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// SubscribeSettlements tells the settlements of all members that can tell them, one at a time and
// in the order in which they come in. Each member's host keeps its place, so that there is no
// cursor: what was settled while nobody listened is found by look-up. Errors wrap
// ErrSubscribeUnsupported where no member can tell.
func (w *Wallet) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	const step = "subscribing to settlements"
	if cursor != "" {
		return fmt.Errorf("%s: a cursor of another wallet", step)
	}
	var (
		listening sync.WaitGroup
		one       sync.Mutex
		told      bool
	)
	for _, m := range w.members {
		source, ok := m.Wallet.(wallets.Subscriber)
		if !ok {
			continue
		}
		told = true
		// Owned by this call, which waits for it; ends with ctx.
		listening.Go(func() {
			err := source.SubscribeSettlements(ctx, "", func(s wallets.Settlement) {
				// A wallet has no word in what is paid to another.
				if maker, known := w.makers.Peek(s.PaymentHash); known && maker != m {
					return
				}
				s.Cursor = ""
				one.Lock()
				defer one.Unlock()
				found(s)
			})
			if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
				w.env.Logger().Info("a wallet tells of no settlements; its payments are looked up when asked for",
					zap.String("member", m.Name), zap.Error(err))
			}
		})
	}
	if !told {
		return fmt.Errorf("%s: %w", step, wallets.ErrSubscribeUnsupported)
	}
	listening.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w: all subscriptions of the members ended", step, wallets.ErrUnavailable)
}
