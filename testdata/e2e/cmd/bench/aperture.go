package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// startAperture runs Aperture in clear text in front of the same backend, paid at the same node.
func (b *bed) startAperture(ctx context.Context, dir, peers, backend string) error {
	home, bob := apertureDir(dir), b.pair.Bob
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", proc.FreePorts(1)[0])
	file := filepath.Join(home, "aperture.yaml")
	config := fmt.Sprintf(`listenaddr: %q
insecure: true
debuglevel: "error"
basedir: %q
dbbackend: "sqlite"
sqlite:
  databasefilename: %q
authenticator:
  network: "regtest"
  lndhost: %q
  tlspath: %q
  macdir: %q
services:
  - name: "bench"
    hostregexp: ".*"
    pathregexp: "^/.*$"
    address: %q
    protocol: "http"
    price: 10
`, addr, home, filepath.Join(home, "aperture.db"), bob.Addr(), bob.CertFile(), filepath.Dir(bob.InvoiceMacaroon()), backend)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	p, err := proc.Start(proc.Spec{
		Name: "aperture", Log: filepath.Join(home, "aperture.out"), Dir: home,
		Path: filepath.Join(peers, "aperture"), Args: []string{"--configfile=" + file},
		Env: []string{"HOME=" + home},
	})
	if err != nil {
		return err
	}
	b.aperture = p
	c := client.New("http://" + addr)
	err = proc.Poll(ctx, "aperture", func() error {
		if !p.Running() {
			return fmt.Errorf("aperture ended: %s", tail(p.Log))
		}
		_, err := c.Try(ctx, http.MethodGet, "/paid/proxy")
		return err
	})
	if err != nil {
		return err
	}
	token, err := b.buy(ctx, c, "/paid/proxy")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(p.Log))
	}
	b.candidates = append(b.candidates, candidate{paidAperture, c.Base + "/paid/proxy", token, false})
	return nil
}

// tail is the end of a log.
func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
