package cln

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cln/clntest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var usual = wallets.InvoiceRequest{Amount: 10_000, Memo: "test", Expiry: 10 * time.Minute}

// both runs the test over each transport.
func both(t *testing.T, test func(t *testing.T, node *clntest.Node, c *Client)) {
	t.Run("socket", func(t *testing.T) {
		node := clntest.New(t, wallets.Regtest)
		test(t, node, openSocket(t, wallettest.NewEnv(t), node))
	})
	t.Run("REST", func(t *testing.T) {
		node := clntest.New(t, wallets.Regtest)
		test(t, node, openREST(t, wallettest.NewEnv(t), node, node.Rune()))
	})
}

func TestErrorCodes(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		for _, tt := range []struct {
			code int
			want []error
			text string
		}{
			{-32600, []error{ErrRefused}, ""},
			{-32601, []error{ErrNoMethod}, ""},
			{-32602, []error{ErrRefused}, ""},
			{-1, []error{ErrRefused}, ""},
			{-4, []error{wallets.ErrUnavailable}, "plugin"},
			{-5, []error{wallets.ErrUnavailable}, "shutting down"},
			{900, []error{ErrRefused}, ""},
			{901, []error{ErrRefused}, ""},
			{902, []error{ErrRefused}, "channels"},
			{905, []error{wallets.ErrNotFound}, ""},
			{907, []error{ErrOffer, wallets.ErrUnavailable}, "enable"},
			{1002, []error{ErrOffer, wallets.ErrUnavailable}, "expired"},
			{1003, []error{ErrOffer, wallets.ErrUnavailable}, "path"},
			{1004, []error{ErrOffer, wallets.ErrUnavailable}, "refused"},
			{1005, []error{ErrOffer, wallets.ErrUnavailable}, "in time"},
			{1007, []error{ErrOffer, wallets.ErrUnavailable}, "single use"},
			{1501, []error{wallets.ErrUnauthorized}, "createrune"},
			{1502, []error{wallets.ErrUnauthorized}, "createrune"},
			{1503, []error{wallets.ErrUnauthorized}, "createrune"},
			{12345, []error{ErrRefused}, ""},
		} {
			node.Before(func(clntest.Call) *clntest.Error {
				return &clntest.Error{Code: tt.code, Message: "some reason"}
			})
			_, err := c.CreateInvoice(t.Context(), usual)
			for _, want := range tt.want {
				if !errors.Is(err, want) {
					t.Errorf("code %d: got %v, want %v", tt.code, err, want)
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), "some reason") {
				t.Errorf("code %d: %v does not say %q", tt.code, err, tt.text)
			}
			if _, err := c.LookupInvoice(t.Context(), lntypes.Hash{1}); errors.Is(err, wallets.ErrNotFound) != (tt.code == 905) {
				t.Errorf("code %d: look-up says %v", tt.code, err)
			}
		}
	})
}

func TestDuplicateLabel(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		labels := []string{"l402-a", "l402-a", "l402-a", "l402-b"}
		c.label = func() string {
			next := labels[0]
			labels = labels[1:]
			return next
		}
		for range 2 {
			if _, err := c.CreateInvoice(t.Context(), usual); err != nil {
				t.Fatal(err)
			}
		}
		if len(labels) != 0 {
			t.Errorf("labels left over: %q", labels)
		}
		c.label = func() string { return "l402-a" }
		before := len(node.Calls())
		if _, err := c.CreateInvoice(t.Context(), usual); code(err) != 900 {
			t.Errorf("with no label free: %v", err)
		}
		if n := len(node.Calls()) - before; n != labelTries {
			t.Errorf("%d tries", n)
		}
	})
}

