package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-l402/caddy-l402/internal/walletcheck"
)

// walletHolder is what the command needs of the l402 app.
type walletHolder interface {
	// LendStorage gives the declared wallets, with Caddy's storage and nothing that runs in the
	// background, until giveBack, which closes them.
	LendStorage() (list []walletcheck.Declared, giveBack func() error)
}

// loadedApp is the l402 app of a configuration file, provisioned and not started.
type loadedApp struct {
	wallets []walletcheck.Declared
	close   func()
}

// loadApp provisions the l402 app of a configuration, and storage for it, and nothing else of it:
// neither servers nor certificates nor logs.
func loadApp(file, adapter string) (*loadedApp, error) {
	text, _, _, err := caddycmd.LoadConfig(file, adapter)
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	if text == nil {
		return nil, usageError("there is no Caddyfile in this folder: name the configuration with --config")
	}
	var whole *caddy.Config
	if err := caddy.StrictUnmarshalJSON(caddy.RemoveMetaFields(text), &whole); err != nil {
		return nil, fmt.Errorf("decoding the configuration: %w", err)
	}
	var raw json.RawMessage
	if whole != nil {
		raw = whole.AppsRaw["l402"]
	}
	if raw == nil {
		return nil, errors.New("the configuration declares no wallet: add `wallet <name> <adapter> …` to the global l402 options")
	}
	base, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: whole.StorageRaw, Logging: quietLogs()})
	if err != nil {
		return nil, fmt.Errorf("opening the storage of the configuration: %w", err)
	}
	ctx, cancel := caddy.NewContext(base)
	module, err := ctx.LoadModuleByID("l402", raw)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("loading the l402 app: %w", err)
	}
	holder, ok := module.(walletHolder)
	if !ok {
		cancel()
		return nil, fmt.Errorf("loading the l402 app: %T is another app of this name", module)
	}
	list, giveBack := holder.LendStorage()
	slices.SortFunc(list, func(x, y walletcheck.Declared) int { return strings.Compare(x.Name, y.Name) })
	return &loadedApp{list, func() {
		if err := giveBack(); err != nil {
			caddy.Log().Named("l402").Warn("closing wallets: " + err.Error())
		}
		cancel()
	}}, nil
}

// quietLogs lets warnings through, on the standard error.
func quietLogs() *caddy.Logging {
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "WARN"}},
	}}
}
