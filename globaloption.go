package caddyl402

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("l402", parseGlobalOption)
}

func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the global option l402 is given twice: put everything into one block")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "l402", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads
//
//	l402 {
//		wallet         <name> <adapter> [<args...>] { ... }
//		default_wallet <name>
//		secret         <text>
//		wallet_timeout <duration>
//		page           {
//			title    <text>
//			text     <text>
//			logo     <file> | url <path>
//			accent   <color>
//			template <file>
//		}
//		cashu { ... }
//		notify         <url> {
//			secret  <text>
//			timeout <duration>
//		}
//		rates          [<source...>] { ... }
//		show_fiat      <currency>
//		pricer         <name> http|grpc <address> { ... }
//	}
//
// What rates and pricer hold stands at parseRates and parsePricer.
//
// The first wallet is the default one unless default_wallet names another. The line `secret` can
// be repeated: the first one makes tokens, the others are accepted. So can notify and pricer.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	first := ""
	for d.NextBlock(0) {
		switch d.Val() {
		case "wallet":
			name, err := a.parseWallet(d)
			if err != nil {
				return err
			}
			setDefault(&first, name)
		case "default_wallet":
			if err := word(d, &a.DefaultWallet); err != nil {
				return err
			}
		case "secret":
			var secret string
			if err := word(d, &secret); err != nil {
				return err
			}
			a.Secrets = append(a.Secrets, secret)
		case "wallet_timeout":
			if err := duration(d, &a.WalletTimeout); err != nil {
				return err
			}
		case "page":
			if a.Page != nil {
				return d.Err("page is given twice: put everything into one block")
			}
			if err := parsePage(d, &a.Page); err != nil {
				return err
			}
		case "cashu":
			if err := a.parseCashu(d); err != nil {
				return err
			}
		case "rates":
			if err := a.parseRates(d); err != nil {
				return err
			}
		case "show_fiat":
			if err := word(d, &a.ShowFiat); err != nil {
				return err
			}
		case "pricer":
			if err := a.parsePricer(d); err != nil {
				return err
			}
		case "notify":
			if err := a.parseNotify(d); err != nil {
				return err
			}
		default:
			return unknownOption(d, "the global option l402",
				"wallet", "default_wallet", "secret", "wallet_timeout", "page", "cashu", "rates", "show_fiat", "pricer", "notify")
		}
	}
	if len(a.WalletsRaw) > 1 {
		setDefault(&a.DefaultWallet, first)
	}
	return nil
}

// parseWallet reads `wallet <name> <adapter> …`; what follows the adapter's name is its own.
func (a *App) parseWallet(d *caddyfile.Dispenser) (name string, err error) {
	if !d.NextArg() {
		return "", d.Err("expected `wallet <name> <adapter>`")
	}
	name = d.Val()
	if !d.NextArg() {
		return "", d.Errf("wallet %q has no adapter: expected `wallet <name> <adapter>`", name)
	}
	adapter := d.Val()
	if _, taken := a.WalletsRaw[name]; taken {
		return "", d.Errf("wallet %q is declared twice", name)
	}
	if _, err := caddy.GetModule("l402.wallets." + adapter); err != nil {
		if _, err := caddy.GetModule("l402.wallets." + name); err == nil {
			return "", d.Errf("the wallet has no name: write one before the adapter, such as `wallet main %s %s`", name, adapter)
		}
		return "", d.Errf("unknown wallet adapter %q; there is %s", adapter, adapterNames())
	}
	module, err := caddyfile.UnmarshalModule(d, "l402.wallets."+adapter)
	if err != nil {
		return "", err
	}
	guest, ok := module.(wallets.Guest)
	if !ok {
		return "", d.Errf("module %T is no wallet adapter", module)
	}
	if a.WalletsRaw == nil {
		a.WalletsRaw = make(map[string]json.RawMessage)
	}
	a.WalletsRaw[name] = caddyconfig.JSONModuleObject(guest, "wallet", adapter, nil)
	return name, nil
}

// Guards.
var _ caddyfile.Unmarshaler = (*App)(nil)
