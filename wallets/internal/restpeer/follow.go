package restpeer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/httpjson"
)

const (
	// clockSlack is by how much the peer's clock may lag behind ours.
	clockSlack = time.Minute
	// overlap is how far before the cursor a list begins: a peer may take longer to write down
	// an earlier payment than a later one, and an event that was lost is found by a list.
	overlap = 2 * time.Minute
	// soon is when a list follows an event whose payment could not be seen yet.
	soon = time.Second
	// healthyAfter is how long a connection must have lasted for the next pause to be a short
	// one again.
	healthyAfter = 10 * time.Second
	// MaxBacklog bounds how many settlements one list gives.
	MaxBacklog = 100_000
)

// Feed is what a subscription needs to know of its peer.
type Feed struct {
	// Path is the websocket's, escaped. It may hold the secret.
	Path func() (string, error)
	// Event reads one event: the hash of an invoice that may have been settled. Other events
	// are not ok.
	Event func(message []byte) (hash lntypes.Hash, ok bool)
	// Lookup gives the state of an invoice.
	Lookup func(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error)
	// List gives what was settled since then, in the order of settlement. More than that does
	// no harm. first says that it is the first one of the subscription.
	List func(ctx context.Context, since time.Time, first bool) ([]wallets.Settlement, error)
}

