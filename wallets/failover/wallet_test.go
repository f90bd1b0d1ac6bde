package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

var request = wallets.InvoiceRequest{Amount: 1000, Expiry: time.Minute}

// double is a member: hash, errors and slowness as the test wants.
type double struct {
	name    string
	next    byte
	err     error
	slow    time.Duration
	sick    atomic.Bool
	creates atomic.Int64
	lookups atomic.Int64

	mu    sync.Mutex
	known map[lntypes.Hash]wallets.State
}

func (d *double) pause(ctx context.Context) error {
	select {
	case <-time.After(d.slow):
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *double) CreateInvoice(ctx context.Context, _ wallets.InvoiceRequest) (*wallets.Invoice, error) {
	d.creates.Add(1)
	if err := d.pause(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next++
	hash := lntypes.Hash{d.name[0], d.next}
	d.known[hash] = wallets.StatePending
	return &wallets.Invoice{PaymentRequest: fmt.Sprint(d.name, d.next), PaymentHash: hash}, nil
}

func (d *double) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	d.lookups.Add(1)
	if err := d.pause(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	state, ok := d.known[hash]
	if !ok {
		return nil, wallets.ErrNotFound
	}
	return &wallets.Status{State: state}, nil
}

// telling is a double that tells of settlements.
type telling struct {
	*double
	settlements chan wallets.Settlement
}

func (d telling) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	if cursor != "" {
		return errors.New("a cursor")
	}
	for {
		select {
		case s, ok := <-d.settlements:
			if !ok {
				return wallets.ErrSubscribeUnsupported
			}
			found(s)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func newDouble(name string) *double {
	return &double{name: name, known: make(map[lntypes.Hash]wallets.State)}
}

func asMember(name string, w wallets.Wallet, sick *atomic.Bool) wallets.Member {
	return wallets.Member{Name: name, ID: "id of " + name, Network: wallets.Regtest, Wallet: w, Healthy: func() bool { return !sick.Load() }}
}

// open makes a wallet for the doubles "a", "b", ….
func open(t testing.TB, doubles ...*double) (*Wallet, *wallettest.Env) {
	t.Helper()
	g := new(Group)
	var members []wallets.Member
	for _, d := range doubles {
		g.Wallets = append(g.Wallets, d.name)
		members = append(members, asMember(d.name, d, &d.sick))
	}
	if err := g.Bind(members); err != nil {
		t.Fatal(err)
	}
	env := wallettest.NewEnv(t)
	w, err := g.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	return w.(*Wallet), env
}

func from(t testing.TB, w *Wallet, want string) *wallets.Invoice {
	t.Helper()
	inv, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(inv.PaymentRequest, want) {
		t.Fatalf("the invoice is %q, want one of %s", inv.PaymentRequest, want)
	}
	return inv
}

func TestFirstThatWorks(t *testing.T) {
	a, b := newDouble("a"), newDouble("b")
	w, env := open(t, a, b)
	from(t, w, "a")
	if b.creates.Load() != 0 {
		t.Error("the second was asked without need")
	}
	a.err = wallets.ErrUnavailable
	from(t, w, "b")
	a.err = nil
	from(t, w, "a")
	log := env.Log()
	if strings.Count(log, "from another wallet now") != 2 || !strings.Contains(log, `"before":"a","now":"b"`) {
		t.Error(log)
	}
}

func TestErrorsOfAll(t *testing.T) {
	down, amount, bad, refused := wallets.ErrUnavailable, wallets.ErrAmount, wallets.ErrBadInvoice, wallets.ErrUnauthorized
	for _, c := range []struct {
		name string
		a, b error
		want error
		not  []error
	}{
		{"both down", down, errors.New("x"), down, nil},
		{"both cannot", amount, amount, amount, []error{down}},
		// That one cannot do the amount must not hide that the other is down.
		{"one cannot, one is down", amount, down, down, []error{amount}},
		{"both refuse", refused, refused, refused, nil},
		{"one lies", down, bad, bad, []error{down}},
		{"the other lies", bad, down, bad, []error{down}},
		{"a time-out of their own", context.DeadlineExceeded, down, down, []error{context.DeadlineExceeded}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := newDouble("a"), newDouble("b")
			a.err, b.err = c.a, c.b
			w, _ := open(t, a, b)
			inv, err := w.CreateInvoice(t.Context(), request)
			if inv != nil || !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			for _, not := range c.not {
				if errors.Is(err, not) {
					t.Errorf("%v wraps %v", err, not)
				}
			}
			if !strings.Contains(err.Error(), "a: ") || !strings.Contains(err.Error(), "b: ") {
				t.Errorf("%v does not name both", err)
			}
		})
	}
}

func TestNilInvoice(t *testing.T) {
	b := newDouble("b")
	w := newWallet(wallettest.NewEnv(t), []wallets.Member{asMember("a", nothing{}, new(atomic.Bool)), asMember("b", b, &b.sick)})
	from(t, w, "b")
}

// nothing gives neither an invoice nor an error.
type nothing struct{ wallets.Wallet }

func (nothing) CreateInvoice(context.Context, wallets.InvoiceRequest) (*wallets.Invoice, error) {
	return nil, nil
}

func TestSameHashOfTwoWallets(t *testing.T) {
	a, b := newDouble("a"), newDouble("a")
	b.name = "b"
	w, _ := open(t, a, b)
	from(t, w, "a")
	b.name = "a" // from now on b makes the hashes that a made
	a.err = wallets.ErrUnavailable
	if _, err := w.CreateInvoice(t.Context(), request); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Errorf("got %v", err)
	}
}

func TestHangingMemberLeavesTimeForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newDouble("a"), newDouble("b"), newDouble("c")
		a.slow, c.slow = time.Hour, 100*time.Millisecond
		b.err = wallets.ErrUnavailable
		w, _ := open(t, a, b, c)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		begin := time.Now()
		inv, err := w.CreateInvoice(ctx, request)
		if err != nil || inv.PaymentRequest[0] != 'c' {
			t.Fatal(inv, err)
		}
		if took := time.Since(begin); took != 3100*time.Millisecond {
			t.Errorf("it took %s", took)
		}

		// A member that is left alone takes no share.
		b.sick.Store(true)
		begin = time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		if _, err := w.CreateInvoice(ctx, request); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 4600*time.Millisecond {
			t.Errorf("with one left alone it took %s", took)
		}

		// All hang: the call ends with its context.
		b.sick.Store(false)
		b.err, b.slow, c.slow = nil, time.Hour, time.Hour
		begin = time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		if _, err := w.CreateInvoice(ctx, request); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(begin); took != 9*time.Second {
			t.Errorf("with all hanging it took %s", took)
		}
	})
}

