package nwc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/nbd-wtf/go-nostr"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestPayRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		code  string
		final bool
	}{
		"no route": {codePaymentFailed, true}, "no money": {codeNoBalance, true}, "budget spent": {codeQuota, true},
		"broken": {codeInternal, false}, "something": {"OTHER", false}, "not allowed": {codeRestricted, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, modern, 1)
			s.tamper = func(_ string, r map[string]any) {
				r["result"], r["error"] = nil, map[string]string{"code": c.code, "message": "no"}
			}
			w := s.open(t, wallettest.NewEnv(t))
			_, err := w.Pay(t.Context(), s.payable(t, 5000), 1000)
			if err == nil || errors.Is(err, wallets.ErrPaymentFailed) != c.final {
				t.Errorf("got %v, final: want %v", err, c.final)
			}
		})
	}
}

func TestPayBadInvoices(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	mainnet := wallettest.NewNode(t, wallets.Mainnet)
	for name, c := range map[string]struct {
		node  *wallettest.Node
		terms wallettest.Terms
	}{
		"another network": {mainnet, wallettest.Terms{Amount: 1000}},
		"no amount":       {s.other, wallettest.Terms{}},
		"expired":         {s.other, wallettest.Terms{Amount: 1000, Timestamp: time.Now().Add(-2 * time.Hour)}},
		"BOLT 12":         {s.other, wallettest.Terms{Amount: 1000, Bolt12: true}},
	} {
		issued, err := c.node.Issue(c.terms)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Pay(t.Context(), issued.Invoice, 0); !errors.Is(err, wallets.ErrBadInvoice) {
			t.Errorf("%s: got %v, want ErrBadInvoice", name, err)
		}
	}
	if n := s.count(methodPay); n != 0 {
		t.Errorf("the wallet was asked to pay %d bad invoices", n)
	}
}

func TestPayWrongPreimage(t *testing.T) {
	for name, preimage := range map[string]any{"of another": lntypes.Preimage{9}.String(), "none": "", "null": nil} {
		s := newService(t, modern, 1)
		s.tamper = func(_ string, r map[string]any) { r["result"].(map[string]any)["preimage"] = preimage }
		w := s.open(t, wallettest.NewEnv(t))
		if _, err := w.Pay(t.Context(), s.payable(t, 5000), 1000); !errors.Is(err, wallets.ErrBadAnswer) {
			t.Errorf("%s: got %v, want ErrBadAnswer", name, err)
		}
	}
}

func TestPayDearFee(t *testing.T) {
	s := newService(t, modern, 1)
	s.tamper = func(_ string, r map[string]any) { r["result"].(map[string]any)["fees_paid"] = 5000 }
	env := wallettest.NewEnv(t)
	w := s.open(t, env)
	if _, err := w.Pay(t.Context(), s.payable(t, 5000), 4999); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(env.Log(), `"fee_msat":5000`) {
		t.Error("a fee above the limit is not logged")
	}
}

// TestPayLostAnswer loses the answer to a payment: it is not paid again but asked after.
func TestPayLostAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		state string
		want  error
	}{"paid": {stateSettled, nil}, "given up": {stateFailed, wallets.ErrPaymentFailed}} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, modern, 1)
			w := s.open(t, wallettest.NewEnv(t))
			invoice := s.payable(t, 5000)
			d, err := wallets.DecodeInvoice(invoice)
			if err != nil {
				t.Fatal(err)
			}
			s.set(func() {
				s.quiet = true
				s.evil = func(nostr.Event, nostr.Event) []nostr.Event {
					// In the place of the answer: the connection breaks, and from
					// then on the wallet answers.
					s.quiet, s.evil = false, nil
					s.dropAfter = true
					return nil
				}
				s.tamper = func(method string, r map[string]any) {
					if method == methodLookup {
						r["error"], r["result"] = nil, map[string]any{
							"type": typeOutgoing, "state": c.state, "payment_hash": d.PaymentHash.String(),
							"preimage": s.dues[invoice].String(), "amount": 5000,
						}
					}
				}
			})
			preimage, err := w.Pay(t.Context(), invoice, 1000)
			if !errors.Is(err, c.want) || err == nil && !preimage.Matches(d.PaymentHash) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if n := s.count(methodPay); n != 1 {
				t.Errorf("the wallet was asked to pay %d times", n)
			}
		})
	}
}

// TestPayNoAnswer: without any answer the error says that the payment may still succeed.
func TestPayNoAnswer(t *testing.T) {
	s := newService(t, modern, 1)
	w := s.open(t, wallettest.NewEnv(t))
	s.set(func() { s.fault.Kind = wallettest.Hang })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := w.Pay(ctx, s.payable(t, 5000), 1000)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, wallets.ErrPaymentFailed) || !strings.Contains(err.Error(), "may still succeed") {
		t.Errorf("got %v", err)
	}
}

// TestPayRefusedByRelay: what no relay takes, the wallet cannot have paid, so nothing is waited for.
func TestPayRefusedByRelay(t *testing.T) {
	s := newService(t, modern, 2)
	for _, r := range s.relays {
		r.set(func() { r.fault, r.reason = relayRejects, "mute: no one was listening for this" })
	}
	w := s.open(t, wallettest.NewEnv(t))
	start := time.Now()
	_, err := w.Pay(t.Context(), s.payable(t, 5000), 1000)
	if !errors.Is(err, wallets.ErrUnavailable) || strings.Contains(err.Error(), "may still succeed") {
		t.Errorf("got %v, want ErrUnavailable alone", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
