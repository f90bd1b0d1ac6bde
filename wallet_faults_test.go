package caddyl402

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func TestWalletDown(t *testing.T) {
	s := serve(t, "wallet node fake down", gated)
	p := s.buy("/premium/x")
	w := fake(t, "down")
	w.fail(func(context.Context) error { return fmt.Errorf("%w: secret=hunter2", errDown) })
	for range 20 { // also when the breaker is open
		a := s.want(http.StatusServiceUnavailable, "GET", "/premium/x")
		if a.Header.Get("Retry-After") == "" || a.code() != "wallet_unavailable" || a.Header.Get("WWW-Authenticate") != "" {
			t.Fatal(a.Header, a.body)
		}
		if contains(a.body, "hunter2") || contains(a.body, "down") {
			t.Fatal("the wallet's error reached the client:", a.body)
		}
	}
	if n := w.creates.Load(); n > 10 {
		t.Errorf("a wallet that fails was called %d times", n)
	}
	s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
	s.want(200, "GET", "/free")
}

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestWalletDownAndPass(t *testing.T) {
	s := serve(t, "wallet node fake pass", "l402 10 sat {\n\ton_wallet_error pass\n}\ntest_upstream")
	w := fake(t, "pass")
	s.want(402, "GET", "/x")
	w.fail(func(context.Context) error { return errDown })
	s.want(200, "GET", "/x")
}

func TestHangingWalletHoldsUpNobodyElse(t *testing.T) {
	s := serve(t, "wallet_timeout 1s\nwallet node fake hang", gated)
	p := s.buy("/premium/x")
	fake(t, "hang").fail(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	var waiting sync.WaitGroup
	for range 30 {
		waiting.Go(func() {
			if a := s.do("GET", "/premium/x"); a.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("got %d", a.StatusCode)
			}
		})
	}
	done := make(chan struct{})
	go func() { // ends with the requests below
		defer close(done)
		for range 100 {
			s.want(200, "GET", "/premium/x", "Authorization", p.authorization())
			s.want(200, "GET", "/free")
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("paid and free requests wait for a wallet that hangs")
	}
	waiting.Wait()
}

func TestPanickingWallet(t *testing.T) {
	s := serve(t, "wallet node fake panic", gated)
	fake(t, "panic").fail(func(context.Context) error { panic("preimage=12345") })
	a := s.want(http.StatusServiceUnavailable, "GET", "/premium/x")
	if contains(a.body, "12345") {
		t.Error(a.body)
	}
}

// lyingWallet changes what the sandbox says.
type lyingWallet struct {
	wallets.Wallet
	lie func(*wallets.InvoiceRequest, *wallets.Invoice)
}

func (w lyingWallet) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	w.lie(&req, nil)
	inv, err := w.Wallet.CreateInvoice(ctx, req)
	if err == nil {
		w.lie(nil, inv)
	}
	return inv, err
}

func TestLyingWallet(t *testing.T) {
	for name, lie := range map[string]func(*wallets.InvoiceRequest, *wallets.Invoice){
		"another amount": func(req *wallets.InvoiceRequest, _ *wallets.Invoice) {
			if req != nil {
				req.Amount += 1000
			}
		},
		"another hash": func(_ *wallets.InvoiceRequest, inv *wallets.Invoice) {
			if inv != nil {
				inv.PaymentHash = lntypes.Hash{1}
			}
		},
		"no invoice": func(_ *wallets.InvoiceRequest, inv *wallets.Invoice) {
			if inv != nil {
				inv.PaymentRequest = "lnbcrt1"
			}
		},
		"a header of its own": func(_ *wallets.InvoiceRequest, inv *wallets.Invoice) {
			if inv != nil {
				inv.PaymentRequest += "\"\r\nX-Evil: 1"
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "wallet node fake lying", "l402 10 sat {\n\ton_wallet_error pass\n}\ntest_upstream")
			w := fake(t, "lying")
			w.inner = lyingWallet{w.inner, lie}
			// A bad invoice is never free, not even where a wallet that is down would be.
			for range 10 { // also when the wallet is left alone for it
				s.want(http.StatusServiceUnavailable, "GET", "/x")
			}
			if upstreamHits.Load() != 0 {
				t.Error("it reached the upstream")
			}
		})
	}
}

