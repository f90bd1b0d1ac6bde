package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/client/payers"
	"github.com/caddy-l402/caddy-l402/internal/pricing"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// stepTimeout bounds each step of the exchange; all of it stays in this process.
const stepTimeout = 20 * time.Second

// Once starts the demonstration, performs the whole exchange, prints each step and stops. An error
// names the step that failed.
func (d *Demo) Once(ctx context.Context) (err error) {
	if err := d.start(); err != nil {
		return fmt.Errorf("step 0, starting the gate: %w", err)
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	d.printf("Caddy with the L402 gate listens on %s. Its wallet is a sandbox: no money moves.\n", d.url)
	s := &steps{demo: d, step: "1, the request"}
	if err := s.exchange(ctx); err != nil {
		return fmt.Errorf("step %s: %w", s.step, err)
	}
	d.printf("\nDone: the page was asked for, paid for and delivered.\n")
	return nil
}

func (d *Demo) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(d.Out, format, args...)
}

// steps prints an exchange as it goes.
type steps struct {
	demo *Demo
	step string
	// answers are the statuses that came.
	answers []int
}

func (s *steps) exchange(ctx context.Context) error {
	target, err := url.Parse(s.demo.url + Path)
	if err != nil {
		return err
	}
	// The exchange is with ourselves, so a proxy that the environment names has no part in it.
	transport := client.NewTransport(nil)
	transport.Proxy = nil
	defer transport.CloseIdleConnections()
	c := &client.Client{
		Wallet: &client.Wallet{
			Payer:   &payers.Sandbox{API: adminapi.Client{Address: s.demo.admin}},
			Network: wallets.Regtest,
		},
		MaxPrice: s.demo.Price, Transport: transport, Timeout: stepTimeout,
		Trace: client.Trace{Request: s.request, Response: s.response, Offer: s.offer, Paid: s.paid},
	}
	result, err := c.Do(ctx, &client.Request{URL: target})
	if err != nil {
		return err
	}
	defer result.Response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(result.Response.Body, 1<<20))
	if err != nil {
		return err
	}
	s.demo.printf("   %s\n", strings.TrimSpace(string(body)))
	switch {
	case result.Purchase == nil:
		return fmt.Errorf("the page came without payment, with status %d", result.Response.StatusCode)
	case result.Response.StatusCode != http.StatusOK:
		return fmt.Errorf("the paid request got status %d", result.Response.StatusCode)
	}
	return nil
}

func (s *steps) request(r *http.Request) {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		s.demo.printf("\n1. Request without payment\n   GET %s\n", r.URL)
		return
	}
	s.step = "4, the answer"
	s.demo.printf("\n4. The same request with token and preimage\n   GET %s\n   Authorization: %s\n",
		r.URL, shortCredential(authorization))
}

func (s *steps) response(r *http.Response) {
	s.answers = append(s.answers, r.StatusCode)
	s.demo.printf("   → %s\n", r.Status)
	if len(s.answers) == 1 {
		s.step = "2, the challenge"
	}
}

func (s *steps) offer(o *client.Offer) {
	s.demo.printf("\n2. Challenge: pay %s on %s\n   invoice       %s\n   payment hash  %s\n   token opens   %s",
		pricing.Format(o.Decoded.Amount), o.Decoded.Network, o.Decoded.PaymentRequest, o.Decoded.PaymentHash, o.Opens)
	if !o.ValidUntil.IsZero() {
		s.demo.printf(", until %s", o.ValidUntil.Format(time.RFC3339))
	}
	s.step = "3, the payment"
	s.demo.printf("\n\n3. Payment through the sandbox\n   POST http://%s/l402/sandbox/pay\n", s.demo.admin)
}

func (s *steps) paid(p *client.Purchase) {
	s.demo.printf("   → preimage %s…, whose SHA-256 is the payment hash\n", p.Preimage.String()[:16])
}

// shortCredential shows where token and preimage stand, and little of them.
func shortCredential(authorization string) string {
	token, preimage, ok := strings.Cut(authorization, ":")
	if !ok || len(token) < 24 || len(preimage) < 16 {
		return "…"
	}
	return token[:24] + "…:" + preimage[:16] + "…"
}
