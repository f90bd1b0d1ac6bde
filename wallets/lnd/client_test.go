package lnd

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// TestInvoiceRights does all that the gate does with the rights of LND's invoice.macaroon, of
// which the two for invoices are enough.
func TestInvoiceRights(t *testing.T) {
	for _, rights := range [][]string{lndtest.InvoiceRights, {"invoices:read", "invoices:write"}} {
		r := quick(newRig(t, wallettest.NewEnv(t), rights, nil))
		ctx := t.Context()
		if err := r.wallet.Ping(ctx); err != nil {
			t.Errorf("Ping: %v", err)
		}
		s := subscribe(t, r.wallet, "")
		r.streaming(t, 1)
		inv := r.invoices(t, 1)[0]
		if st, err := r.wallet.LookupInvoice(ctx, inv.PaymentHash); err != nil || st.State != wallets.StatePending {
			t.Errorf("LookupInvoice: %v, %v", st, err)
		}
		r.pay(t, inv)
		s.wants([]*wallets.Invoice{inv}, 1)
		var p lntypes.Preimage
		p[0] = 1
		if _, err := r.wallet.CreateHoldInvoice(ctx, p.Hash(), request()); err != nil {
			t.Errorf("CreateHoldInvoice: %v", err)
		}
		if err := r.wallet.CancelHoldInvoice(ctx, p.Hash()); err != nil {
			t.Errorf("CancelHoldInvoice: %v", err)
		}
		s.stop()
		<-s.done
	}
}

func TestMissingRights(t *testing.T) {
	for _, c := range []struct {
		name   string
		rights []string
		do     func(*Wallet) error
		want   error
	}{
		{"create with read", []string{"invoices:read"}, func(w *Wallet) error {
			_, err := w.CreateInvoice(t.Context(), request())
			return err
		}, wallets.ErrUnauthorized},
		{"look up with write", []string{"invoices:write"}, func(w *Wallet) error {
			_, err := w.LookupInvoice(t.Context(), lntypes.Hash{1})
			return err
		}, wallets.ErrUnauthorized},
		{"ping with read", []string{"invoices:read"}, func(w *Wallet) error { return w.Ping(t.Context()) }, wallets.ErrUnauthorized},
		{"ping with write", []string{"invoices:write"}, func(w *Wallet) error { return w.Ping(t.Context()) }, nil},
		{"hold with read", []string{"invoices:read"}, func(w *Wallet) error {
			_, err := w.CreateHoldInvoice(t.Context(), lntypes.Hash{1}, request())
			return err
		}, wallets.ErrUnauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, wallettest.NewEnv(t), c.rights, nil)
			if err := c.do(r.wallet); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestPingStates(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil)
	for _, c := range []struct {
		state rpc.WalletState
		want  error
		word  string
	}{
		{rpc.WalletState_SERVER_ACTIVE, nil, ""},
		{rpc.WalletState_RPC_ACTIVE, nil, ""},
		{rpc.WalletState_LOCKED, wallets.ErrUnavailable, "lncli unlock"},
		{rpc.WalletState_NON_EXISTING, wallets.ErrUnavailable, "lncli create"},
		{rpc.WalletState_UNLOCKED, wallets.ErrUnavailable, "starting"},
		{rpc.WalletState_WAITING_TO_START, wallets.ErrUnavailable, "starting"},
		{77, wallets.ErrBadAnswer, "77"},
	} {
		t.Run(c.state.String(), func(t *testing.T) {
			r.node.SetState(c.state)
			err := r.wallet.Ping(t.Context())
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.word) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.word)
			}
			if _, err := r.wallet.CreateInvoice(t.Context(), request()); c.state != 77 && !errors.Is(err, c.want) {
				t.Errorf("CreateInvoice: got %v, want %v", err, c.want)
			}
		})
	}
}