func TestRuneRights(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	for name, tt := range map[string]struct {
		rune string
		// allowed are the calls that must work.
		create, look bool
		want         error
	}{
		"the gate's":     {node.Rune(gateMethods...), true, true, nil},
		"no invoice":     {node.Rune("listinvoices", "waitanyinvoice"), false, true, wallets.ErrUnauthorized},
		"no look-up":     {node.Rune("invoice", "waitanyinvoice"), true, false, wallets.ErrUnauthorized},
		"another node's": {clntest.New(t, wallets.Regtest).Rune(), false, false, wallets.ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			c := openREST(t, wallettest.NewEnv(t), node, tt.rune)
			_, err := c.CreateInvoice(t.Context(), usual)
			demand(t, "creating", err, tt.create, tt.want)
			_, err = c.LookupInvoice(t.Context(), lntypes.Hash{1})
			if errors.Is(err, wallets.ErrNotFound) {
				err = nil
			}
			demand(t, "looking up", err, tt.look, tt.want)
			demand(t, "pinging", c.Ping(t.Context()), tt.look, tt.want)
		})
	}
	t.Run("subscription", func(t *testing.T) {
		c := openREST(t, wallettest.NewEnv(t), node, node.Rune("invoice", "listinvoices"))
		err := c.SubscribeSettlements(t.Context(), "", func(wallets.Settlement) {})
		demand(t, "subscribing", err, false, wallets.ErrUnauthorized)
	})
	t.Run("blocked", func(t *testing.T) {
		text := node.Rune()
		node.Block(text)
		c := openREST(t, wallettest.NewEnv(t), node, text)
		_, err := c.CreateInvoice(t.Context(), usual)
		demand(t, "creating", err, false, wallets.ErrUnauthorized)
	})
	t.Run("too soon", func(t *testing.T) {
		text := node.Rune()
		node.Limit(text, true)
		c := openREST(t, wallettest.NewEnv(t), node, text)
		_, err := c.CreateInvoice(t.Context(), usual)
		demand(t, "creating", err, false, wallets.ErrRateLimited)
		if errors.Is(err, wallets.ErrUnauthorized) {
			t.Error("a limit of the rate counts as a refused rune")
		}
	})
}

func demand(t *testing.T, what string, err error, works bool, want error) {
	t.Helper()
	switch {
	case works && err != nil:
		t.Errorf("%s: %v", what, err)
	case !works && !errors.Is(err, want):
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func TestRenewedRune(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	path := filepath.Join(t.TempDir(), "rune")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second := node.Rune(gateMethods...), node.Rune(gateMethods...)
	cert, pem, _ := clntest.NewCertificate(t)
	c := open(t, wallettest.NewEnv(t), &Node{Address: node.ServeREST(t, cert), RuneFile: path, CA: pem}, nil)
	if _, err := c.CreateInvoice(t.Context(), usual); !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("without the file: %v", err)
	}
	put(first)
	if _, err := c.CreateInvoice(t.Context(), usual); err != nil {
		t.Fatal(err)
	}
	node.Revoke(first)
	if _, err := c.CreateInvoice(t.Context(), usual); !errors.Is(err, wallets.ErrUnauthorized) {
		t.Errorf("with a revoked rune: %v", err)
	}
	put(second)
	if _, err := c.CreateInvoice(t.Context(), usual); err != nil {
		t.Errorf("with the new rune: %v", err)
	}
}

func TestRESTElsewhere(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	url := node.ServeREST(t, nil)
	env := wallettest.NewEnv(t)
	c := open(t, env, &Node{Address: url + "/behind/a/proxy", Rune: node.Rune()}, nil)
	if err := c.Ping(t.Context()); err == nil || errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("at a wrong path: %v", err)
	}
	if !strings.Contains(env.Log(), "without encryption") {
		t.Error("plain http is not warned of")
	}
}

