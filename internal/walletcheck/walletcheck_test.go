package walletcheck_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/internal/walletcheck"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// peer is a sandbox whose answers a test can change. It has no further abilities.
type peer struct {
	wallets.Wallet
	create func(context.Context, wallets.InvoiceRequest) (*wallets.Invoice, error)
	lookUp func(context.Context, lntypes.Hash) (*wallets.Status, error)
	asked  wallets.InvoiceRequest
}

func (p *peer) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	p.asked = req
	if p.create != nil {
		return p.create(ctx, req)
	}
	return p.Wallet.CreateInvoice(ctx, req)
}

func (p *peer) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	if p.lookUp != nil {
		return p.lookUp(ctx, hash)
	}
	return p.Wallet.LookupInvoice(ctx, hash)
}

// able is a peer that can be pinged and described.
type able struct {
	*peer
	ping, permissions error
}

func (a *able) Ping(context.Context) error { return a.ping }

func (a *able) Permissions(context.Context) ([]string, error) {
	return []string{"invoices:read", "invoices:write"}, a.permissions
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	inner, err := new(sandbox.Guest).Open(wallettest.NewEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	return &peer{Wallet: inner}
}

func declare(adapter string, w wallets.Wallet) walletcheck.Declared {
	return walletcheck.Declared{Name: "main", Adapter: adapter, Network: wallets.Regtest, Wallet: w}
}

func step(t *testing.T, r *walletcheck.Result, name string) walletcheck.Step {
	t.Helper()
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no step %q in %+v", name, r.Steps)
	return walletcheck.Step{}
}

func TestGoodWallet(t *testing.T) {
	p := newPeer(t)
	r := walletcheck.Checker{}.Check(t.Context(), declare("lnd", &able{peer: p}))
	if !r.OK || len(r.Steps) != 5 {
		t.Fatalf("%+v", r)
	}
	for _, s := range r.Steps {
		if s.Outcome != walletcheck.OK || s.Error != "" {
			t.Errorf("%+v", s)
		}
	}
	if p.asked.Amount != 1000 || p.asked.Memo != "caddy-l402 wallet check" {
		t.Errorf("asked for %+v", p.asked)
	}
	if *r.Abilities != (walletcheck.Abilities{LookUp: true, Ping: true}) {
		t.Errorf("%+v", *r.Abilities)
	}
	if len(r.Permissions) != 2 {
		t.Error(r.Permissions)
	}
	for _, s := range r.Steps {
		if strings.Contains(s.Detail, "lnbcrt") {
			t.Errorf("the invoice is shown: %+v", s)
		}
	}
}

func TestSandboxCanEverything(t *testing.T) {
	r := walletcheck.Checker{Amount: 5_000}.Check(t.Context(), declare("sandbox", newPeer(t).Wallet))
	if !r.OK || !r.Abilities.LookUp || !r.Abilities.Pay || !r.Abilities.Subscribe || !strings.Contains(r.Note, "not money") {
		t.Errorf("%+v %+v", r, r.Abilities)
	}
}

func TestTemplate(t *testing.T) {
	r := walletcheck.Checker{}.Check(t.Context(), declare("lnurl", nil))
	if !r.OK || !r.Template || len(r.Steps) != 0 || !strings.Contains(r.Note, "each request") {
		t.Errorf("%+v", r)
	}
}

func TestFailuresNameTheirCure(t *testing.T) {
	fail := func(err error) func(context.Context, wallets.InvoiceRequest) (*wallets.Invoice, error) {
		return func(context.Context, wallets.InvoiceRequest) (*wallets.Invoice, error) { return nil, err }
	}
	wrap := func(err error) error { return fmt.Errorf("asking node.example:1: %w", err) }
	for name, test := range map[string]struct {
		adapter string
		change  func(*able, *walletcheck.Declared)
		step    string
		cure    string
	}{
		"unauthorized lnd":      {"lnd", func(a *able, _ *walletcheck.Declared) { a.create = fail(wrap(wallets.ErrUnauthorized)) }, "invoice", "lncli bakemacaroon"},
		"unauthorized cln":      {"cln", func(a *able, _ *walletcheck.Declared) { a.create = fail(wrap(wallets.ErrUnauthorized)) }, "invoice", "createrune"},
		"unauthorized phoenixd": {"phoenixd", func(a *able, _ *walletcheck.Declared) { a.create = fail(wrap(wallets.ErrUnauthorized)) }, "invoice", "limited-access"},
		"unauthorized unknown":  {"other", func(a *able, _ *walletcheck.Declared) { a.create = fail(wrap(wallets.ErrUnauthorized)) }, "invoice", "credential"},
		"ping":                  {"eclair", func(a *able, _ *walletcheck.Declared) { a.ping = wrap(wallets.ErrUnavailable) }, "connect", "eclair.api"},
		"permissions":           {"nwc", func(a *able, _ *walletcheck.Declared) { a.permissions = wrap(wallets.ErrUnavailable) }, "permissions", "relays"},
		"no file": {"lnd", func(a *able, _ *walletcheck.Declared) {
			a.create = fail(fmt.Errorf("%w: %w", wallets.ErrUnavailable, fs.ErrNotExist))
		}, "invoice", "Caddy's user"},
		"amount":        {"lnurl", func(a *able, _ *walletcheck.Declared) { a.create = fail(wrap(wallets.ErrAmount)) }, "invoice", "--amount"},
		"rate limit":    {"nwc", func(a *able, _ *walletcheck.Declared) { a.create = fail(wrap(wallets.ErrRateLimited)) }, "invoice", "wait a minute"},
		"no invoice":    {"lnd", func(a *able, _ *walletcheck.Declared) { a.create = fail(nil) }, "invoice", "not the wallet's software"},
		"unknown error": {"lnd", func(a *able, _ *walletcheck.Declared) { a.create = fail(errors.New("boom")) }, "invoice", "rpclisten"},
		"panic": {"lnd", func(a *able, _ *walletcheck.Declared) {
			a.create = func(context.Context, wallets.InvoiceRequest) (*wallets.Invoice, error) { panic("hunter2") }
		}, "invoice", "fault of the adapter"},
		"network": {"lnd", func(_ *able, d *walletcheck.Declared) { d.Network = wallets.Mainnet }, "verify", "network regtest"},
		"wrong amount": {"lnd", func(a *able, _ *walletcheck.Declared) {
			a.create = func(ctx context.Context, r wallets.InvoiceRequest) (*wallets.Invoice, error) {
				r.Amount *= 2
				return a.Wallet.CreateInvoice(ctx, r)
			}
		}, "verify", "gate refuses"},
		"garbage": {"lnd", func(a *able, _ *walletcheck.Declared) {
			a.create = func(context.Context, wallets.InvoiceRequest) (*wallets.Invoice, error) {
				return &wallets.Invoice{PaymentRequest: "lnbc1\x1b[31m"}, nil
			}
		}, "verify", ""},
		"look-up forgets": {"lnd", func(a *able, _ *walletcheck.Declared) {
			a.lookUp = func(context.Context, lntypes.Hash) (*wallets.Status, error) { return nil, wrap(wallets.ErrNotFound) }
		}, "look-up", "another database"},
		"look-up nothing": {"lnd", func(a *able, _ *walletcheck.Declared) {
			a.lookUp = func(context.Context, lntypes.Hash) (*wallets.Status, error) { return nil, nil }
		}, "look-up", "wallet's software"},
		"settled at once": {"lnd", func(a *able, _ *walletcheck.Declared) {
			a.lookUp = func(context.Context, lntypes.Hash) (*wallets.Status, error) {
				return &wallets.Status{State: wallets.StateSettled}, nil
			}
		}, "look-up", "wallet's software"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &able{peer: newPeer(t)}
			d := declare(test.adapter, a)
			test.change(a, &d)
			r := walletcheck.Checker{}.Check(t.Context(), d)
			s := step(t, r, test.step)
			if r.OK || s.Outcome != walletcheck.Failed || s.Error == "" || s.Cure == "" || !strings.Contains(s.Cure, test.cure) {
				t.Errorf("%v %+v", r.OK, s)
			}
			if strings.Contains(s.Error, "hunter2") || strings.ContainsRune(s.Error, 0x1b) {
				t.Errorf("error %q", s.Error)
			}
			if (test.step == "invoice" || test.step == "verify") && step(t, r, "look-up").Outcome != walletcheck.Skipped {
				t.Error("looked up an invoice that is not good")
			}
		})
	}
}

