package purses

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/books"
	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// Host is what one configuration lends to the purses. The newest one counts.
type Host struct {
	// Storage holds everything. The ledger's books of the same storage must be attached as
	// long as the host is, and longer.
	Storage certmagic.Storage
	// Logger gets state changes.
	Logger *zap.Logger
	// Mints are the addresses of the mints that are dealt with; no other is ever dialed.
	Mints []string
	// Open are purses that are opened at once, so that the keys of their mints are known when
	// somebody pays.
	Open []Key
	// Seed are the words (BIP 39) of the secrets. Without them the storage keeps some that are
	// generated once.
	Seed string
	// Timeout bounds a call to a mint; zero is mint.DefaultTimeout.
	Timeout time.Duration
	// Patience bounds what is asked of a mint though the caller has gone; see purse.Options.
	Patience time.Duration
	// RequireDLEQ refuses ecash without DLEQ proofs; see purse.Options.
	RequireDLEQ bool
	// Network is the chain of the mints' invoices; empty is mainnet.
	Network wallets.Network
}

// settings is the same for hosts under which purses need not be opened anew.
func (h *Host) settings() [32]byte {
	mints := slices.Sorted(slices.Values(h.Mints))
	b, err := json.Marshal([]any{mints, h.Open, h.Seed, h.Timeout, h.Patience, h.RequireDLEQ, h.Network})
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return sha256.Sum256(b)
}

// Key names a purse of a house.
type Key struct {
	// Mint is the address of the mint.
	Mint string `json:"mint"`
	// Unit is sat or msat, or whatever else the mint has.
	Unit string `json:"unit"`
	// Name is the tenant's; it is empty for the operator's own.
	Name string `json:"name,omitempty"`
}

// House holds the purses of one storage. It is safe for concurrent use.
type House struct {
	books  *books.Books
	timing timing

	mu      sync.Mutex
	hosts   []*Host
	run     *run          // nil while nobody is attached
	last    chan struct{} // closed when the run before has ended; nil before the first
	term    *term
	changed chan struct{} // closed when term changes
}

// timing is how long things take; tests have less patience.
type timing struct {
	beat, ttl   time.Duration
	adopt       time.Duration // how long a seat is empty before another process looks after it
	retry, idle time.Duration
	slowest     time.Duration
	settle      time.Duration // how long the last Detach waits
	// many is how many small proofs are swapped for few great ones. No payment takes more than
	// token.MaxProofs, and the record of each receipt stays as long as its proofs do.
	many int
}

var standard = timing{
	beat: 5 * time.Second, ttl: 20 * time.Second, adopt: 2 * time.Minute,
	retry: time.Second, idle: 5 * time.Second, slowest: 5 * time.Minute, settle: 10 * time.Second,
	many: 2 * token.MaxProofs,
}

// run is the work of a house under one set of settings.
type run struct {
	settings [32]byte
	cancel   context.CancelFunc
}

// street are the houses by the books of their storage.
var street = struct {
	sync.Mutex
	houses map[*books.Books]*House
}{houses: make(map[*books.Books]*House)}

// For finds the house of a storage. Nothing is read, written or dialed until Attach.
func For(storage certmagic.Storage) *House {
	b := books.For(storage)
	street.Lock()
	defer street.Unlock()
	h := street.houses[b]
	if h == nil {
		h = newHouse(b, standard)
		street.houses[b] = h
	}
	return h
}

func newHouse(b *books.Books, times timing) *House {
	return &House{books: b, timing: times, changed: make(chan struct{})}
}

// Attach lends a configuration's means to the house. The purses are opened in the background. The
// same pointer is given to Detach later.
func (h *House) Attach(host *Host) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hosts = append(h.hosts, host)
	h.settle()
}

// Detach takes back what Attach lent. The settings of the configuration before apply again; the last
// one leaves the seat, and waits a little for calls under way.
func (h *House) Detach(host *Host) {
	h.mu.Lock()
	i := slices.Index(h.hosts, host)
	if i < 0 {
		h.mu.Unlock()
		return
	}
	if len(h.hosts) == 1 {
		// The storage is needed until the seat is left.
		h.stop()
		last := h.last
		h.mu.Unlock()
		select {
		case <-last:
		case <-time.After(h.timing.settle):
		}
		h.mu.Lock()
		i = slices.Index(h.hosts, host)
	}
	defer h.mu.Unlock()
	h.hosts = slices.Delete(h.hosts, i, i+1)
	h.settle()
}

// stop ends the work under the current settings; the caller holds mu.
func (h *House) stop() {
	if h.run != nil {
		h.run.cancel()
		h.run = nil
	}
}

// settle makes the newest host's settings apply; the caller holds mu.
func (h *House) settle() {
	if len(h.hosts) == 0 {
		h.stop()
		return
	}
	host := *h.hosts[len(h.hosts)-1]
	settings := host.settings()
	if h.run != nil && h.run.settings == settings {
		return
	}
	h.stop()
	ctx, cancel := context.WithCancel(context.Background())
	before, done := h.last, make(chan struct{})
	h.run, h.last = &run{settings: settings, cancel: cancel}, done
	go func() { // ends when its settings do, and after what ran before it
		defer close(done)
		if before != nil {
			<-before
		}
		h.live(ctx, host)
	}()
}

