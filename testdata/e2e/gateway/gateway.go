// Package gateway runs the Caddy that is under test: a process of its own, built from this
// repository, with a configuration, a storage folder and a log of its own.
package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// Options say what gateway to run.
type Options struct {
	// Binary is the Caddy program.
	Binary string
	// Global goes into the global options: the l402 block and whatever a test needs besides.
	Global string
	// Site goes into the site's block: directives in Caddyfile form.
	Site string
	// More is appended after the site's block: further sites, snippets.
	More string
	// Storage is the storage folder; empty is one of the gateway's own. Two gateways with the
	// same folder share keys.
	Storage string
	// StorageModule is another storage module in Caddyfile form, such as "redis { … }"; Storage
	// is not used then.
	StorageModule string
	// Level is the log level; empty is DEBUG.
	Level string
	// Env is added to the environment.
	Env []string
}

// Gateway is a running Caddy.
type Gateway struct {
	*client.Client

	// Options are those of the last start or reload.
	Options Options
	// Port is the site's at 127.0.0.1; every Host is served there.
	Port int

	admin   int
	dir     string
	process *proc.Process
	secrets []string
}

// New prepares a gateway on free ports, with its files in dir. Run starts it.
func New(dir string, o Options) *Gateway {
	ports := proc.FreePorts(2)
	if o.Storage == "" {
		o.Storage = filepath.Join(dir, "storage")
	}
	return &Gateway{
		Client: client.New("http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))),
		Port:   ports[0], admin: ports[1], dir: dir, Options: o,
	}
}

// Start runs a gateway until the test ends and waits until it serves. The test fails when the
// gateway's log shows a panic, a data race or a secret that was given to Secret.
func Start(t testing.TB, o Options) *Gateway {
	t.Helper()
	g := New(t.TempDir(), o)
	t.Cleanup(func() { g.end(t) })
	if err := g.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// Caddyfile is the whole configuration.
func (g *Gateway) Caddyfile() string {
	return fmt.Sprintf(`{
	admin 127.0.0.1:%d
	storage %s
	auto_https off
	persist_config off
	log {
		output stderr
		level %s
	}
%s
}
http://:%d {
	bind 127.0.0.1
%s
}
%s
`, g.admin, cmp.Or(g.Options.StorageModule, "file_system "+strconv.Quote(g.Options.Storage)), cmp.Or(g.Options.Level, "DEBUG"), indent(g.Options.Global), g.Port, indent(g.Options.Site), g.Options.More)
}

func indent(s string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n\t")
}

// Run starts the process with the current options, at first or after Kill or Stop, on the same
// ports and storage, and waits until it serves.
func (g *Gateway) Run(ctx context.Context) error {
	file := filepath.Join(g.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(g.Caddyfile()), 0o600); err != nil {
		return fmt.Errorf("writing the Caddyfile: %w", err)
	}
	p, err := proc.Start(proc.Spec{
		Name: "caddy", Log: g.logFile(), Dir: g.dir, Path: g.Options.Binary,
		Args: []string{"run", "--config", file, "--adapter", "caddyfile"},
		// Nothing of the user's own Caddy is read or written.
		Env: append([]string{
			"HOME=" + g.dir, "XDG_DATA_HOME=" + filepath.Join(g.dir, "data"),
			"XDG_CONFIG_HOME=" + filepath.Join(g.dir, "config"),
		}, g.Options.Env...),
	})
	if err != nil {
		return err
	}
	g.process = p
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = proc.Poll(ctx, "the gateway", func() error {
		if !p.Running() {
			cancel()
			return fmt.Errorf("caddy ended with status %d", p.ExitCode())
		}
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(g.Port)), time.Second)
		if err != nil {
			return err
		}
		conn.Close()
		_, err = g.Admin(ctx, "GET", "/config/", "", nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, g.Tail(30))
	}
	return nil
}

// Kill ends the process as a crash or a power cut would.
func (g *Gateway) Kill() { g.process.Kill() }

// Stop ends the process in an orderly way.
func (g *Gateway) Stop() error { return g.process.Stop(20 * time.Second) }

// Pid is the process id.
func (g *Gateway) Pid() int { return g.process.Pid() }

// Secret names a text that must not be in the log when the test ends.
func (g *Gateway) Secret(s ...string) { g.secrets = append(g.secrets, s...) }

// Buy buys a token for path and remembers its preimage as a secret.
func (g *Gateway) Buy(t testing.TB, p client.Payer, path string, opts ...client.Option) client.Token {
	t.Helper()
	token := g.Client.Buy(t, p, path, opts...)
	g.Secret(token.Preimage)
	return token
}

// Home is the folder that the gateway takes for its user's home: commands that run there see the
// same instance, and Caddyfile is its configuration.
func (g *Gateway) Home() string { return g.dir }
