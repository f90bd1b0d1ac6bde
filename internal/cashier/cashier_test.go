package cashier

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/sandbox"
)

// toyGuest opens a toy.
type toyGuest struct {
	name    string
	network wallets.Network
	open    func(wallets.Env) *toy
	setting string
}

func (g *toyGuest) Identity() string         { return g.name }
func (g *toyGuest) Network() wallets.Network { return g.network }
func (g *toyGuest) Open(env wallets.Env) (wallets.Wallet, error) {
	return g.open(env), nil
}

// toy is a sandbox with faults.
type toy struct {
	wallets.Wallet
	env        wallets.Env
	calls      atomic.Int64
	before     func(context.Context) error
	settlement chan wallets.Settlement
	cursors    chan string
	setting    atomic.Value
	closed     atomic.Bool
}

func (w *toy) CreateInvoice(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	w.calls.Add(1)
	if w.before != nil {
		if err := w.before(ctx); err != nil {
			return nil, err
		}
	}
	return w.Wallet.CreateInvoice(ctx, req)
}

func (w *toy) SubscribeSettlements(ctx context.Context, cursor string, found func(wallets.Settlement)) error {
	select {
	case w.cursors <- cursor:
	default:
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-w.settlement:
			if s.Cursor == "break" {
				return errors.New("connection lost")
			}
			found(s)
		}
	}
}

func (w *toy) Reconfigure(g wallets.Guest) { w.setting.Store(g.(*toyGuest).setting) }
func (w *toy) Close() error                { w.closed.Store(true); return nil }

func newToy(t *testing.T) (*Cashier, *toy, *toyGuest) {
	t.Helper()
	var w *toy
	guest := &toyGuest{name: t.Name(), network: wallets.Regtest, setting: "first"}
	guest.open = func(env wallets.Env) *toy {
		inner, err := new(sandbox.Guest).Open(env)
		if err != nil {
			t.Fatal(err)
		}
		w = &toy{Wallet: inner, env: env, settlement: make(chan wallets.Settlement), cursors: make(chan string, 10)}
		return w
	}
	c, err := New(guest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil || !w.closed.Load() {
			t.Error("not closed", err)
		}
	})
	return c, w, guest
}

var request = wallets.InvoiceRequest{Amount: 10_000, Memo: "test", Expiry: time.Minute}

func TestTimeoutBoundsAWalletThatHangs(t *testing.T) {
	c, w, guest := newToy(t)
	host := &Host{Name: "w", Logger: zap.NewNop(), Guest: guest, Timeout: 50 * time.Millisecond}
	c.Attach(host)
	w.before = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	begin := time.Now()
	if _, err := c.Invoice(t.Context(), request); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Error("it took", took)
	}
}

func TestBreaker(t *testing.T) {
	c, w, _ := newToy(t)
	w.before = func(context.Context) error { return errors.New("down") }
	for range 50 {
		if _, err := c.Invoice(t.Context(), request); err == nil {
			t.Fatal("no error")
		}
	}
	if n := w.calls.Load(); n != tripAfter {
		t.Errorf("%d calls, want %d", n, tripAfter)
	}
	if _, err := c.Invoice(t.Context(), request); !errors.Is(err, ErrBroken) || !errors.Is(err, wallets.ErrUnavailable) {
		t.Error(err)
	}
	if c.Healthy() {
		t.Error("a wallet that is left alone is healthy")
	}
}

