// Package demo runs a Caddy in this process with the gate in front of a page and a wallet that is
// not money, and shows the whole exchange. It loads its configuration as text, so whoever uses it
// imports the modules: Caddy's standard ones and the gate.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/pricing"
)

// The defaults of the demonstration.
const (
	DefaultAddress = "127.0.0.1:8402"
	DefaultPrice   = "10 sat"
)

// Path is what costs something on the demonstration's site.
const Path = "/premium/hello"

// Demo is a demonstration. Only one can run in a process, since there is one Caddy in a process.
type Demo struct {
	// Address is where the site listens, a loopback address; port 0 takes a free one.
	Address string
	// Price is what a payment costs.
	Price lnwire.MilliSatoshi
	// Out is written to.
	Out io.Writer
	// Program is how the user calls this program, for commands to be copied.
	Program string

	url   string
	admin string
	dir   string
}

// ErrAddress says that the demonstration cannot listen where it should.
var ErrAddress = errors.New("address not usable")

// start runs Caddy. After a nil error stop must be called.
func (d *Demo) start() (err error) {
	if d.Address, err = listenable(d.Address); err != nil {
		return err
	}
	d.url = "http://" + d.Address
	if d.admin, err = adminAddress(d.Address); err != nil {
		return err
	}
	// A folder of its own: nothing is left behind, and a home that cannot be written to does
	// not matter.
	if d.dir, err = os.MkdirTemp("", "caddy-l402-demo-"); err != nil {
		return fmt.Errorf("making a folder for the demonstration: %w", err)
	}
	if err = d.load(); err != nil {
		return errors.Join(err, os.RemoveAll(d.dir))
	}
	return nil
}

func (d *Demo) load() error {
	text := fmt.Sprintf(globals, d.admin, strconv.Quote(d.dir)) + d.Site()
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return fmt.Errorf("adapting the demonstration's Caddyfile: %w", err)
	}
	if len(warnings) > 0 {
		return fmt.Errorf("adapting the demonstration's Caddyfile: %s", warnings[0].Message)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	return nil
}

func (d *Demo) stop() error {
	return errors.Join(caddy.Stop(), os.RemoveAll(d.dir))
}

// globals are the parts of the Caddyfile that only keep the demonstration to itself.
const globals = `{
	admin %s
	persist_config off
	auto_https off
	grace_period 1s
	storage file_system %s
	servers {
		protocols h1
	}
	log {
		output stderr
		format console
		level WARN
		exclude l402.wallet
	}
	l402 {
		wallet play sandbox
	}
}
`

// Site is the interesting part of the Caddyfile.
func (d *Demo) Site() string {
	host, port, _ := net.SplitHostPort(d.Address)
	return fmt.Sprintf(`http://:%s {
	bind %s
	l402 /premium/* %s
	respond /premium/* "This page was paid for."
	respond "This page is free. %s costs %s."
}
`, port, host, pricing.Format(d.Price), Path, pricing.Format(d.Price))
}

// listenable checks that the address is loopback and free, and gives it with its port.
func listenable(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%w: %q is not host:port, such as %s", ErrAddress, address, DefaultAddress)
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() || ip.Zone() != "" {
		return "", fmt.Errorf("%w: %q is not this machine alone: the demonstration's payments are not money, so use "+
			"127.0.0.1 or [::1]", ErrAddress, host)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "", fmt.Errorf("%w: %w; stop what listens on %s, or choose another place with --address 127.0.0.1:8403",
			ErrAddress, err, address)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// adminAddress gives Caddy's usual address, since other commands look there, or a free one where
// that is taken.
func adminAddress(site string) (string, error) {
	for _, address := range []string{caddy.DefaultAdminListen, "127.0.0.1:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		found := listener.Addr().String()
		if err := listener.Close(); err == nil && found != site {
			if address == caddy.DefaultAdminListen {
				return address, nil
			}
			return found, nil
		}
	}
	return "", errors.New("finding a free port for Caddy's admin API: there is none on 127.0.0.1")
}

// Run starts the demonstration, prints what to try and goes on until ctx ends.
func (d *Demo) Run(ctx context.Context) (err error) {
	if err := d.start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.printGuide(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
