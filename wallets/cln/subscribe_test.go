package cln

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln/clntest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// settle makes an invoice and pays it.
func settle(t *testing.T, node *clntest.Node, c *Client) lntypes.Hash {
	t.Helper()
	inv, err := c.CreateInvoice(t.Context(), usual)
	if err != nil {
		t.Fatal(err)
	}
	node.Pay(t, inv.PaymentRequest)
	return inv.PaymentHash
}

// heard is what a subscription told.
type heard struct {
	mu   sync.Mutex
	list []wallets.Settlement
}

func (h *heard) add(s wallets.Settlement) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, s)
}

func (h *heard) hashes() map[lntypes.Hash]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[lntypes.Hash]int)
	for _, s := range h.list {
		out[s.PaymentHash]++
	}
	return out
}

// subscribe starts a subscription that ends with the test.
func subscribe(t *testing.T, c *Client, cursor string) *heard {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h, done := new(heard), make(chan error, 1)
	// Ends by the cleanup.
	go func() { done <- c.SubscribeSettlements(ctx, cursor, h.add) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the subscription ended with %v", err)
		}
	})
	return h
}

func (h *heard) await(t *testing.T, want []lntypes.Hash) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		got, missing := h.hashes(), 0
		for _, hash := range want {
			if got[hash] == 0 {
				missing++
			}
		}
		if missing == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d settlements were lost", missing, len(want))
		}
	}
}

// TestReconnectLosesNothing breaks the connection in every way while invoices are paid.
func TestReconnectLosesNothing(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		c.firstRetry, c.lastRetry = time.Millisecond, 5*time.Millisecond
		h := subscribe(t, c, "")
		want := []lntypes.Hash{settle(t, node, c)}
		h.await(t, want)
		for _, kind := range []wallettest.Ability{
			wallettest.Disconnect, wallettest.Garbage, wallettest.ServerError, wallettest.Disconnect, wallettest.Huge,
		} {
			inv, err := c.CreateInvoice(t.Context(), usual)
			if err != nil {
				t.Fatal(err)
			}
			node.Inflict(wallettest.Fault{Kind: kind})
			node.Pay(t, inv.PaymentRequest)
			time.Sleep(20 * time.Millisecond)
			node.Inflict(wallettest.Fault{})
			want = append(want, inv.PaymentHash, settle(t, node, c))
			h.await(t, want)
		}
	})
}

// TestFirstCallsFail loses nothing that was paid after the subscription began, though it never
// reached the node before.
func TestFirstCallsFail(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		c.firstRetry, c.lastRetry = time.Millisecond, 5*time.Millisecond
		for range 5 {
			settle(t, node, c)
		}
		node.Backdate(time.Hour)
		inv, err := c.CreateInvoice(t.Context(), usual)
		if err != nil {
			t.Fatal(err)
		}
		node.Inflict(wallettest.Fault{Kind: wallettest.Disconnect})
		h := subscribe(t, c, "")
		time.Sleep(20 * time.Millisecond)
		node.Pay(t, inv.PaymentRequest)
		node.Inflict(wallettest.Fault{})
		h.await(t, []lntypes.Hash{inv.PaymentHash})
		if got := h.hashes(); len(got) != 1 {
			t.Errorf("%d settlements were told, 5 of them long past", len(got))
		}
	})
}

func TestRateLimitedSubscriptionGoesOn(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	text := node.Rune(gateMethods...)
	c := openREST(t, wallettest.NewEnv(t), node, text)
	c.firstRetry, c.lastRetry = time.Millisecond, 5*time.Millisecond
	node.Limit(text, true)
	h := subscribe(t, c, "0")
	time.Sleep(20 * time.Millisecond)
	node.Limit(text, false)
	h.await(t, []lntypes.Hash{settle(t, node, c)})
}

// TestIndexAt looks for the latest index among n payments, of which autoclean has deleted some.
func TestIndexAt(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 7, 8, 9, 100, 1000} {
		for _, deleted := range []int{0, n / 2, n} {
			t.Run(fmt.Sprintf("%d payments, %d deleted", n, deleted), func(t *testing.T) {
				node := clntest.New(t, wallets.Regtest)
				c := openSocket(t, wallettest.NewEnv(t), node)
				for i := range n {
					if i == deleted {
						node.Forget()
					}
					settle(t, node, c)
				}
				if deleted == n {
					node.Forget()
				}
				node.Backdate(time.Hour)
				before := len(node.Calls())
				last, err := c.indexAt(t.Context(), time.Now().Add(-time.Minute))
				if err != nil {
					t.Fatal(err)
				}
				want := uint64(n)
				if deleted == n {
					want = 0
				}
				if last != want {
					t.Errorf("found %d, want %d", last, want)
				}
				if calls := len(node.Calls()) - before; calls > 24 {
					t.Errorf("%d calls", calls)
				}
			})
		}
	}
}