// TestTimeout has a silent node meet the setting, with a context that has time.
func TestTimeout(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, func(r *rig) {
		r.guest.Timeout = caddy.Duration(100 * time.Millisecond)
	})
	r.node.Inflict(wallettest.Fault{Kind: wallettest.Hang})
	start := time.Now()
	err := create(t, r)
	if !errors.Is(err, wallets.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "no answer within 100ms") {
		t.Errorf("got %v, want ErrUnavailable that names the time-out", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	// A reload with a longer time-out takes effect on the open wallet.
	longer := *r.guest
	longer.Timeout = caddy.Duration(5 * time.Second)
	longer.Private = true
	r.wallet.Reconfigure(&longer)
	r.node.Inflict(wallettest.Fault{Kind: wallettest.Slow, Delay: 300 * time.Millisecond})
	if err := create(t, r); err != nil {
		t.Errorf("after the time-out was raised: %v", err)
	}
	if !r.node.LastPrivate() {
		t.Error("private was not taken over")
	}
	r.wallet.Reconfigure(nil)
	if got := r.wallet.opts.Load().Timeout; got != 5*time.Second {
		t.Errorf("a guest of another kind set the time-out to %s", got)
	}
}

// TestBlackHole dials an address that takes connections and says nothing.
func TestBlackHole(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, func(r *rig) {
		s := newSocks(t, r.server.Address, "", "")
		// A SOCKS5 server waits for the client to speak, and TLS for it to speak right.
		r.guest.Address = s.listener.Addr().String()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := r.wallet.CreateInvoice(ctx, request())
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("got %v, want DeadlineExceeded or ErrUnavailable", err)
	}
}

// TestCallsSurviveRestart needs no new wallet for a node that was away.
func TestCallsSurviveRestart(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil)
	inv := r.invoices(t, 1)[0]
	r.server.Stop()
	for range 3 {
		if err := create(t, r); !errors.Is(err, wallets.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
	}
	r.node.Serve(t, r.cert, r.server.Address)
	end := time.Now().Add(patience)
	for _, err := r.wallet.LookupInvoice(t.Context(), inv.PaymentHash); err != nil; _, err = r.wallet.LookupInvoice(t.Context(), inv.PaymentHash) {
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestRequestsRefused(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil)
	for _, c := range []struct {
		name   string
		change func(*wallets.InvoiceRequest)
		word   string
	}{
		{"nothing", func(r *wallets.InvoiceRequest) { r.Amount = 0 }, "more than 0 msat"},
		{"too much", func(r *wallets.InvoiceRequest) { r.Amount = maxAmount + 1 }, "limit"},
		{"beyond int64", func(r *wallets.InvoiceRequest) { r.Amount = math.MaxUint64 }, "limit"},
		{"no expiry", func(r *wallets.InvoiceRequest) { r.Expiry = 0 }, "expiry"},
		{"half a second", func(r *wallets.InvoiceRequest) { r.Expiry = time.Second / 2 }, "expiry"},
		{"more than a year", func(r *wallets.InvoiceRequest) { r.Expiry = maxExpiry + time.Second }, "expiry"},
		{"long memo", func(r *wallets.InvoiceRequest) { r.Memo = strings.Repeat("x", 640) }, "memo"},
		{"memo of bytes", func(r *wallets.InvoiceRequest) { r.Memo = "\xff" }, "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := request()
			c.change(&req)
			_, err := r.wallet.CreateInvoice(t.Context(), req)
			_, holdErr := r.wallet.CreateHoldInvoice(t.Context(), lntypes.Hash{1}, req)
			for _, err := range []error{err, holdErr} {
				if err == nil || !strings.Contains(err.Error(), c.word) {
					t.Errorf("got %v, want an error with %q", err, c.word)
				}
			}
		})
	}
	if n := r.node.Calls(rpc.MethodAddInvoice) + r.node.Calls(rpc.MethodAddHoldInvoice); n != 0 {
		t.Errorf("%d requests reached the node", n)
	}
}

func TestReadStatus(t *testing.T) {
	p := lntypes.Preimage{1}
	hash := p.Hash()
	now := time.Unix(2_000_000_000, 0)
	for _, c := range []struct {
		name string
		inv  *rpc.Invoice
		want wallets.State
		paid lnwire.MilliSatoshi
		told bool
	}{
		{"open, with LND's preimage", &rpc.Invoice{RHash: hash[:], RPreimage: p[:], AmtPaidMsat: 5}, wallets.StatePending, 0, false},
		{"accepted", &rpc.Invoice{RHash: hash[:], RPreimage: p[:], State: rpc.InvoiceState_ACCEPTED, AmtPaidMsat: 5}, wallets.StateAccepted, 5, false},
		{"settled", &rpc.Invoice{RHash: hash[:], RPreimage: p[:], State: rpc.InvoiceState_SETTLED, AmtPaidMsat: 5}, wallets.StateSettled, 5, true},
		{"settled, another preimage", &rpc.Invoice{RHash: hash[:], RPreimage: make([]byte, 32), State: rpc.InvoiceState_SETTLED}, wallets.StateSettled, 0, false},
		{"settled, short preimage", &rpc.Invoice{RHash: hash[:], RPreimage: p[:31], State: rpc.InvoiceState_SETTLED}, wallets.StateSettled, 0, false},
		{"canceled in time", &rpc.Invoice{RHash: hash[:], State: rpc.InvoiceState_CANCELED, CreationDate: now.Unix() - 9, Expiry: 10}, wallets.StateCanceled, 0, false},
		{"expired", &rpc.Invoice{RHash: hash[:], RPreimage: p[:], State: rpc.InvoiceState_CANCELED, CreationDate: now.Unix() - 10, Expiry: 10}, wallets.StateExpired, 0, false},
		{"canceled, absurd expiry", &rpc.Invoice{RHash: hash[:], State: rpc.InvoiceState_CANCELED, CreationDate: 10, Expiry: math.MaxInt64}, wallets.StateCanceled, 0, false},
		{"another hash", &rpc.Invoice{RHash: p[:]}, 0, 0, false},
		{"no hash", &rpc.Invoice{}, 0, 0, false},
		{"unknown state", &rpc.Invoice{RHash: hash[:], State: 9}, 0, 0, false},
		{"negative amount", &rpc.Invoice{RHash: hash[:], State: rpc.InvoiceState_SETTLED, AmtPaidMsat: -1}, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, err := readStatus(c.inv, hash, now)
			if (err == nil) != (c.want != 0) {
				t.Fatalf("got %v", err)
			}
			if err == nil && (st.State != c.want || st.AmountPaid != c.paid || (st.Preimage != nil) != c.told) {
				t.Errorf("got %s, %d msat, preimage told: %t", st.State, uint64(st.AmountPaid), st.Preimage != nil)
			}
		})
	}
}