func TestDetectPayment(t *testing.T) {
	s := serve(t, "wallet node fake detect", gated)
	w := fake(t, "detect")
	challenge := s.challenge(s.want(402, "GET", "/premium/x"))
	alone := "L402 " + base64.StdEncoding.EncodeToString(challenge.Macaroon)

	again := s.challenge(s.wantCode("payment_pending", "/premium/x", "Authorization", alone))
	if again.Invoice != challenge.Invoice || string(again.Macaroon) != string(challenge.Macaroon) {
		t.Error("a pending token got another invoice")
	}
	if w.creates.Load() != 1 {
		t.Error("a second invoice was made")
	}
	for range 50 {
		s.wantCode("payment_pending", "/premium/x", "Authorization", alone)
	}
	if n := w.lookups.Load(); n > 5 {
		t.Errorf("51 polls of a client became %d polls of the wallet", n)
	}

	// The look-up fails: the client may have paid, so neither content nor a new invoice.
	time.Sleep(600 * time.Millisecond)
	w.fail(func(context.Context) error { return errDown })
	a := s.want(http.StatusServiceUnavailable, "GET", "/premium/x", "Authorization", alone)
	if a.Header.Get("Retry-After") == "" {
		t.Error(a.Header)
	}
	w.fail(nil)

	s.pay(challenge.Invoice)
	s.want(200, "GET", "/premium/x", "Authorization", alone)
	before := w.lookups.Load()
	w.fail(func(context.Context) error { return errDown })
	for range 10 { // a settled answer is remembered
		s.want(200, "GET", "/premium/x", "Authorization", alone)
	}
	if w.lookups.Load() != before {
		t.Error("a settled invoice was looked up again")
	}
}

func TestForgedTokenCausesNoWalletCall(t *testing.T) {
	s := serve(t, "wallet node fake forged", "l402 10 sat {\n\tlimit 2 1h\n}\ntest_upstream")
	w := fake(t, "forged")
	challenge := s.challenge(s.want(402, "GET", "/x"))
	mac := append([]byte(nil), challenge.Macaroon...)
	mac[len(mac)-1] ^= 1
	alone := "L402 " + base64.StdEncoding.EncodeToString(mac)
	s.wantCode("bad_signature", "/x", "Authorization", alone)
	for range 10 {
		s.want(429, "GET", "/x", "Authorization", alone)
	}
	if w.lookups.Load() != 0 {
		t.Errorf("a forged token caused %d look-ups", w.lookups.Load())
	}
}

func TestLookupsAreShared(t *testing.T) {
	s := serve(t, "wallet node fake shared", gated)
	w := fake(t, "shared")
	challenge := s.challenge(s.want(402, "GET", "/premium/x"))
	alone := "L402 " + base64.StdEncoding.EncodeToString(challenge.Macaroon)
	s.pay(challenge.Invoice)
	release := make(chan struct{})
	w.fail(func(context.Context) error { <-release; return nil })
	var waiting sync.WaitGroup
	for range 40 {
		waiting.Go(func() {
			if a := s.do("GET", "/premium/x", "Authorization", alone); a.StatusCode != 200 {
				t.Errorf("got %d", a.StatusCode)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	close(release)
	waiting.Wait()
	if n := w.lookups.Load(); n != 1 {
		t.Errorf("40 requests for one hash caused %d look-ups", n)
	}
}

func TestUnknownInvoiceOfAGoodToken(t *testing.T) {
	s := serve(t, "wallet node fake unknown", gated)
	now := time.Now().Add(time.Hour).Unix()
	mac := s.forge(lntypes.Hash{9}, "services=premium:0", "premium_host=127.0.0.1", "premium_valid_until="+itoa(now))
	s.wantCode("invoice_expired", "/premium/x", "Authorization", "L402 "+base64.StdEncoding.EncodeToString(mac))
}
