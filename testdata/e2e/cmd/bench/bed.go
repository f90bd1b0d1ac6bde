package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/caddy-l402/caddy-l402/testdata/e2e/client"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/gateway"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/lightning"
	"github.com/caddy-l402/caddy-l402/testdata/e2e/proc"
)

// answer is what every candidate serves.
const answer = "ok\n"

// The names of the candidates, as the report uses them.
const (
	plainRespond = "caddy, respond"
	paidRespond  = "caddy + l402, respond, paid"
	plainProxy   = "caddy, reverse_proxy"
	paidProxy    = "caddy + l402, reverse_proxy, paid"
	unpaidProxy  = "caddy + l402, unpaid (an invoice from LND each)"
	paidAperture = "aperture, paid"
)

// candidate is one server under load.
type candidate struct {
	name, url, authorization string
	// refuses tells that every answer must be a refusal, and otherwise none.
	refuses bool
}

// bed is everything that runs during the measurement.
type bed struct {
	candidates []candidate

	pair     *lightning.Pair
	gateway  *gateway.Gateway
	aperture *proc.Process
	backend  *http.Server
}

func makeBed(ctx context.Context, dir, caddy, peers string) (b *bed, err error) {
	b = &bed{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if b.pair, err = lightning.Up(ctx, peers, dir); err != nil {
		return b, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return b, err
	}
	b.backend = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, answer)
	})}
	// Ends in close.
	go b.backend.Serve(listener)
	if err := b.startCaddy(ctx, dir, caddy, listener.Addr().String()); err != nil {
		return b, err
	}
	return b, b.startAperture(ctx, dir, peers, listener.Addr().String())
}

// startCaddy runs one process with all of Caddy's candidates, so that they share everything.
func (b *bed) startCaddy(ctx context.Context, dir, caddy, backend string) error {
	bob := b.pair.Bob
	b.gateway = gateway.New(dir, gateway.Options{
		Binary: caddy, Level: "ERROR",
		Global: fmt.Sprintf(`l402 {
	wallet node lnd %s {
		macaroon %s
		tls_cert %s
		network regtest
	}
}`, bob.Addr(), bob.InvoiceMacaroon(), bob.CertFile()),
		Site: fmt.Sprintf(`handle /plain/respond {
	respond %[1]q
}
handle /paid/respond {
	l402 10 sat {
		limit off
	}
	respond %[1]q
}
handle /plain/proxy {
	reverse_proxy %[2]s
}
handle /paid/proxy {
	l402 10 sat {
		limit off
	}
	reverse_proxy %[2]s
}`, answer, backend),
	})
	if err := b.gateway.Run(ctx); err != nil {
		return err
	}
	token, err := b.buy(ctx, b.gateway.Client, "/paid/proxy")
	if err != nil {
		return err
	}
	base := b.gateway.Base
	// The plain routes get the same request, token included: it costs time to read and to pass on.
	b.candidates = append(b.candidates,
		candidate{plainRespond, base + "/plain/respond", token, false},
		candidate{paidRespond, base + "/paid/respond", token, false},
		candidate{plainProxy, base + "/plain/proxy", token, false},
		candidate{paidProxy, base + "/paid/proxy", token, false},
		candidate{unpaidProxy, base + "/paid/proxy", "", true},
	)
	return nil
}

// buy pays for path with alice's coins and returns the Authorization.
func (b *bed) buy(ctx context.Context, c *client.Client, path string) (string, error) {
	resp, err := c.Try(ctx, http.MethodGet, path)
	if err != nil {
		return "", err
	}
	ch, err := client.ReadChallenge(resp.Response)
	if err != nil {
		return "", fmt.Errorf("buying %s%s: %w", c.Base, path, err)
	}
	preimage, err := b.pair.Alice.Pay(ctx, ch.Invoice)
	if err != nil {
		return "", err
	}
	token := client.Token{Macaroon: ch.Macaroon, Preimage: preimage}
	resp, err = c.Try(ctx, http.MethodGet, path, client.Auth(token))
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK || resp.Text != answer {
		return "", fmt.Errorf("after payment %s%s answers %d: %.200s", c.Base, path, resp.StatusCode, resp.Text)
	}
	return token.Header(), nil
}

func (b *bed) close() error {
	var errs []error
	if b.aperture != nil {
		errs = append(errs, b.aperture.Stop(20*time.Second))
	}
	if b.gateway != nil {
		errs = append(errs, b.gateway.Stop())
	}
	if b.backend != nil {
		errs = append(errs, b.backend.Close())
	}
	if b.pair != nil {
		errs = append(errs, b.pair.Down())
	}
	return errors.Join(errs...)
}

// apertureDir is where Aperture keeps what it needs.
func apertureDir(dir string) string { return filepath.Join(dir, "aperture") }
