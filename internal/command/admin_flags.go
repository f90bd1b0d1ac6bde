package command

import (
	"fmt"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/pflag"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
)

// adminUsage shows the flags of adminFlags in a usage line.
const adminUsage = "[--address <interface>] [--config <path> [--adapter <name>]]"

// adminFlags are the flags by which a command finds the admin API of a running Caddy. They are
// those of Caddy's own reload and stop and mean the same.
type adminFlags struct{ address, config, adapter string }

func (f *adminFlags) add(set *pflag.FlagSet) {
	set.StringVar(&f.address, "address", "", "The admin API's `address`, if not the default or that of --config")
	set.StringVarP(&f.config, "config", "c", "", "Configuration `file` to take the admin API's address from")
	set.StringVar(&f.adapter, "adapter", "", "`Name` of the config adapter for --config")
}

func (f *adminFlags) client() (*adminapi.Client, error) {
	where, err := caddycmd.DetermineAdminAPIAddress(f.address, nil, f.config, f.adapter)
	if err != nil {
		return nil, fmt.Errorf("finding the admin API's address: %w", err)
	}
	return &adminapi.Client{Address: where}, nil
}

// printable makes text from another program safe for a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