// Follow implements SubscribeSettlements. The cursor is the time of settlement by the peer's clock,
// in milliseconds since 1970.
//
// At the start, after each reconnect and then every Sweep it lists what was settled since shortly
// before the cursor; between these it looks up what events tell. Each settlement is told once, but
// for those of the last two minutes before a cursor that it begins at. While there is no websocket
// the lists go on.
//
// It returns ctx.Err(), or an error that wraps ErrUnauthorized when the peer refuses the
// credential, or one that wraps net.ErrClosed when the client was closed.
func (c *Client) Follow(ctx context.Context, cursor string, feed Feed, found func(wallets.Settlement)) error {
	const step = "subscribing to settlements"
	f := &follower{c: c, feed: feed, found: found, told: make(map[lntypes.Hash]time.Time), first: true}
	f.high = c.Now().Add(-clockSlack)
	f.floor = f.high
	if cursor != "" {
		ms, err := strconv.ParseInt(cursor, 10, 64)
		f.high, f.floor = UnixMilli(ms), time.Time{}
		if err != nil || f.high.IsZero() {
			return c.Fail(step, fmt.Errorf("cursor %q is not a time in milliseconds", httpjson.Clean(cursor)))
		}
	}
	caller := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	var logged time.Time
	for pause := c.FirstRetry; ; pause = min(pause*2, c.LastRetry) {
		opened := c.Now()
		err := f.session(ctx)
		switch {
		case caller.Err() != nil:
			return caller.Err()
		case c.life.Err() != nil:
			return c.Fail(step, net.ErrClosed)
		case f.refused:
			return c.Fail(step, err)
		}
		if c.Now().Sub(opened) >= healthyAfter {
			pause = c.FirstRetry
		}
		wait := time.Duration((0.5 + c.Jitter()) * float64(pause))
		// A peer that stays away is not worth a line every few seconds.
		if now := c.Now(); now.Sub(logged) >= time.Minute {
			logged = now
			c.logger().Warn("settlement subscription lost", zap.String("peer", c.set.base.Host),
				zap.Duration("retry_in", wait), zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// follower is one subscription. It is used by one goroutine.
type follower struct {
	c     *Client
	feed  Feed
	found func(wallets.Settlement)
	// high is the latest settlement by the peer's clock, and no later than now.
	high time.Time
	// floor is what lists do not go below.
	floor time.Time
	// told are the settlements that lists may give again.
	told map[lntypes.Hash]time.Time
	// first is until the first list came.
	first bool
	// refused says that the peer refused the credential for a call.
	refused bool
}

// session follows one websocket to its end. Where there is none it makes one list all the same.
func (f *follower) session(ctx context.Context) error {
	path, err := f.feed.Path()
	if err != nil {
		return err
	}
	conn, err := f.c.dial(ctx, path)
	if err != nil {
		// A refusal counts only where a call is refused too: what stands between may not
		// let websockets pass.
		if listErr := f.sweep(ctx); f.refused {
			return listErr
		}
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	e := events{make(chan lntypes.Hash, 1024), make(chan struct{}, 1), make(chan error, 1)}
	var wg sync.WaitGroup
	// Both are owned by this call, which ends them and waits for them.
	wg.Go(func() { f.c.read(ctx, conn, e, f.feed.Event) })
	wg.Go(func() { f.c.ping(ctx, conn) })
	defer func() {
		cancel()
		_ = conn.CloseNow() // there is nothing to say
		wg.Wait()
	}()
	if err := f.sweep(ctx); err != nil {
		return err
	}
	return f.listen(ctx, e)
}

// listen tells what events and lists bring.
func (f *follower) listen(ctx context.Context, e events) error {
	sweep := time.NewTimer(f.c.Sweep)
	defer sweep.Stop()
	for {
		select {
		case hash := <-e.hashes:
			ok, err := f.look(ctx, hash)
			if err != nil {
				return err
			}
			if !ok {
				sweep.Reset(min(soon, f.c.Sweep))
			}
		case <-e.missed:
			sweep.Reset(0)
		case <-sweep.C:
			if err := f.sweep(ctx); err != nil {
				return err
			}
			sweep.Reset(f.c.Sweep)
		case err := <-e.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look tells the settlement of one invoice, if it is settled.
func (f *follower) look(ctx context.Context, hash lntypes.Hash) (bool, error) {
	if _, ok := f.told[hash]; ok {
		return true, nil
	}
	st, err := f.feed.Lookup(ctx, hash)
	switch {
	case errors.Is(err, wallets.ErrUnauthorized):
		f.refused = true
		return false, err
	case errors.Is(err, wallets.ErrNotFound):
		// The event is about something else than an invoice of this wallet.
		return true, nil
	case err != nil:
		return false, nil
	case st.State != wallets.StateSettled:
		return false, nil
	}
	f.tell(wallets.Settlement{PaymentHash: hash, AmountPaid: st.AmountPaid, SettledAt: st.SettledAt})
	return true, nil
}

// sweep lists what was settled around and after the cursor, and tells what was not told.
func (f *follower) sweep(ctx context.Context) error {
	since := f.high.Add(-overlap)
	if since.Before(f.floor) {
		since = f.floor
	}
	list, err := f.feed.List(ctx, since, f.first)
	if err != nil {
		f.refused = errors.Is(err, wallets.ErrUnauthorized)
		return err
	}
	if len(list) >= MaxBacklog {
		f.c.logger().Error("more settlements to catch up with than can be listed: the oldest may be missed",
			zap.String("peer", f.c.set.base.Host), zap.Time("since", since), zap.Int("listed", len(list)))
	}
	for _, s := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, ok := f.told[s.PaymentHash]; !ok && !s.SettledAt.Before(since) {
			f.tell(s)
		}
	}
	f.first = false
	for hash, at := range f.told {
		if at.Before(since.Add(-overlap)) {
			delete(f.told, hash)
		}
	}
	return nil
}

func (f *follower) tell(s wallets.Settlement) {
	now := f.c.Now()
	if s.SettledAt.IsZero() {
		s.SettledAt = now
	}
	f.told[s.PaymentHash] = s.SettledAt
	// A clock that is ahead must not make the cursor skip what comes next.
	if s.SettledAt.After(f.high) {
		f.high = s.SettledAt
	}
	if f.high.After(now) {
		f.high = now
	}
	s.Cursor = strconv.FormatInt(f.high.UnixMilli(), 10)
	f.found(s)
}
