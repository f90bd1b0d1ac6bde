package cln

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln/clntest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// refuseWith makes the method fail with the code, with a text that holds what should not come out.
func refuseWith(node *clntest.Node, method string, code int) {
	node.Before(func(c clntest.Call) *clntest.Error {
		if c.Method == method {
			return &clntest.Error{Code: code, Message: "because"}
		}
		return nil
	})
}

func TestPayOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name string
		code int
		// state is what listpays says.
		state string
		paid  bool
		want  error
	}{
		{"no route", 205, "", false, wallets.ErrPaymentFailed},
		{"too expensive", 206, "", false, wallets.ErrPaymentFailed},
		{"expired", 207, "", false, wallets.ErrPaymentFailed},
		{"no funds", 215, "", false, wallets.ErrPaymentFailed},
		{"bad parameters", -32602, "", false, wallets.ErrPaymentFailed},
		{"refused by the payee", 203, "failed", false, wallets.ErrPaymentFailed},
		{"stopped, never begun", 210, "", false, wallets.ErrPaymentFailed},
		{"other error, but it went through", 209, "complete", true, nil},
		{"paid before", 219, "complete", true, nil},
		{"other error, still under way", 209, "pending", false, context.DeadlineExceeded},
		{"in progress", 200, "pending", false, context.DeadlineExceeded},
		{"in progress, failing so far", 200, "failed", false, context.DeadlineExceeded},
		{"rune too narrow", 1502, "", false, wallets.ErrUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, node *clntest.Node, c *Client) {
				c.firstRetry, c.lastRetry = time.Millisecond, time.Millisecond
				invoice := node.Payable(t, 10_000)
				if tt.state != "" {
					node.SetPay(t, invoice, tt.state)
				}
				refuseWith(node, "xpay", tt.code)
				patience := 20 * time.Second
				if tt.want == context.DeadlineExceeded {
					patience = 300 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				p, err := c.Pay(ctx, invoice, 1000)
				d, _ := wallets.DecodeInvoice(invoice)
				if tt.paid {
					if err != nil || !p.Matches(d.PaymentHash) {
						t.Errorf("got %v", err)
					}
					return
				}
				demand(t, "paying", err, false, tt.want)
				if tt.want != wallets.ErrPaymentFailed && errors.Is(err, wallets.ErrPaymentFailed) {
					t.Errorf("%v says that no money left", err)
				}
			})
		})
	}
}

func TestPayWithoutXpay(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		node.Hide("xpay")
		invoice := node.Payable(t, 10_000)
		p, err := c.Pay(t.Context(), invoice, 1234)
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := wallets.DecodeInvoice(invoice); !p.Matches(d.PaymentHash) {
			t.Error("the preimage is not the invoice's")
		}
		calls := node.Calls()
		if last := calls[len(calls)-1]; last.Method != "pay" || string(last.Params["maxfee"]) != "1234" {
			t.Errorf("the last call was %s %s", last.Method, last.Params)
		}
	})
}

// TestPayLostConnection finds out by listpays how a payment ended whose answer was lost.
func TestPayLostConnection(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		c.firstRetry, c.lastRetry = time.Millisecond, time.Millisecond
		invoice := node.Payable(t, 10_000)
		node.Inflict(wallettest.Fault{Kind: wallettest.Disconnect})
		heal := time.AfterFunc(100*time.Millisecond, func() { node.Inflict(wallettest.Fault{}) })
		defer heal.Stop()
		if _, err := c.Pay(t.Context(), invoice, 1000); err != nil {
			t.Error(err)
		}
		n := 0
		for _, call := range node.Calls() {
			if call.Method == "xpay" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d payments were made", n)
		}
	})
}

func TestPayUnreachable(t *testing.T) {
	c := open(t, wallettest.NewEnv(t), &Node{Address: "/nonexistent/lightning-rpc"}, nil)
	other := clntest.New(t, wallets.Regtest)
	_, err := c.Pay(t.Context(), other.Payable(t, 10_000), 1000)
	demand(t, "paying", err, false, wallets.ErrPaymentFailed)
}

func TestPayRefusesInvoices(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	c := openSocket(t, wallettest.NewEnv(t), node)
	foreign := clntest.New(t, wallets.Testnet)
	old := wallettest.NewNode(t, wallets.Regtest)
	expired, err := old.Issue(wallettest.Terms{Amount: 1, Timestamp: time.Now().Add(-2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	open, err := old.Issue(wallettest.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	for name, invoice := range map[string]string{
		"other network": foreign.Payable(t, 1), "expired": expired.Invoice, "no amount": open.Invoice, "none": "lnbc",
	} {
		_, err := c.Pay(t.Context(), invoice, 1000)
		demand(t, name, err, false, wallets.ErrBadInvoice)
	}
	if n := len(node.Calls()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// TestPayLies refuses the word of a node that says it paid and has no proof.
func TestPayLies(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	invoice := node.Payable(t, 1000)
	for name, result := range map[string]string{
		"none": `{}`, "foreign": `{"payment_preimage":"` + strings.Repeat("11", 32) + `"}`, "text": `{"payment_preimage":"yes"}`,
	} {
		c := newClient(&fixed{result: result}, "double", wallettest.NewEnv(t).Logger, Options{Network: wallets.Regtest})
		_, err := c.Pay(t.Context(), invoice, 1000)
		demand(t, name, err, false, wallets.ErrBadAnswer)
		if strings.Contains(err.Error(), "1111") {
			t.Errorf("%s: the preimage is in %v", name, err)
		}
	}
}