func TestCertificate(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	cert, serverPEM, authorityPEM := clntest.NewCertificate(t)
	_, foreignPEM, foreignAuthority := clntest.NewCertificate(t)
	url := node.ServeREST(t, cert)
	named := strings.Replace(url, "127.0.0.1", "localhost", 1)
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte(authorityPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, url, ca, want string }{
		{"server.pem, any host", url, serverPEM, ""},
		{"ca.pem, localhost", named, path, ""},
		{"ca.pem, other host", url, authorityPEM, "pin the node's own"},
		{"another node's", named, foreignPEM, "set ca"},
		{"another node's ca.pem", named, foreignAuthority, "set ca"},
		{"system", named, "", "set ca"},
		{"missing file", named, path + ".x", "reading the pinned certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := node.Rune()
			c := open(t, wallettest.NewEnv(t), &Node{Address: tt.url, Rune: text, CA: tt.ca}, nil)
			err := c.Ping(t.Context())
			if tt.want == "" {
				demand(t, "pinging", err, true, nil)
				return
			}
			demand(t, "pinging", err, false, wallets.ErrUnavailable)
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), text) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSocketUnreachable(t *testing.T) {
	dir, err := os.MkdirTemp("", "cln")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "none"): "start lightningd", plain: "connect"} {
		c := open(t, wallettest.NewEnv(t), &Node{Address: path}, nil)
		err := c.Ping(t.Context())
		demand(t, "pinging", err, false, wallets.ErrUnavailable)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNotPermittedText(t *testing.T) {
	err := dialError(&net.OpError{Op: "dial", Err: os.ErrPermission})
	if !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), "rpc-file-mode") {
		t.Errorf("got %v", err)
	}
}

// TestWaitersTakeNoSlots has more calls wait at the node than calls may be under way otherwise.
func TestWaitersTakeNoSlots(t *testing.T) {
	node := clntest.New(t, wallets.Regtest)
	c := openSocket(t, wallettest.NewEnv(t), node)
	ctx, cancel := context.WithCancel(t.Context())
	const waiters = backlog + 10
	done := make(chan error, waiters)
	for range waiters {
		// Ends with ctx, awaited below.
		go func() { done <- c.SubscribeSettlements(ctx, "0", func(wallets.Settlement) {}) }()
	}
	for end := time.Now().Add(10 * time.Second); len(node.Calls()) < waiters; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d wait", len(node.Calls()), waiters)
		}
	}
	if _, err := c.CreateInvoice(t.Context(), usual); err != nil {
		t.Error(err)
	}
	cancel()
	for range waiters {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a subscription ended with %v", err)
		}
	}
}

func TestClosed(t *testing.T) {
	both(t, func(t *testing.T, _ *clntest.Node, c *Client) {
		done := make(chan error, 1)
		// Ends by Close.
		go func() { done <- c.SubscribeSettlements(context.Background(), "0", func(wallets.Settlement) {}) }()
		time.Sleep(20 * time.Millisecond)
		_ = c.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the subscription ended with %v", err)
		}
		if err := c.Ping(t.Context()); !errors.Is(err, net.ErrClosed) || !errors.Is(err, wallets.ErrUnavailable) {
			t.Errorf("pinging: %v", err)
		}
	})
}

func TestReconfigure(t *testing.T) {
	both(t, func(t *testing.T, node *clntest.Node, c *Client) {
		set := settings{network: wallets.Regtest}
		c.Reconfigure(&Node{Timeout: caddy.Duration(10 * time.Second), Private: true, set: set})
		if _, err := c.CreateInvoice(t.Context(), usual); err != nil {
			t.Fatal(err)
		}
		calls := node.Calls()
		if got := string(calls[len(calls)-1].Params["exposeprivatechannels"]); got != "true" {
			t.Errorf("exposeprivatechannels is %q", got)
		}
		c.Reconfigure(&Node{Timeout: caddy.Duration(30 * time.Millisecond), set: set})
		node.Inflict(wallettest.Fault{Kind: wallettest.Hang})
		err := c.Ping(t.Context())
		demand(t, "pinging", err, false, wallets.ErrUnavailable)
		if !strings.Contains(err.Error(), "30ms") {
			t.Errorf("got %v", err)
		}
	})
}
