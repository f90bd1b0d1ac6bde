package payers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/internal/adminapi"
	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// openSandbox pays invoices of a sandbox through the admin API of the Caddy that it runs in.
func openSandbox(_ context.Context, spec Spec) (*Opened, error) {
	for name := range spec.Settings {
		return nil, fmt.Errorf("it has no setting %.40q", name)
	}
	if spec.Address == "" {
		spec.Address = caddy.DefaultAdminListen
	}
	return &Opened{
		Wallet: client.Wallet{
			Payer:   &Sandbox{API: adminapi.Client{Address: spec.Address}},
			Network: wallets.Regtest,
		},
		Closer: io.NopCloser(nil),
		Name:   "the sandbox at " + spec.Address,
	}, nil
}

// Sandbox pays for nothing: it asks the admin API of a Caddy with a sandbox wallet for the preimage.
type Sandbox struct {
	// API is the admin API of that Caddy.
	API adminapi.Client
}

// Pay implements wallets.Payer for the sandbox's own invoices. No money can be lost, so every error
// wraps wallets.ErrPaymentFailed.
func (s *Sandbox) Pay(ctx context.Context, invoice string, _ lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	preimage, err := s.pay(ctx, invoice)
	if err != nil {
		return lntypes.Preimage{}, fmt.Errorf("paying in the sandbox: %w: %w", wallets.ErrPaymentFailed, err)
	}
	return preimage, nil
}

// PayWithFee implements wallets.FeePayer: there is no fee.
func (s *Sandbox) PayWithFee(ctx context.Context, invoice string, maxFee lnwire.MilliSatoshi) (lntypes.Preimage, lnwire.MilliSatoshi, error) {
	preimage, err := s.Pay(ctx, invoice, maxFee)
	return preimage, 0, err
}

func (s *Sandbox) pay(ctx context.Context, invoice string) (lntypes.Preimage, error) {
	decoded, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		return lntypes.Preimage{}, err
	}
	if decoded.Network != wallets.Regtest {
		return lntypes.Preimage{}, fmt.Errorf("the invoice is for %s, and a sandbox has no money of that kind", decoded.Network)
	}
	var answer struct {
		Preimage string `json:"preimage"`
	}
	err = s.API.Call(ctx, http.MethodPost, "/l402/sandbox/pay", map[string]string{"invoice": decoded.PaymentRequest}, &answer)
	if errors.Is(err, adminapi.ErrUnreachable) {
		return lntypes.Preimage{}, fmt.Errorf("%w; name its address with --admin, or a real wallet with --wallet", err)
	}
	if err != nil {
		return lntypes.Preimage{}, err
	}
	preimage, err := lntypes.MakePreimageFromStr(answer.Preimage)
	if err != nil {
		return lntypes.Preimage{}, errors.New("the admin API's answer holds no preimage")
	}
	return preimage, nil
}

// Interface guards
var (
	_ wallets.Payer    = (*Sandbox)(nil)
	_ wallets.FeePayer = (*Sandbox)(nil)
)
