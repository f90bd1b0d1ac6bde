package purse

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sort"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const words = "half depart obvious quality work element tank gorilla view sugar picture humble"

// disk is a store that outlives processes.
type disk struct {
	mu     sync.Mutex
	values map[string]map[string][]byte
}

func newDisk() *disk { return &disk{values: make(map[string]map[string][]byte)} }

func (d *disk) PutDurable(_ context.Context, kind, id string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(kind) > 32 || len(id) > 80 || len(value) > 1<<20 {
		return errors.New("beyond the bounds of a store")
	}
	if d.values[kind] == nil {
		d.values[kind] = make(map[string][]byte)
	}
	d.values[kind][id] = append([]byte(nil), value...)
	return nil
}

func (d *disk) GetDurable(_ context.Context, kind, id string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.values[kind][id]
	if !ok {
		return nil, ErrNotFound
	}
	return v, nil
}

func (d *disk) ListDurable(_ context.Context, kind string) ([]Durable, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Durable
	for id, v := range d.values[kind] {
		out = append(out, Durable{id, v})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

func (d *disk) DeleteDurable(_ context.Context, kind, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.values[kind], id)
	return nil
}

func (d *disk) count(kind string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.values[kind])
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

// step says whether the step has its effect, and whether the process learns of it.
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

// mortal is the store as a process sees it.
type mortal struct {
	*disk
	life *life
}

func (m mortal) do(f func() error) error {
	effect, alive := m.life.step()
	var err error
	if effect {
		err = f()
	}
	if !alive {
		return errDead
	}
	return err
}

func (m mortal) PutDurable(ctx context.Context, kind, id string, value []byte) error {
	return m.do(func() error { return m.disk.PutDurable(ctx, kind, id, value) })
}

func (m mortal) DeleteDurable(ctx context.Context, kind, id string) error {
	return m.do(func() error { return m.disk.DeleteDurable(ctx, kind, id) })
}

func (m mortal) GetDurable(ctx context.Context, kind, id string) (out []byte, err error) {
	if m.life.over() {
		return nil, errDead
	}
	return m.disk.GetDurable(ctx, kind, id)
}

// world is a mint, and a disk on which one process after another lives.
type world struct {
	t     testing.TB
	mint  *minttest.Mint
	disk  *disk
	url   string
	key   *ecash.PrivateKey
	batch int // see Options

	mu    sync.Mutex
	life  *life
	clock time.Time
}

func newWorld(t testing.TB, opts minttest.Options) *world {
	t.Helper()
	key, err := ecash.NewBlindingFactor()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, mint: minttest.New(t, opts), disk: newDisk(), key: key, life: &life{left: -1}, clock: time.Now()}
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
	if r.Method == http.MethodGet {
		if l.over() {
			panic(http.ErrAbortHandler)
		}
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

// start begins a process that lives for so many steps.
func (w *world) start(l *life) *Purse { w.t.Helper(); return w.startNamed(l, "", nil) }

// startNamed begins a process that has a purse of that name, beside others.
func (w *world) startNamed(l *life, name string, others func() []*Purse) *Purse {
	w.t.Helper()
	w.mu.Lock()
	w.life = l
	w.mu.Unlock()
	client, err := mint.New(mint.Config{URL: w.url, Timeout: 30 * time.Second, MeltTimeout: 30 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = client.Close() })
	text := words
	if name != "" {
		if text, err = ecash.NewMnemonic(); err != nil {
			w.t.Fatal(err)
		}
	}
	seed, err := ecash.NewSeed(text)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := Open(context.Background(), Options{
		Mint: client, Unit: "sat", Store: mortal{w.disk, l}, Seed: seed, Keys: []*ecash.PrivateKey{w.key},
		Name: name, Others: others, Network: wallets.Regtest, Patience: 20 * time.Second, Now: w.now, batch: w.batch,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) open() *Purse { w.t.Helper(); return w.start(&life{left: -1}) }

func (w *world) openNamed(name string, others func() []*Purse) *Purse {
	w.t.Helper()
	return w.startNamed(&life{left: -1}, name, others)
}

// token is a payer's.
func (w *world) token(amounts ...uint64) *token.Token {
	w.t.Helper()
	t := w.mint.Token(w.t, amounts...)
	t.Mint = w.url
	return t
}

// fund gives a purse ecash.
func (w *world) fund(p *Purse, amounts ...uint64) {
	w.t.Helper()
	if _, err := p.Receive(context.Background(), w.token(amounts...), Terms{}); err != nil {
		w.t.Fatal(err)
	}
}

// unspent is what a token is still worth.
func (w *world) unspent(t *token.Token) uint64 {
	w.t.Helper()
	var sum uint64
	if t == nil {
		return 0
	}
	for _, p := range t.Proofs {
		if !w.mint.Spent(w.t, p) {
			sum += p.Amount
		}
	}
	return sum
}

// conserved checks that the purse, and what others have of it, is all that the mint owes.
func (w *world) conserved(p *Purse, others ...*token.Token) {
	w.t.Helper()
	b := p.Balance()
	sum := b.Available + b.Reserved
	for _, t := range others {
		sum += w.unspent(t)
	}
	if owes := w.mint.Outstanding(); sum != owes {
		w.t.Errorf("the mint owes %d, of which %d are accounted for: %+v", owes, sum, b)
	}
}

// kill runs an act in processes that die at one step after another, before and after it, and then
// runs the check in a process that lives.
func kill(t *testing.T, opts minttest.Options, prepare func(w *world), act func(w *world, p *Purse) error, check func(w *world, p *Purse)) {
	t.Helper()
	stride := 1
	if testing.Short() {
		stride = 3 // the race detector makes the cryptography ten times slower
	}
	for _, after := range []bool{false, true} {
		for step := 0; ; step += stride {
			w := newWorld(t, opts)
			w.batch = 8 // the purse of each step looks for signatures, which is most of the work
			if prepare != nil {
				prepare(w)
			}
			l := &life{left: step, after: after}
			err := act(w, w.start(l))
			if !l.over() && err != nil {
				t.Fatalf("step %d, after %t: %v", step, after, err)
			}
			p := w.open()
			if _, err := p.Resume(context.Background()); err != nil {
				t.Errorf("step %d, after %t: resuming: %v", step, after, err)
			}
			check(w, p)
			if t.Failed() {
				t.Fatalf("step %d, after %t", step, after)
			}
			if !l.over() {
				if step < 1 {
					t.Fatal("nothing was tested")
				}
				break
			}
			if step > 100 {
				t.Fatal("the process does not end")
			}
		}
	}
}
