package lnd

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func payer(t *testing.T) *rig {
	return quick(newRig(t, wallettest.NewEnv(t), lndtest.PayerRights, nil))
}

func TestPay(t *testing.T) {
	r := payer(t)
	for _, c := range []struct {
		fee  lnwire.MilliSatoshi
		want int64
	}{{0, 0}, {1234, 1234}, {math.MaxUint64, math.MaxInt64}} {
		invoice := r.node.Payable(t, 5000)
		d, err := wallets.DecodeInvoice(invoice)
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.wallet.Pay(t.Context(), "lightning:"+strings.ToUpper(invoice), c.fee)
		if err != nil || !p.Matches(d.PaymentHash) {
			t.Fatalf("paying: %v", err)
		}
		if got := r.node.LastFeeLimit(); got != c.want {
			t.Errorf("fee limit %d msat was sent as %d", uint64(c.fee), got)
		}
		again, err := r.wallet.Pay(t.Context(), invoice, c.fee)
		if err != nil || again != p {
			t.Errorf("paying again: got %v, want the same preimage", err)
		}
	}
}

// TestPayLosesItsStream has LND pay and the connection break before it says so.
func TestPayLosesItsStream(t *testing.T) {
	r := payer(t)
	r.node.CutPayment()
	if _, err := r.wallet.Pay(t.Context(), r.node.Payable(t, 5000), 1000); err != nil {
		t.Error(err)
	}
	if n := r.node.Calls(rpc.MethodSendPayment); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

func TestPayFails(t *testing.T) {
	for reason, want := range map[rpc.PaymentFailureReason]string{
		rpc.PaymentFailureReason_FAILURE_REASON_TIMEOUT:                   "in time",
		rpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE:                  "fee limit",
		rpc.PaymentFailureReason_FAILURE_REASON_ERROR:                     "no reason",
		rpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: "payee refuses",
		rpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE:      "not enough balance",
		rpc.PaymentFailureReason_FAILURE_REASON_CANCELED:                  "canceled",
		99: "no reason",
	} {
		r := payer(t)
		r.node.SetRefusal(reason)
		_, err := r.wallet.Pay(t.Context(), r.node.Payable(t, 5000), 1000)
		if !errors.Is(err, wallets.ErrPaymentFailed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want ErrPaymentFailed with %q", reason, err, want)
		}
	}
}

func TestPayRefuses(t *testing.T) {
	r := payer(t)
	issue := func(net wallets.Network, terms wallettest.Terms) string {
		issued, err := wallettest.NewNode(t, net).Issue(terms)
		if err != nil {
			t.Fatal(err)
		}
		return issued.Invoice
	}
	for _, c := range []struct{ name, invoice, want string }{
		{"another network", issue(wallets.Mainnet, wallettest.Terms{Amount: 1000}), "for mainnet"},
		{"no amount", issue(wallets.Regtest, wallettest.Terms{}), "no amount"},
		{"expired", issue(wallets.Regtest, wallettest.Terms{
			Amount: 1000, Expiry: time.Minute, Timestamp: time.Now().Add(-time.Hour),
		}), "expired"},
		{"BOLT 12", issue(wallets.Regtest, wallettest.Terms{Amount: 1000, Bolt12: true}), "BOLT 12"},
		{"nothing", "", "empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.wallet.Pay(t.Context(), c.invoice, 1000)
			if !errors.Is(err, wallets.ErrBadInvoice) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrBadInvoice with %q", err, c.want)
			}
		})
	}
	if n := r.node.Calls(rpc.MethodSendPayment); n != 0 {
		t.Errorf("%d of them were sent", n)
	}
}

func TestPayWithoutRight(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil)
	if _, err := r.wallet.Pay(t.Context(), r.node.Payable(t, 5000), 1000); !errors.Is(err, wallets.ErrUnauthorized) {
		t.Errorf("got %v, want ErrUnauthorized", err)
	}
}

// TestPayInDoubt ends the context while LND is silent: the payment may have gone through, so the
// error must not say that it failed.
func TestPayInDoubt(t *testing.T) {
	r := payer(t)
	r.node.Inflict(wallettest.Fault{Kind: wallettest.Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := r.wallet.Pay(ctx, r.node.Payable(t, 5000), 1000)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, wallets.ErrPaymentFailed) ||
		!strings.Contains(err.Error(), "may still succeed") {
		t.Errorf("got %v, want DeadlineExceeded and a word of doubt", err)
	}
}

// TestPayUnsent finds LND down: nothing was sent, so nothing has to be waited for.
func TestPayUnsent(t *testing.T) {
	r := payer(t)
	invoice := r.node.Payable(t, 5000)
	r.server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := r.wallet.Pay(ctx, invoice, 1000); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
