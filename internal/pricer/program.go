package pricer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

// maxAsking bounds how many questions are under way to one program.
const maxAsking = 64

// asker puts a question to a program. Its errors hold no secret and nothing that a client sent.
type asker interface {
	ask(ctx context.Context, q Question) (Price, error)
	close() error
}

// Program is a program that is asked for prices. It is safe for concurrent use, and connects when it
// is first asked.
type Program struct {
	// Now is the clock. It must not be changed after the first use.
	Now func() time.Time
	// Called is told of each question's outcome; it may be nil and must not be changed after the
	// first use.
	Called func(took time.Duration, err error)

	config Config
	asker  asker
	kept   *lru.Cache[string, kept]
	asking *semaphore.Weighted
	flight singleflight.Group

	life  context.Context
	end   context.CancelFunc
	calls sync.WaitGroup
	mu    sync.Mutex // held to join calls, so that none begins after the end
}

// kept is an answer until it is too old.
type kept struct {
	price Price
	until time.Time
}

// New makes a Program. It dials nothing. Errors are those of Config.Check, and of reading the
// certificates.
func New(c Config) (*Program, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	p := &Program{Now: time.Now, config: c, asking: semaphore.NewWeighted(maxAsking)}
	if p.kept, err = lru.New[string, kept](maxKept); err != nil {
		return nil, err
	}
	if c.Kind == GRPC {
		p.asker = &overGRPC{config: c, tls: config}
	} else {
		p.asker = newOverHTTP(c, config)
	}
	p.life, p.end = context.WithCancel(context.Background())
	return p, nil
}

// Price gives what the requests of a question cost. It waits for the program until ctx ends, and
// asks once for all who ask the same at the time. All errors wrap ErrNoPrice.
func (p *Program) Price(ctx context.Context, q Question) (Price, error) {
	key := q.Key()
	if k, ok := p.kept.Get(key); ok && p.Now().Before(k.until) {
		return k.price, nil
	}
	// The call outlives the first who asked, since others may wait for it too.
	answer := p.flight.DoChan(key, func() (any, error) { return p.call(key, q) })
	select {
	case <-ctx.Done():
		return Price{}, fmt.Errorf("%w: waiting for the price program: %w", ErrNoPrice, ctx.Err())
	case a := <-answer:
		if a.Err != nil {
			return Price{}, fmt.Errorf("%w: asking the price program: %w", ErrNoPrice, a.Err)
		}
		return a.Val.(Price), nil
	}
}

func (p *Program) call(key string, q Question) (Price, error) {
	p.mu.Lock()
	if p.life.Err() != nil {
		p.mu.Unlock()
		return Price{}, net.ErrClosed
	}
	p.calls.Add(1)
	p.mu.Unlock()
	defer p.calls.Done()
	if !p.asking.TryAcquire(1) {
		return Price{}, ErrBusy
	}
	defer p.asking.Release(1)
	ctx, cancel := context.WithTimeout(p.life, p.config.Timeout)
	defer cancel()
	begin := p.Now()
	price, err := p.asker.ask(ctx, q)
	switch {
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("no answer within %s: %w", p.config.Timeout, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no answer within %s: %w", p.config.Timeout, err)
	}
	if p.Called != nil && p.life.Err() == nil {
		failed := err
		if errors.Is(err, ErrFree) {
			failed = nil
		}
		p.Called(p.Now().Sub(begin), failed)
	}
	if err == nil && p.config.Keep > 0 {
		p.kept.Add(key, kept{price, p.Now().Add(p.config.Keep)})
	}
	return price, err
}

// Destruct ends all questions and connections. Later questions fail. It implements
// caddy.Destructor.
func (p *Program) Destruct() error {
	p.mu.Lock()
	p.end()
	p.mu.Unlock()
	p.calls.Wait()
	return p.asker.close()
}

// Guards.
var _ caddy.Destructor = (*Program)(nil)