func TestCallersThatGoAwayDoNotTripTheBreaker(t *testing.T) {
	c, w, _ := newToy(t)
	w.before = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for range 3 * tripAfter {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if _, err := c.Invoice(ctx, request); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if !c.Healthy() {
		t.Error("clients that hang up stop the wallet for all")
	}
}

func TestQuestionsDoNotTripTheBreaker(t *testing.T) {
	c, w, _ := newToy(t)
	w.before = func(context.Context) error { return wallets.ErrAmount }
	for range 3 * tripAfter {
		if _, err := c.Invoice(t.Context(), request); !errors.Is(err, wallets.ErrAmount) {
			t.Fatal(err)
		}
	}
}

func TestCallsAtTheSameTimeAreBounded(t *testing.T) {
	c, w, _ := newToy(t)
	release := make(chan struct{})
	w.before = func(context.Context) error { <-release; return nil }
	var busy atomic.Int64
	var wg sync.WaitGroup
	for range maxCalls + 50 {
		wg.Go(func() {
			if _, err := c.Invoice(t.Context(), request); errors.Is(err, ErrBusy) {
				busy.Add(1)
			}
		})
	}
	for busy.Load() < 50 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	if n := busy.Load(); n != 50 {
		t.Errorf("%d calls were refused, want 50", n)
	}
}

func TestUsedHashIsRefused(t *testing.T) {
	c, w, _ := newToy(t)
	first, err := c.Invoice(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	w.Wallet = sameInvoice{w.Wallet, first}
	if _, err := c.Invoice(t.Context(), request); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Error(err)
	}
}

type sameInvoice struct {
	wallets.Wallet
	invoice *wallets.Invoice
}

func (w sameInvoice) CreateInvoice(context.Context, wallets.InvoiceRequest) (*wallets.Invoice, error) {
	again := *w.invoice
	return &again, nil
}

func TestWrongNetworkIsRefused(t *testing.T) {
	guest := &toyGuest{name: "mainnet", network: wallets.Mainnet}
	guest.open = func(env wallets.Env) *toy {
		inner, _ := new(sandbox.Guest).Open(env)
		return &toy{Wallet: inner, env: env}
	}
	c, err := New(guest)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Invoice(t.Context(), request); !errors.Is(err, wallets.ErrBadInvoice) {
		t.Error(err)
	}
}

func TestSettlementsAreHeardAndResumed(t *testing.T) {
	c, w, guest := newToy(t)
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	told := make(chan wallets.Settlement, 10)
	c.Attach(&Host{Name: "w", Logger: zap.NewNop(), Guest: guest, Storage: storage,
		Settled: func(_ string, s wallets.Settlement) { told <- s }})
	if cursor := <-w.cursors; cursor != "" {
		t.Errorf("first cursor %q", cursor)
	}
	hash := lntypes.Hash{1}
	w.settlement <- wallets.Settlement{PaymentHash: hash, Cursor: "7"}
	<-told
	standing, err := c.Standing(t.Context(), hash)
	if err != nil || standing.State != wallets.StateSettled {
		t.Error(standing, err)
	}
	w.settlement <- wallets.Settlement{Cursor: "break"}
	if cursor := <-w.cursors; cursor != "7" {
		t.Errorf("after a lost connection it resumes at %q", cursor)
	}
}

func TestTheCursorIsKept(t *testing.T) {
	c, _, guest := newToy(t)
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	host := &Host{Name: "w", Logger: zap.NewNop(), Guest: guest, Storage: storage}
	c.env.hosts = []*Host{host}
	p := &place{cashier: c}
	p.set("42")
	p.Save(t.Context())
	again := &place{cashier: c}
	again.load(t.Context())
	if again.get() != "42" {
		t.Errorf("got %q", again.get())
	}
}

func TestHostsAreAStack(t *testing.T) {
	c, w, guest := newToy(t)
	first := &Host{Name: "a", Logger: zap.NewNop(), Guest: guest, Storage: &certmagic.FileStorage{Path: t.TempDir()}}
	failed := &Host{Name: "b", Logger: zap.NewNop(), Guest: &toyGuest{setting: "second"}}
	if err := w.env.Store(t.Context(), "x", nil); !errors.Is(err, errNoHost) {
		t.Error("before any host:", err)
	}
	c.Attach(first)
	c.Attach(failed)
	if w.setting.Load() != "second" {
		t.Error("new settings are not applied")
	}
	c.Detach(failed)
	if w.setting.Load() != "first" {
		t.Error("settings of a failed configuration stay")
	}
	if err := w.env.Store(t.Context(), "x", []byte("1")); err != nil {
		t.Error(err)
	}
	if data, err := w.env.Load(t.Context(), "x"); err != nil || string(data) != "1" {
		t.Error(string(data), err)
	}
	for _, bad := range []string{"", ".hidden", "../../certificates", "UPPER", "a/b"} {
		if err := w.env.Store(t.Context(), bad, nil); err == nil {
			t.Errorf("stored under the name %q", bad)
		}
	}
}

func TestPanicIsAnError(t *testing.T) {
	c, w, _ := newToy(t)
	w.before = func(context.Context) error { panic("boom") }
	if _, err := c.Invoice(t.Context(), request); !errors.Is(err, ErrPanic) {
		t.Error(err)
	}
}

func TestLookupsLeaveRoomForInvoices(t *testing.T) {
	c, w, _ := newToy(t)
	release := make(chan struct{})
	w.Wallet = slowLookups{w.Wallet, release}
	var busy atomic.Int64
	var wg sync.WaitGroup
	for i := range maxLookups + 20 {
		wg.Go(func() {
			if _, err := c.Standing(t.Context(), lntypes.Hash{byte(i), 1}); errors.Is(err, ErrBusy) {
				busy.Add(1)
			}
		})
	}
	for busy.Load() < 20 {
		time.Sleep(time.Millisecond)
	}
	if _, err := c.Invoice(t.Context(), request); err != nil {
		t.Error("clients that poll keep others from paying:", err)
	}
	close(release)
	wg.Wait()
}

type slowLookups struct {
	wallets.Wallet
	release chan struct{}
}

func (w slowLookups) LookupInvoice(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	<-w.release
	return w.Wallet.LookupInvoice(ctx, hash)
}

func TestFailingLookupsDoNotStopTheSale(t *testing.T) {
	c, w, _ := newToy(t)
	w.Wallet = failingLookups{w.Wallet}
	for i := range 3 * tripAfter {
		if _, err := c.Standing(t.Context(), lntypes.Hash{byte(i), 2}); err == nil {
			t.Fatal("no error")
		}
	}
	if _, err := c.Invoice(t.Context(), request); err != nil {
		t.Error("look-ups that fail stop the sale:", err)
	}
}

type failingLookups struct{ wallets.Wallet }

func (failingLookups) LookupInvoice(context.Context, lntypes.Hash) (*wallets.Status, error) {
	return nil, errors.New("down")
}
