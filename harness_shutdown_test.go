package caddyl402

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A server of the configuration before a reload still accepts connections for a moment after
// caddy.Load has returned. goodbye stands in each configuration of a test and tells when that is
// over, so that no test asks the old configuration by chance.
type goodbye struct{ said chan struct{} }

// goodbyes are those of the configuration that was provisioned last, running those of the one that
// runs. Tests that run Caddy do so one at a time.
var goodbyes, running []chan struct{}

func init() {
	caddy.RegisterModule(new(goodbye))
	httpcaddyfile.RegisterHandlerDirective("goodbye", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(goodbye), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("goodbye", httpcaddyfile.Before, "respond")
}

func (*goodbye) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.goodbye", New: func() caddy.Module { return new(goodbye) }}
}

func (g *goodbye) Provision(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil {
		return errors.New("goodbye stands outside of a server")
	}
	g.said = make(chan struct{})
	goodbyes = append(goodbyes, g.said)
	server.RegisterOnShutdown(func() { close(g.said) })
	return nil
}

func (*goodbye) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error {
	return errors.New("nobody asks goodbye")
}

// load is caddy.Load that returns when the servers before accept nothing any more.
func load(config []byte) error {
	goodbyes = nil
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	before := running
	running = goodbyes
	for _, said := range before {
		select {
		case <-said:
		case <-time.After(time.Minute):
			return errors.New("the servers before did not shut down within a minute")
		}
	}
	return nil
}