// TestNewOnly tells nothing of what was settled long ago, but all of the last minute.
func TestNewOnly(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		for range 10 {
			settle(t, node, c)
		}
		node.Backdate(time.Hour)
		recent := settle(t, node, c)
		h := subscribe(t, c, "")
		h.await(t, []lntypes.Hash{recent, settle(t, node, c)})
		if got := len(h.hashes()); got != 2 {
			t.Errorf("%d settlements were told, want 2", got)
		}
	})
}

func TestBadCursor(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	c := openSocket(t, wallettest.NewEnv(t), node)
	for _, cursor := range []string{"x", "-1", "1.5", " 1", "9223372036854775808", strings.Repeat("9", 30)} {
		err := c.SubscribeSettlements(t.Context(), cursor, func(wallets.Settlement) {})
		if err == nil || !strings.Contains(err.Error(), "not a pay index") {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
	if n := len(node.Calls()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

func TestNoSuchCommand(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		node.Hide("waitanyinvoice")
		err := c.SubscribeSettlements(t.Context(), "", func(wallets.Settlement) {})
		demand(t, "subscribing", err, false, ErrNoMethod)
	})
}

// fixed is a transport that always gives the same result.
type fixed struct {
	result string
	calls  int
}

func (f *fixed) call(ctx context.Context, _ string, _ jsonText) (jsonText, error) {
	f.calls++
	return jsonText(f.result), ctx.Err()
}
func (*fixed) permissions() ([]string, error) { return nil, nil }
func (*fixed) Close() error                   { return nil }

// TestNoProgress refuses answers from which a subscription would tell the same for ever.
func TestNoProgress(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for name, result := range map[string]string{
		"same index":   `{"status":"paid","payment_hash":"` + hash + `","pay_index":5,"amount_received_msat":1,"paid_at":1}`,
		"no index":     `{"status":"paid","payment_hash":"` + hash + `"}`,
		"huge index":   `{"status":"paid","payment_hash":"` + hash + `","pay_index":18446744073709551615}`,
		"not paid":     `{"status":"expired","payment_hash":"` + hash + `","pay_index":6}`,
		"no hash":      `{"status":"paid","payment_hash":"ab","pay_index":6}`,
		"empty":        `{}`,
		"negative":     `{"status":"paid","payment_hash":"` + hash + `","pay_index":-6}`,
		"other format": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixed{result: result}
			env := wallettest.NewEnv(t)
			c := newClient(f, "double", env.Logger, Options{})
			if _, err := c.after(t.Context(), 5, 0); !errors.Is(err, wallets.ErrBadAnswer) {
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := c.SubscribeSettlements(ctx, "5", func(s wallets.Settlement) { t.Errorf("told of %v", s) })
			if !errors.Is(err, context.DeadlineExceeded) || f.calls > 3 {
				t.Errorf("ended with %v after %d calls", err, f.calls)
			}
		})
	}
}

// endless always knows one more payment, long past.
type endless struct{ fixed }

func (e *endless) call(ctx context.Context, _ string, params jsonText) (jsonText, error) {
	e.calls++
	var in struct {
		Last uint64 `json:"lastpay_index"`
	}
	if err := unmarshal(params, &in); err != nil {
		return nil, err
	}
	return jsonText(fmt.Sprintf(`{"status":"paid","payment_hash":"%s","pay_index":%d,"paid_at":1}`,
		strings.Repeat("ab", 32), in.Last+1)), ctx.Err()
}

func TestEndlessPast(t *testing.T) {
	e := new(endless)
	c := newClient(e, "double", wallettest.NewEnv(t).Logger, Options{})
	if _, err := c.indexAt(t.Context(), time.Now()); !errors.Is(err, wallets.ErrBadAnswer) {
		t.Errorf("got %v", err)
	}
	if e.calls > 70 {
		t.Errorf("%d calls", e.calls)
	}
}
