package redeem

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const words = "half depart obvious quality work element tank gorilla view sugar picture humble"

// disk is a store that outlives processes.
type disk struct {
	mu     sync.Mutex
	values map[[2]string][]byte
}

func (d *disk) PutDurable(_ context.Context, kind, id string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(kind) > 32 || len(id) > 80 || len(value) > 1<<20 {
		return errors.New("beyond the bounds of a store")
	}
	d.values[[2]string{kind, id}] = append([]byte(nil), value...)
	return nil
}

func (d *disk) GetDurable(_ context.Context, kind, id string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.values[[2]string{kind, id}]
	if !ok {
		return nil, purse.ErrNotFound
	}
	return v, nil
}

func (d *disk) ListDurable(_ context.Context, kind string) ([]purse.Durable, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []purse.Durable
	for key, v := range d.values {
		if key[0] == kind {
			out = append(out, purse.Durable{ID: key[1], Value: v})
		}
	}
	return out, nil
}

func (d *disk) DeleteDurable(_ context.Context, kind, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.values, [2]string{kind, id})
	return nil
}

// life is that of a process: it ends at a step, before or after the step has its effect. From then
// on nothing that the process does has any.
type life struct {
	mu    sync.Mutex
	left  int // steps; less than zero is for ever
	after bool
	dead  bool
}

var errDead = errors.New("the process is dead")

func (l *life) step() (effect, alive bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return false, false
	}
	if l.left == 0 {
		l.dead = true
		return l.after, false
	}
	if l.left > 0 {
		l.left--
	}
	return true, true
}

func (l *life) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// do is a step with an effect.
func (l *life) do(f func() error) error {
	effect, alive := l.step()
	var err error
	if effect {
		err = f()
	}
	if !alive {
		return errDead
	}
	return err
}

// mortal is the store as a process sees it. It fails at a write when told to.
type mortal struct {
	*disk
	life *life
	fail *int // counts down; nil never fails
}

func (m mortal) PutDurable(ctx context.Context, kind, id string, value []byte) error {
	if m.fail != nil {
		if *m.fail--; *m.fail == -1 {
			return errors.New("disk full")
		}
	}
	return m.life.do(func() error { return m.disk.PutDurable(ctx, kind, id, value) })
}

func (m mortal) DeleteDurable(ctx context.Context, kind, id string) error {
	return m.life.do(func() error { return m.disk.DeleteDurable(ctx, kind, id) })
}

func (m mortal) GetDurable(ctx context.Context, kind, id string) ([]byte, error) {
	if m.life.over() {
		return nil, errDead
	}
	return m.disk.GetDurable(ctx, kind, id)
}

// world is a mint and a payee, and a disk on which one process after another lives.
type world struct {
	t    *testing.T
	mint *minttest.Mint
	disk *disk
	url  string

	mu       sync.Mutex
	life     *life
	clock    time.Time
	invoices int
	// refuse is what the payee answers instead of an invoice over more than most.
	refuse error
	most   uint64
	told   []error
}

func newWorld(t *testing.T, opts minttest.Options) *world {
	t.Helper()
	w := &world{
		t: t, disk: &disk{values: make(map[[2]string][]byte)}, life: &life{left: -1}, clock: time.Now(),
	}
	opts.Now = w.now
	w.mint = minttest.New(t, opts)
	front := httptest.NewServer(w)
	t.Cleanup(front.Close)
	w.url = front.URL
	return w
}