func TestNoLookUpIsNoFailure(t *testing.T) {
	p := newPeer(t)
	p.lookUp = func(context.Context, lntypes.Hash) (*wallets.Status, error) { return nil, wallets.ErrLookupUnsupported }
	r := walletcheck.Checker{}.Check(t.Context(), declare("lnurl", p))
	if s := step(t, r, "look-up"); !r.OK || s.Outcome != walletcheck.Skipped || r.Abilities.LookUp {
		t.Errorf("%v %+v", r.OK, s)
	}
	if s := step(t, r, "permissions"); s.Outcome != walletcheck.Skipped {
		t.Errorf("%+v", s)
	}
}

func TestHangingWalletEndsInTime(t *testing.T) {
	p := newPeer(t)
	p.create = func(ctx context.Context, _ wallets.InvoiceRequest) (*wallets.Invoice, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := walletcheck.Checker{Timeout: 3 * time.Second}.Check(t.Context(), declare("lnd", p))
		s := step(t, r, "invoice")
		if r.OK || s.Millis != 3000 || time.Since(begin) != 3*time.Second || !strings.Contains(s.Cure, "firewall") {
			t.Errorf("%+v after %v", s, time.Since(begin))
		}
	})
}

// TestEveryAdapterHasCures keeps the texts complete when an adapter is added.
func TestEveryAdapterHasCures(t *testing.T) {
	for _, adapter := range []string{"lnd", "lnc", "cln", "bolt12", "eclair", "phoenixd", "lnbits", "nwc", "lnurl"} {
		for _, err := range []error{wallets.ErrUnauthorized} {
			if walletcheck.Cure(adapter, err) == walletcheck.Cure("other", err) {
				t.Errorf("%s has no cure of its own for: %v", adapter, err)
			}
		}
	}
}