// failing is a connection that always fails in the same way.
type failing struct{ err error }

func (f failing) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return f.err }

func (f failing) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, f.err
}

// TestClientOnAnyConnection uses a Client without a Wallet, as other transports do.
func TestClientOnAnyConnection(t *testing.T) {
	c := NewClient(failing{status.Error(codes.Unavailable, "mailbox is away")}, "a mailbox", wallettest.NewEnv(t).Logger, Options{})
	_, err := c.CreateInvoice(t.Context(), request())
	if !errors.Is(err, wallets.ErrUnavailable) || !strings.Contains(err.Error(), "creating invoice at LND a mailbox") {
		t.Errorf("got %v", err)
	}
	if o := c.opts.Load(); o.Network != wallets.Mainnet || o.Timeout != DefaultTimeout {
		t.Errorf("defaults are %+v", o)
	}
}

// TestHugeErrorText has the node answer with an error whose text is beyond the bound on headers.
func TestHugeErrorText(t *testing.T) {
	r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil)
	r.node.SetRefusalText(strings.Repeat("word ", 1<<18))
	err := create(t, r)
	if err == nil || len(err.Error()) > 2*maxErrorText {
		t.Errorf("got an error of %d bytes", len(err.Error()))
	}
	r.node.SetRefusalText("")
	if err := create(t, r); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