// ServeHTTP is the way to the mint. GETs change nothing and count as no steps.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	l := w.life
	w.mu.Unlock()
	if r.Method == http.MethodGet && !l.over() {
		w.mint.ServeHTTP(rw, r)
		return
	}
	effect, alive := l.step()
	if !alive {
		if effect {
			w.mint.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	}
	w.mint.ServeHTTP(rw, r)
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) forward(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// process is one that redeems.
type process struct {
	*Engine
	purse *purse.Purse
	job   Job
}

// start begins a process that lives for so many steps.
func (w *world) start(l *life, rules Rules) *process {
	w.t.Helper()
	return w.startNamed(l, rules, "", nil, nil)
}

func (w *world) startNamed(l *life, rules Rules, instance string, fail *int, lock func(context.Context, string) (func(), error)) *process {
	w.t.Helper()
	w.mu.Lock()
	w.life = l
	w.mu.Unlock()
	client, err := mint.New(mint.Config{URL: w.url, Timeout: 30 * time.Second, MeltTimeout: 30 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = client.Close() })
	seed, err := ecash.NewSeed(words)
	if err != nil {
		w.t.Fatal(err)
	}
	store := mortal{w.disk, l, fail}
	p, err := purse.Open(context.Background(), purse.Options{
		Mint: client, Unit: "sat", Store: store, Seed: seed, Network: wallets.Regtest, Patience: 20 * time.Second,
		Now: w.now, Instance: instance, Lock: lock,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	e := New(Options{Now: w.now, Told: func(_ Job, _ *Redemption, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, err)
	}})
	target := Target{Name: "node", Invoice: func(_ context.Context, req wallets.InvoiceRequest) (inv *wallets.Invoice, err error) {
		err = l.do(func() error { inv, err = w.invoice(req); return err })
		return inv, err
	}}
	return &process{e, p, Job{ID: "purse" + instance, Group: "purse", Store: store, Lock: lock, Purse: p, Rules: rules, Target: target}}
}

func (w *world) invoice(req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	w.mu.Lock()
	refuse, most := w.refuse, w.most
	if refuse == nil || most > 0 && uint64(req.Amount)/1000 <= most {
		refuse = nil
		w.invoices++
	}
	w.mu.Unlock()
	if refuse != nil {
		return nil, refuse
	}
	if req.Amount%1000 != 0 {
		return nil, wallets.ErrAmount
	}
	text := w.mint.Invoice(w.t, uint64(req.Amount)/1000)
	d, err := wallets.DecodeInvoice(text)
	if err != nil {
		return nil, err
	}
	return &wallets.Invoice{PaymentRequest: text, PaymentHash: d.PaymentHash, Amount: d.Amount, ExpiresAt: d.ExpiresAt}, nil
}

// open begins a process that lives.
func (w *world) open(rules Rules) *process { w.t.Helper(); return w.start(&life{left: -1}, rules) }

// fund gives a purse ecash.
func (w *world) fund(p *process, amounts ...uint64) {
	w.t.Helper()
	t := w.mint.Token(w.t, amounts...)
	t.Mint = w.url
	for len(t.Proofs) > 0 {
		n := min(len(t.Proofs), 200)
		part := &token.Token{Mint: t.Mint, Unit: t.Unit, Proofs: t.Proofs[:n]}
		if _, err := p.purse.Receive(context.Background(), part, purse.Terms{}); err != nil {
			w.t.Fatal(err)
		}
		t.Proofs = t.Proofs[n:]
	}
}

// settle runs a process until nothing is in flight and nothing is due.
func (w *world) settle(p *process) State {
	w.t.Helper()
	for range 20 {
		if _, err := p.purse.Resume(context.Background()); err != nil {
			w.t.Fatal(err)
		}
		if _, err := p.Run(context.Background(), p.job); err != nil && !errors.Is(err, ErrInFlight) {
			w.t.Logf("meanwhile: %v", err)
		}
		s, err := p.State(context.Background(), p.job)
		if err != nil {
			w.t.Fatal(err)
		}
		if s.Current == nil && s.Problem == "" {
			return s
		}
		w.forward(lastRetry)
	}
	w.t.Fatal("the redemption does not end")
	return State{}
}

// paid checks that no invoice was paid twice, and gives what the payee has.
func (w *world) paid() (sum uint64) {
	w.t.Helper()
	for hash, amounts := range w.mint.Payments() {
		if len(amounts) != 1 {
			w.t.Errorf("%s was paid %d times", hex.EncodeToString(hash[:4]), len(amounts))
		}
		for _, a := range amounts {
			sum += a
		}
	}
	return sum
}

// conserved checks that the purse has all that the mint owes.
func (w *world) conserved(purses ...*process) {
	w.t.Helper()
	var sum uint64
	for _, p := range purses {
		b := p.purse.Balance()
		sum += b.Available + b.Reserved
	}
	if owes := w.mint.Outstanding(); sum != owes {
		w.t.Errorf("the mint owes %d, the purses have %d", owes, sum)
	}
}