// live holds seats, one term after the other, until the context ends.
func (h *House) live(ctx context.Context, host Host) {
	for ctx.Err() == nil {
		t := newTerm(h, host)
		t.live(ctx)
	}
}

// show makes a term known to those who wait for it, or takes it away.
func (h *House) show(t *term) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.term = t
	close(h.changed)
	h.changed = make(chan struct{})
}

// current waits for the purses to be open.
func (h *House) current(ctx context.Context) (*term, error) {
	for {
		h.mu.Lock()
		t, changed, attached := h.term, h.changed, len(h.hosts) > 0
		h.mu.Unlock()
		switch {
		case t != nil:
			return t, nil
		case !attached:
			return nil, ErrNotReady
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ErrNotReady
		}
	}
}

// Ready waits until the purses that the storage knows are open. The error is ErrNotReady.
func (h *House) Ready(ctx context.Context) error {
	_, err := h.current(ctx)
	return err
}

// Purse opens a purse, or finds it open. It is asked for anew for each use, since a purse fails with
// purse.ErrStore when the process had to leave its seat. Errors are ErrNotReady, ErrFull, and those
// of purse.Open; purse.ErrForeignMint for a mint that is not named.
func (h *House) Purse(ctx context.Context, key Key) (*purse.Purse, error) {
	t, err := h.current(ctx)
	if err != nil {
		return nil, err
	}
	e, err := t.entry(ctx, t.own, key)
	if err != nil {
		return nil, err
	}
	return e.purse, nil
}

// Receiver is Purse for a token: the purse that has received it before if there is one among the
// seats that this process looks after.
func (h *House) Receiver(ctx context.Context, key Key, tok *token.Token) (*purse.Purse, error) {
	t, err := h.current(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range t.adopted() {
		if e, err := t.entry(ctx, s, key); err != nil {
			return nil, err
		} else if e.purse.Knows(tok) {
			return e.purse, nil
		}
	}
	e, err := t.entry(ctx, t.own, key)
	if err != nil {
		return nil, err
	}
	return e.purse, nil
}

// LockKey is the key that payers lock ecash to which is taken without asking the mint. It is nil while
// the purses are not open; it waits for nothing.
func (h *House) LockKey() *ecash.PublicKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.term == nil {
		return nil
	}
	return h.term.lockKey
}

// Secret makes 32 bytes for a purpose that nobody can guess and that follow from the seed.
func (h *House) Secret(ctx context.Context, purpose string) ([]byte, error) {
	t, err := h.current(ctx)
	if err != nil {
		return nil, err
	}
	return derive(t.seed, "secret\x00"+purpose), nil
}

// Seed gives the words that the ecash can be restored from. Whoever has them has the money.
func (h *House) Seed(ctx context.Context) (string, error) {
	t, err := h.current(ctx)
	if err != nil {
		return "", err
	}
	return t.seed, nil
}

// Info is what a house tells of a purse.
type Info struct {
	Key
	// Seat is where its records are, and Own says whether it is this process's own seat.
	Seat int
	Own  bool
	// Named says that the configuration names the mint. With a mint that it names no longer
	// nothing is done; the ecash waits.
	Named bool
	// Balance is what it has.
	Balance purse.Balance
	// Open is how many operations had not ended when Resume was last called, and Problem what
	// it said, or nil.
	Open    int
	Problem error
	// Purse is the purse.
	Purse *purse.Purse
	// Store keeps what belongs to the purse besides its own records. Like those it takes
	// nothing once this process has lost the seat.
	Store purse.Store
}

// All lists the purses that are open, by key and seat. It is empty while none is.
func (h *House) All() []Info {
	h.mu.Lock()
	t := h.term
	h.mu.Unlock()
	if t == nil {
		return nil
	}
	return t.infos()
}

// Balance adds up what all purses have in a unit.
func (h *House) Balance(unit string) purse.Balance {
	var sum purse.Balance
	for _, info := range h.All() {
		if info.Unit != unit {
			continue
		}
		sum.Available += info.Balance.Available
		sum.Proofs += info.Balance.Proofs
		sum.Reserved += info.Balance.Reserved
		sum.Unswapped += info.Balance.Unswapped
		sum.Disputed += info.Balance.Disputed
	}
	return sum
}

func (h *House) newest() *Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.hosts) == 0 {
		return nil
	}
	return h.hosts[len(h.hosts)-1]
}

func (h *House) storage() certmagic.Storage {
	if host := h.newest(); host != nil {
		return host.Storage
	}
	return nil
}

func (h *House) logger() *zap.Logger {
	if host := h.newest(); host != nil && host.Logger != nil {
		return host.Logger
	}
	return zap.NewNop()
}

// process is this process as others can check it.
var process = sync.OnceValue(ledger.CurrentProcess)

// seatName is a seat's id in the storage.
func seatName(number int) string { return fmt.Sprintf("%02d", number) }
