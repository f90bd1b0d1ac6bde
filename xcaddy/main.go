// Command caddy is Caddy with its standard modules and the L402 gate, as xcaddy would build it.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-l402/caddy-l402"
)

func main() {
	caddycmd.Main()
}
