package payers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// openModule opens a wallet adapter, the Caddy module l402.wallets.<scheme>, as the server would.
// address is the name of the setting that stands behind the scheme.
func openModule(address string) func(context.Context, Spec) (*Opened, error) {
	return func(ctx context.Context, spec Spec) (*Opened, error) {
		settings, err := spec.json(address)
		if err != nil {
			return nil, err
		}
		// The context ends with Close: modules watch it to give back what they hold.
		caddyCtx, cancel := caddy.NewContext(caddy.Context{Context: ctx})
		opened, err := openGuest(caddyCtx, spec, settings)
		if err != nil {
			cancel()
			return nil, err
		}
		inner := opened.Closer
		opened.Closer = closerFunc(func() error {
			defer cancel()
			return inner.Close()
		})
		return opened, nil
	}
}

func openGuest(ctx caddy.Context, spec Spec, settings json.RawMessage) (*Opened, error) {
	module, err := ctx.LoadModuleByID("l402.wallets."+spec.Scheme, settings)
	if err != nil {
		return nil, err
	}
	guest, ok := module.(wallets.Guest)
	if !ok {
		return nil, fmt.Errorf("the module %T is no wallet adapter", module)
	}
	wallet, err := guest.Open(env{})
	if err != nil {
		return nil, err
	}
	closer, ok := wallet.(io.Closer)
	if !ok {
		closer = io.NopCloser(nil)
	}
	payer, ok := wallet.(wallets.Payer)
	if !ok {
		return nil, errors.Join(errors.New("this kind of wallet cannot pay"), closer.Close())
	}
	return &Opened{
		Wallet: client.Wallet{Payer: payer, Network: guest.Network()},
		Closer: closer, Name: spec.Scheme,
	}, nil
}

// json writes the settings as the adapter's JSON. The words true and false are what JSON means by
// them; everything else is text.
func (s Spec) json(address string) (json.RawMessage, error) {
	fields := map[string]any{}
	if s.Address != "" {
		if s.Settings.Has(address) {
			return nil, fmt.Errorf("its setting %s is given twice: behind the scheme and by name", address)
		}
		fields[address] = s.Address
	}
	for name := range s.Settings {
		switch value := s.Settings.Get(name); value {
		case "true", "false":
			fields[name] = value == "true"
		default:
			fields[name] = value
		}
	}
	return json.Marshal(fields)
}

// env is what a command lends to a wallet: no log and no storage, since it lives for one payment.
type env struct{}

// Logger implements wallets.Env.
func (env) Logger() *zap.Logger { return zap.NewNop() }

// Load implements wallets.Env; there is never anything.
func (env) Load(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }

// Store implements wallets.Env and says that it cannot.
func (env) Store(context.Context, string, []byte) error {
	return errors.New("storing a wallet's value: a command keeps none")
}

type closerFunc func() error

// Close implements io.Closer.
func (f closerFunc) Close() error { return f() }

// Interface guards
var (
	_ wallets.Env = env{}
	_ io.Closer   = closerFunc(nil)
)
