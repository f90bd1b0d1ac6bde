package cashier

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const (
	// cursorName is where the place in the wallet's settlements is kept.
	cursorName = "cursor"
	// saveEvery bounds how often it is written. After a crash the settlements since are told
	// again, which does no harm.
	saveEvery = 5 * time.Second
	// resubscribeAfter is how long to wait where a subscription ended with an error.
	resubscribeAfter = time.Second
)

// subscribe starts listening for settlements where the wallet can tell them. It is called once.
func (c *Cashier) subscribe() {
	subscriber, ok := c.wallet.(wallets.Subscriber)
	if !ok {
		return
	}
	place := &place{cashier: c}
	c.background(func() { c.listen(subscriber, place) })
	c.background(place.keep)
}

func (c *Cashier) listen(s wallets.Subscriber, p *place) {
	p.load(c.ctx)
	for c.ctx.Err() == nil {
		err := c.subscribeOnce(s, p)
		switch {
		case c.ctx.Err() != nil:
			return
		case errors.Is(err, wallets.ErrSubscribeUnsupported), errors.Is(err, wallets.ErrUnauthorized):
			c.env.Logger().Info("wallet does not tell of settlements; payments are looked up when asked for",
				zap.Error(err))
			return
		}
		c.env.Logger().Warn("listening for settlements ended; trying again", zap.Error(err))
		select {
		case <-c.ctx.Done():
		case <-time.After(resubscribeAfter):
		}
	}
}

// subscribeOnce runs one subscription and turns a panic of the adapter into an error.
func (c *Cashier) subscribeOnce(s wallets.Subscriber, p *place) (err error) {
	defer func() {
		if what := recover(); what != nil {
			c.env.panicked("subscribe_settlements", what)
			err = ErrPanic
		}
	}()
	return s.SubscribeSettlements(c.ctx, p.get(), func(found wallets.Settlement) {
		c.Settle(found.PaymentHash)
		if h := c.env.host(); h.Settled != nil {
			h.Settled(h.Name, found)
		}
		c.listeners.tell(found)
		p.set(found.Cursor)
	})
}

// place is the cursor of the subscription, kept in storage now and then.
type place struct {
	cashier *Cashier

	mu      sync.Mutex
	cursor  string
	saved   string
	failing bool // so that a storage that stays away is told once
}

func (p *place) get() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cursor
}

func (p *place) set(cursor string) {
	if cursor == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cursor = cursor
}

func (p *place) load(ctx context.Context) {
	data, err := p.cashier.env.Load(ctx, cursorName)
	switch {
	case err == nil && len(data) <= 256:
		p.mu.Lock()
		p.cursor, p.saved = string(data), string(data)
		p.mu.Unlock()
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		p.cashier.env.Logger().Warn("settlements are followed from now on only", zap.Error(err))
	}
}

// keep writes the cursor while it moves, until the cashier is closed.
func (p *place) keep() {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.cashier.ctx.Done():
			return
		case <-tick.C:
			ctx, cancel := context.WithTimeout(p.cashier.ctx, saveEvery)
			p.Save(ctx)
			cancel()
		}
	}
}

// Save writes the cursor if it moved since it was written last.
func (p *place) Save(ctx context.Context) {
	p.mu.Lock()
	cursor, moved := p.cursor, p.cursor != p.saved
	p.mu.Unlock()
	if !moved {
		return
	}
	err := p.cashier.env.Store(ctx, cursorName, []byte(cursor))
	p.mu.Lock()
	told := p.failing
	p.failing = err != nil
	if err == nil {
		p.saved = cursor
	}
	p.mu.Unlock()
	if err != nil && !told {
		p.cashier.env.Logger().Warn("place in the settlements is not saved", zap.Error(err))
	}
}
