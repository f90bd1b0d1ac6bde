package caddyl402

import (
	"strings"

	"github.com/caddyserver/caddy/v2"

	// The wallet adapters that come with the module, one line each.
	_ "github.com/caddy-l402/caddy-l402/wallets/bolt12"
	_ "github.com/caddy-l402/caddy-l402/wallets/cashu"
	_ "github.com/caddy-l402/caddy-l402/wallets/cln"
	_ "github.com/caddy-l402/caddy-l402/wallets/eclair"
	_ "github.com/caddy-l402/caddy-l402/wallets/failover"
	_ "github.com/caddy-l402/caddy-l402/wallets/lnbits"
	_ "github.com/caddy-l402/caddy-l402/wallets/lnc"
	_ "github.com/caddy-l402/caddy-l402/wallets/lnd"
	_ "github.com/caddy-l402/caddy-l402/wallets/lnurl"
	_ "github.com/caddy-l402/caddy-l402/wallets/nwc"
	_ "github.com/caddy-l402/caddy-l402/wallets/phoenixd"
	_ "github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

// adapterNames lists the adapters that this binary has.
func adapterNames() string {
	var names []string
	for _, module := range caddy.GetModules("l402.wallets") {
		names = append(names, module.ID.Name())
	}
	return strings.Join(names, ", ")
}
