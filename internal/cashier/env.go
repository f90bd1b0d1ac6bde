package cashier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/sony/gobreaker/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Host is what one configuration lends to the cashiers that it uses. All of it may become
// useless when the configuration is unloaded.
type Host struct {
	// Name is the wallet's name in the configuration.
	Name    string
	Logger  *zap.Logger
	Storage certmagic.Storage
	// Strongroom gives what keeps the values that stand for money, or nil while that cannot be
	// had. It may itself be nil.
	Strongroom func() Strongroom
	// Instance labels this server among those that share the storage.
	Instance string
	// Guest carries the settings that this configuration gives to the wallet.
	Guest wallets.Guest
	// Timeout bounds each call; zero means DefaultTimeout.
	Timeout time.Duration
	// Called is told of each call's outcome; it may be nil.
	Called func(wallet, op string, took time.Duration, err error)
	// Settled is told of each payment that the wallet reports; it may be nil and may be
	// called more than once for a payment.
	Settled func(wallet string, s wallets.Settlement)
	// Quiet is for commands that look at the wallet for a moment: settlements are not listened
	// for, so that the place in them, which the storage keeps, stays where it is.
	Quiet bool
}

// env is the wallets.Env of a cashier. A pooled wallet outlives configurations: reloads attach
// the new one before they detach the old, and a reload that fails detaches the new one again. So
// the hosts are a list, of which the last one counts.
type env struct {
	id string

	mu    sync.RWMutex
	hosts []*Host
}

func (e *env) host() *Host {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.hosts) == 0 {
		return &Host{Logger: zap.NewNop()}
	}
	return e.hosts[len(e.hosts)-1]
}

// Attach lends a configuration's means to the cashier and applies its settings. The first one
// also starts what runs in the background. The same pointer is given to Detach later.
func (c *Cashier) Attach(h *Host) {
	c.env.mu.Lock()
	c.env.hosts = append(c.env.hosts, h)
	c.env.mu.Unlock()
	c.reconfigure()
	if !h.Quiet {
		c.start.Do(c.subscribe)
	}
}

// Detach takes back what Attach lent. The settings of the configuration before apply again.
func (c *Cashier) Detach(h *Host) {
	c.env.mu.Lock()
	for i, known := range c.env.hosts {
		if known == h {
			c.env.hosts = append(c.env.hosts[:i:i], c.env.hosts[i+1:]...)
			break
		}
	}
	left := len(c.env.hosts)
	c.env.mu.Unlock()
	if left > 0 {
		c.reconfigure()
	}
}

func (c *Cashier) reconfigure() {
	if w, ok := c.wallet.(wallets.Reconfigurer); ok {
		if guest := c.env.host().Guest; guest != nil {
			w.Reconfigure(guest)
		}
	}
}

// Logger implements wallets.Env.
func (e *env) Logger() *zap.Logger { return e.host().Logger }

// errNoHost says that no configuration is loaded that could lend its storage.
var errNoHost = errors.New("no storage: the configuration is not loaded yet or any more")

// Load implements wallets.Env.
func (e *env) Load(ctx context.Context, name string) ([]byte, error) {
	key, err := e.key(name)
	if err != nil {
		return nil, err
	}
	storage := e.host().Storage
	if storage == nil {
		return nil, errNoHost
	}
	data, err := storage.Load(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("reading %s of the wallet from storage: %w", name, err)
	}
	return data, nil
}

// Store implements wallets.Env.
func (e *env) Store(ctx context.Context, name string, value []byte) error {
	key, err := e.key(name)
	if err != nil {
		return err
	}
	storage := e.host().Storage
	if storage == nil {
		return errNoHost
	}
	if err := storage.Store(ctx, key, value); err != nil {
		return fmt.Errorf("writing %s of the wallet to storage: %w", name, err)
	}
	return nil
}

// key is where a wallet's value lies. The name comes from an adapter, so it is held to the
// letters that no storage treats in a way of its own.
func (e *env) key(name string) (string, error) {
	if name == "" || len(name) > 128 || name[0] == '.' ||
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", fmt.Errorf("%w: bad name %q for a stored value", fs.ErrInvalid, name)
	}
	return "l402/wallets/" + e.id + "/" + name, nil
}

func (e *env) timeout() time.Duration {
	if t := e.host().Timeout; t > 0 {
		return t
	}
	return DefaultTimeout
}

func (e *env) called(op string, took time.Duration, err error) {
	if h := e.host(); h.Called != nil {
		h.Called(h.Name, op, took, err)
	}
}

func (e *env) panicked(op string, what any) {
	e.Logger().Error("wallet adapter panicked", zap.String("call", op),
		zap.String("kind", fmt.Sprintf("%T", what)), zap.ByteString("stack", debug.Stack()))
}

func (e *env) breakerChanged(_ string, _, to gobreaker.State) {
	switch to {
	case gobreaker.StateOpen:
		e.Logger().Warn("wallet fails; unpaid requests get 503 until it answers again")
	case gobreaker.StateClosed:
		e.Logger().Info("wallet answers again")
	}
}

// Guard: what a wallet sees of its host.
var _ wallets.Env = (*env)(nil)
