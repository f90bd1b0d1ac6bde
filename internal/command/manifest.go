package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/spf13/cobra"

	"github.com/caddy-l402/caddy-l402/internal/discovery"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

func manifestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifest [--config <path> [--adapter <name>]] [--host <name>] [--document manifest|services|openapi|text]",
		Short: "Prints what a configuration tells clients about what is for sale",
		Long: `
Reads the configuration file as caddy run does, without starting any server or
asking any wallet, and prints one of the documents that a host has for clients:

  manifest   /.well-known/l402.json, the manifest of the L402 discovery specification
  services   /.well-known/l402-services, the list that directories read
  openapi    an OpenAPI document with prices
  text       /.well-known/l402.txt, a text for language models in the form of llms.txt

OpenAPI can be looked at before the site serves it. Routes that are hidden are in
none of them.

Where the configuration names several hosts, --host tells which one.`,
		Example: `  caddy l402 manifest
  caddy l402 manifest --config /etc/caddy/Caddyfile --host api.example.com --document openapi`,
	}
	config := cmd.Flags().StringP("config", "c", "", "Configuration `file`; the default is the Caddyfile in this folder")
	adapter := cmd.Flags().String("adapter", "", "`Name` of the config adapter for --config")
	host := cmd.Flags().String("host", "", "The host, a `name` or address without a port")
	document := cmd.Flags().String("document", "manifest", "The `kind` of document: manifest, services, openapi or text")
	prepare(cmd, func(_ context.Context, cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("it takes no arguments, not %q", args[0])
		}
		write, ok := documents[*document]
		if !ok {
			return usageError("unknown document %q: use manifest, services, openapi or text", *document)
		}
		shops, err := loadShops(*config, *adapter)
		if err != nil {
			return err
		}
		defer shops.close()
		catalog, err := shops.catalog(*host)
		if err != nil {
			return err
		}
		text, err := write(catalog)
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	})
	return cmd
}

// documents are what can be printed of a catalog.
var documents = map[string]func(*discovery.Catalog) ([]byte, error){
	"manifest": (*discovery.Catalog).Manifest,
	"services": (*discovery.Catalog).Services,
	"openapi":  (*discovery.Catalog).OpenAPI,
	"text": func(c *discovery.Catalog) ([]byte, error) {
		return c.Text(func(msat uint64) string { return pricing.Format(lnwire.MilliSatoshi(msat)) }), nil
	},
}

// catalogHolder is what the command needs of the l402 app.
type catalogHolder interface {
	// Catalogs gives what the hosts sell that the configuration names.
	Catalogs() (map[string]*discovery.Catalog, error)
	// CatalogOf gives what any host sells, or nil.
	CatalogOf(host string) (*discovery.Catalog, error)
}

// loadedShops is the l402 app of a configuration file with the routes around it, provisioned and not
// started.
type loadedShops struct {
	catalogHolder
	close func()
}

// loadShops provisions the l402 app of a configuration and, with it, the http app and what that
// needs. Other apps are left alone.
func loadShops(file, adapter string) (*loadedShops, error) {
	whole, err := loadConfig(file, adapter)
	if err != nil {
		return nil, err
	}
	config := &caddy.Config{StorageRaw: whole.StorageRaw, Logging: quietLogs()}
	base, err := caddy.ProvisionContext(config)
	if err != nil {
		return nil, fmt.Errorf("opening the storage of the configuration: %w", err)
	}
	config.AppsRaw = whole.AppsRaw // from here on each is loaded when one asks for it
	ctx, cancel := caddy.NewContext(base)
	module, err := ctx.App("l402")
	if err == nil {
		_, err = ctx.App("http")
	}
	if err != nil {
		cancel()
		return nil, err
	}
	holder, ok := module.(catalogHolder)
	if !ok {
		cancel()
		return nil, fmt.Errorf("loading the l402 app: %T is another app of this name", module)
	}
	return &loadedShops{holder, cancel}, nil
}

// loadConfig reads a configuration file.
func loadConfig(file, adapter string) (*caddy.Config, error) {
	text, _, _, err := caddycmd.LoadConfig(file, adapter)
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	if text == nil {
		return nil, usageError("there is no Caddyfile in this folder: name the configuration with --config")
	}
	var whole caddy.Config
	if err := caddy.StrictUnmarshalJSON(caddy.RemoveMetaFields(text), &whole); err != nil {
		return nil, fmt.Errorf("decoding the configuration: %w", err)
	}
	if whole.AppsRaw["http"] == nil || whole.AppsRaw["l402"] == nil {
		return nil, errors.New("the configuration sells nothing: it needs a site with an l402 directive, and a wallet " +
			"in the global l402 options")
	}
	return &whole, nil
}

// catalog is what a host sells, or the only host there is.
func (s *loadedShops) catalog(host string) (*discovery.Catalog, error) {
	if host != "" {
		catalog, err := s.CatalogOf(host)
		if err == nil && catalog == nil {
			err = fmt.Errorf("%s tells of nothing for sale: it has no l402 route, or all of them are hidden", host)
		}
		return catalog, err
	}
	catalogs, err := s.Catalogs()
	if err != nil {
		return nil, err
	}
	switch hosts := slices.Sorted(maps.Keys(catalogs)); len(hosts) {
	case 0:
		return nil, errors.New("no host tells of anything for sale: there is no l402 route, or all of them are hidden")
	case 1:
		return catalogs[hosts[0]], nil
	default:
		if hosts[0] == "" {
			hosts[0] = "any other"
		}
		return nil, usageError("several hosts sell something, %s: name one with --host", strings.Join(hosts, ", "))
	}
}