func TestCanceled(t *testing.T) {
	a, b := newDouble("a"), newDouble("b")
	w, _ := open(t, a, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.CreateInvoice(ctx, request); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := w.LookupInvoice(ctx, lntypes.Hash{1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if a.creates.Load()+b.creates.Load()+a.lookups.Load()+b.lookups.Load() != 0 {
		t.Error("wallets were asked for nobody")
	}
}

func TestLookup(t *testing.T) {
	a, b := newDouble("a"), newDouble("b")
	w, _ := open(t, a, b)
	a.err = wallets.ErrUnavailable
	inv := from(t, w, "b")

	// The maker is known: the first is not asked.
	if status, err := w.LookupInvoice(t.Context(), inv.PaymentHash); err != nil || status.State != wallets.StatePending {
		t.Error(status, err)
	}
	if a.lookups.Load() != 0 {
		t.Error("the first was asked for the second's invoice")
	}

	// After a restart it is not known. As long as the first does not answer it may be the
	// first's invoice, though the second knows it here.
	w, _ = open(t, a, b)
	if status, err := w.LookupInvoice(t.Context(), inv.PaymentHash); err != nil || status.State != wallets.StatePending {
		t.Error(status, err)
	}
	if _, err := w.LookupInvoice(t.Context(), lntypes.Hash{99}); !errors.Is(err, wallets.ErrUnavailable) || errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("nobody knows it but one does not answer: %v", err)
	}
	a.err = nil
	if _, err := w.LookupInvoice(t.Context(), lntypes.Hash{99}); !errors.Is(err, wallets.ErrNotFound) {
		t.Errorf("nobody knows it: %v", err)
	}
	asked := a.lookups.Load()
	if _, err := w.LookupInvoice(t.Context(), inv.PaymentHash); err != nil || a.lookups.Load() != asked {
		t.Error("who made it is not remembered", err)
	}

	// The maker's word counts, and nobody else's.
	b.err = wallets.ErrUnavailable
	a.known[inv.PaymentHash] = wallets.StateSettled
	if status, err := w.LookupInvoice(t.Context(), inv.PaymentHash); !errors.Is(err, wallets.ErrUnavailable) {
		t.Error(status, err)
	}

	a.err, b.err = wallets.ErrLookupUnsupported, nil
	w, _ = open(t, a, b)
	if _, err := w.LookupInvoice(t.Context(), lntypes.Hash{99}); !errors.Is(err, wallets.ErrLookupUnsupported) {
		t.Errorf("one cannot look up and the other does not know it: %v", err)
	}
}

func TestRecalled(t *testing.T) {
	a, b := newDouble("a"), newDouble("b")
	w, _ := open(t, a, b)
	inv := from(t, w, "a")
	if w.Recalled(inv.PaymentHash) || w.Recalled(lntypes.Hash{99}) {
		t.Error("recalled at once")
	}
	a.err = wallets.ErrUnavailable
	other := from(t, w, "b")
	if !w.Recalled(inv.PaymentHash) || w.Recalled(other.PaymentHash) {
		t.Error("after the first failed its invoices must be recalled, and no other")
	}
	a.err = nil
	from(t, w, "a")
	if w.Recalled(inv.PaymentHash) {
		t.Error("recalled after it came back")
	}
	a.err = wallets.ErrAmount
	from(t, w, "b")
	if w.Recalled(inv.PaymentHash) {
		t.Error("recalled for an amount")
	}
	a.sick.Store(true)
	if !w.Recalled(inv.PaymentHash) {
		t.Error("not recalled while the wallet is left alone")
	}
}

func TestSubscription(t *testing.T) {
	a, c := newDouble("a"), newDouble("c")
	ta, tc := telling{a, make(chan wallets.Settlement)}, telling{c, make(chan wallets.Settlement)}
	mute := newDouble("b")
	env := wallettest.NewEnv(t)
	w := newWallet(env, []wallets.Member{asMember("a", ta, &a.sick), asMember("b", mute, &mute.sick), asMember("c", tc, &c.sick)})
	inv, err := w.CreateInvoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	found := make(chan wallets.Settlement, 10)
	done := make(chan error, 1)
	go func() { done <- w.SubscribeSettlements(ctx, "", func(s wallets.Settlement) { found <- s }) }() // ends by cancel

	tc.settlements <- wallets.Settlement{PaymentHash: inv.PaymentHash, Cursor: "9"} // is not c's to tell
	tc.settlements <- wallets.Settlement{PaymentHash: lntypes.Hash{7}, Cursor: "10"}
	ta.settlements <- wallets.Settlement{PaymentHash: inv.PaymentHash, AmountPaid: 5}
	got := map[lntypes.Hash]wallets.Settlement{}
	for range 2 {
		s := <-found
		got[s.PaymentHash] = s
	}
	if got[inv.PaymentHash].AmountPaid != 5 || got[lntypes.Hash{7}].PaymentHash[0] != 7 {
		t.Errorf("got %v", got)
	}
	if got[lntypes.Hash{7}].Cursor != "" {
		t.Error("a member's cursor came through")
	}
	close(tc.settlements) // one that stops telling does not end the others
	ta.settlements <- wallets.Settlement{PaymentHash: lntypes.Hash{8}}
	if s := <-found; s.PaymentHash[0] != 8 {
		t.Error(s)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	w = newWallet(env, []wallets.Member{asMember("b", mute, &mute.sick)})
	if err := w.SubscribeSettlements(t.Context(), "", nil); !errors.Is(err, wallets.ErrSubscribeUnsupported) {
		t.Error(err)
	}
	if err := w.SubscribeSettlements(t.Context(), "3", nil); err == nil {
		t.Error("a cursor was taken")
	}
}
