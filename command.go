package caddyl402

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-l402/caddy-l402/internal/command"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name: command.Name, Usage: command.Usage, Short: command.Short, Long: command.Long,
		CobraFunc: command.Setup,
	})
}
