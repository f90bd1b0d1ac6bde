package wallettest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Env is a wallets.Env with a store in memory and a log that can be read. It is safe for
// concurrent use.
type Env struct {
	logger *zap.Logger

	mu       sync.Mutex
	log      bytes.Buffer
	values   map[string][]byte
	durables map[string]map[string][]byte
	locks    map[string]chan struct{}
	err      error
	stores   int
	badNames []string
}

// NewEnv makes an empty Env. Its log is shown when the test fails.
func NewEnv(t testing.TB) *Env {
	e := &Env{
		values: make(map[string][]byte), durables: make(map[string]map[string][]byte),
		locks: make(map[string]chan struct{}),
	}
	enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	e.logger = zap.New(zapcore.NewCore(enc, (*logSink)(e), zap.DebugLevel))
	t.Cleanup(func() {
		if t.Failed() {
			log := e.Log()
			t.Logf("end of the wallet's log:\n%s", log[max(0, len(log)-8<<10):])
		}
	})
	return e
}

// Logger gives the logger, at debug level.
func (e *Env) Logger() *zap.Logger { return e.logger }

// Log is all that was logged so far, a JSON object a line.
func (e *Env) Log() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

// FailStorage makes Load and Store return err from now on; nil heals them.
func (e *Env) FailStorage(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

// Names lists what is stored, sorted.
func (e *Env) Names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.values))
}

// Stores is how often Store was called with success.
func (e *Env) Stores() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stores
}

// Load implements wallets.Env.
func (e *Env) Load(ctx context.Context, name string) ([]byte, error) {
	if err := e.ready(ctx, "loading", name); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.values[name]
	if !ok {
		return nil, fmt.Errorf("loading %s: %w", name, fs.ErrNotExist)
	}
	return bytes.Clone(v), nil
}

// Store implements wallets.Env.
func (e *Env) Store(ctx context.Context, name string, value []byte) error {
	if err := e.ready(ctx, "storing", name); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.values[name] = bytes.Clone(value)
	e.stores++
	return nil
}

func (e *Env) ready(ctx context.Context, step, name string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", step, name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !goodName(name) {
		e.badNames = append(e.badNames, name)
		return fmt.Errorf("%s %q: not a name of lower-case letters, digits, '-', '_' and '.'", step, name)
	}
	if e.err != nil {
		return fmt.Errorf("%s %s: %w", step, name, e.err)
	}
	return nil
}

// wrongNames are the names that the wallet should not have used.
func (e *Env) wrongNames() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.badNames)
}

func goodName(name string) bool {
	if name == "" || len(name) > 128 || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// logSink is the Env as the place that log lines go to.
type logSink Env

// Write implements zapcore.WriteSyncer.
func (s *logSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// Sync implements zapcore.WriteSyncer.
func (s *logSink) Sync() error { return nil }

var (
	_ wallets.Vault       = (*Env)(nil)
	_ zapcore.WriteSyncer = (*logSink)(nil)
)
