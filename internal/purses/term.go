package purses

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/mint"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// maxPurses bounds the open purses of a process.
const maxPurses = 4096

// indexKind holds a record of each purse, so that a process finds them all.
const indexKind = "cashupurses"

// stepTimeout bounds a step with the storage in the background.
const stepTimeout = 15 * time.Second

// term is the time for which a process holds its seat under the same settings.
type term struct {
	house *House
	host  Host
	owner string
	own   *seat
	seed  string

	lockKey *ecash.PublicKey // of the own seat

	seen map[int]*watched // by the goroutine of live alone
	done context.Context  // ends with the term
	end  context.CancelFunc
	work sync.WaitGroup

	// alone is when it was last seen that no other process has a seat; nil is that one has.
	alone atomic.Pointer[time.Time]

	mu      sync.Mutex
	over    bool
	others  []*seat
	entries map[entryKey]*entry
	clients map[string]*mint.Client
	indexed map[Key]bool
}

type entryKey struct {
	seat int
	Key
}

// entry is a purse, open or being opened.
type entry struct {
	ready chan struct{}
	purse *purse.Purse
	err   error
	named bool

	mu      sync.Mutex
	open    int
	problem error
}

func newTerm(h *House, host Host) *term {
	ctx, cancel := context.WithCancel(context.Background())
	return &term{
		house: h, host: host, owner: newOwner(), seen: make(map[int]*watched), done: ctx, end: cancel,
		entries: make(map[entryKey]*entry), clients: make(map[string]*mint.Client), indexed: make(map[Key]bool),
	}
}

func (t *term) store(s *seat) store {
	if s == nil {
		return store{books: t.house.books}
	}
	return store{books: t.house.books, fence: s.fence}
}

// live takes a seat, opens the purses and holds the seat, until the context ends or the seat is lost.
func (t *term) live(ctx context.Context) {
	owners.Store(t.owner, true)
	defer owners.Delete(t.owner)
	if !t.begin(ctx) {
		t.finish()
		return
	}
	t.house.show(t)
	t.hold(ctx)
	t.house.show(nil)
	t.finish()
}

// begin tries until there is a seat, the seed is known and the purses are open.
func (t *term) begin(ctx context.Context) bool {
	told := false
	for {
		step, cancel := context.WithTimeout(ctx, t.house.timing.ttl+stepTimeout)
		err := t.open(step)
		cancel()
		if err == nil {
			return true
		}
		if ctx.Err() != nil || t.own != nil && t.own.fence() != nil {
			return false
		}
		// The ledger tells by itself that the storage does not work.
		if !told && t.house.books.Ledger() != nil {
			told = true
			t.house.logger().Warn("the purses for ecash cannot be opened; it is tried again", zap.Error(err))
		}
		if !pause(ctx, t.house.timing.retry) {
			return false
		}
	}
}

func (t *term) open(ctx context.Context) (err error) {
	if t.house.books.Ledger() == nil {
		return errNoBook
	}
	if t.own == nil {
		if t.own, err = t.sit(ctx); err != nil {
			t.own = nil
			return err
		}
	}
	if t.seed, err = t.words(ctx); err != nil {
		return err
	}
	t.lockKey = lockKey(t.seed, t.own.number).PubKey()
	t.openKnown(ctx, t.own)
	recs, err := t.seats(ctx)
	if err != nil {
		return err
	}
	t.noteAlone(recs, time.Now())
	return nil
}

// openKnown opens the purses that the index has, at a seat. One that cannot be opened holds up no
// other: it is tried again, and told of once.
func (t *term) openKnown(ctx context.Context, s *seat) {
	err := t.tryKnown(ctx, s)
	s.opened = err == nil
	if err != nil && !s.told && ctx.Err() == nil {
		s.told = true
		t.house.logger().Error("a purse for ecash cannot be opened; it is tried again", zap.Int("seat", s.number), zap.Error(err))
	}
}

func (t *term) tryKnown(ctx context.Context, s *seat) error {
	list, err := t.store(nil).ListDurable(ctx, indexKind)
	if err != nil {
		return err
	}
	var problems []error
	for _, key := range t.host.Open {
		if s != t.own {
			break
		}
		if _, err := t.entry(ctx, s, key); err != nil {
			problems = append(problems, fmt.Errorf("the purse of %s: %w", key.Mint, err))
		}
	}
	for _, d := range list {
		var key Key
		if err := json.Unmarshal(d.Value, &key); err != nil {
			return fmt.Errorf("%w: the record of a purse is damaged", purse.ErrStore)
		}
		t.mu.Lock()
		t.indexed[key] = true
		t.mu.Unlock()
		if _, err := t.entry(ctx, s, key); err != nil {
			problems = append(problems, fmt.Errorf("the purse of %s: %w", key.Mint, err))
		}
	}
	return errors.Join(problems...)
}

// hold keeps the seats until the context ends or one of them is lost.
func (t *term) hold(ctx context.Context) {
	for pause(ctx, t.house.timing.beat) {
		for _, s := range append([]*seat{t.own}, t.adopted()...) {
			step, cancel := context.WithTimeout(ctx, stepTimeout)
			err := t.beat(step, s)
			cancel()
			if lapsed(err) || s.fence() != nil {
				t.house.logger().Error("this instance lost its seat for ecash and takes another one", zap.Int("seat", s.number))
				return
			}
			if !s.opened {
				step, cancel := context.WithTimeout(ctx, stepTimeout)
				t.openKnown(step, s)
				cancel()
			}
		}
		step, cancel := context.WithTimeout(ctx, stepTimeout)
		err := t.adopt(step)
		cancel()
		if err != nil && ctx.Err() == nil {
			if c := t.house.logger().Check(zap.DebugLevel, "seats cannot be looked at"); c != nil {
				c.Write(zap.Error(err))
			}
		}
	}
}

// finish ends everything and frees the seats.
func (t *term) finish() {
	t.mu.Lock()
	t.over = true
	clients := t.clients
	t.clients = nil
	seats := t.others
	t.mu.Unlock()
	t.end()
	t.work.Wait()
	for _, c := range clients {
		_ = c.Close() // nothing is told that matters
	}
	if t.own != nil {
		seats = append(seats, t.own)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	for _, s := range seats {
		if err := t.leave(ctx, s); err != nil {
			t.house.logger().Warn("the seat for ecash was not left; it is free when nothing is heard of it for long", zap.Error(err))
		}
	}
}

func (t *term) adopted() []*seat {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.others)
}

// entry finds or opens a purse at a seat.
func (t *term) entry(ctx context.Context, s *seat, key Key) (*entry, error) {
	address, err := token.NormalizeMint(key.Mint)
	if err != nil {
		return nil, err
	}
	key.Mint = address
	at := entryKey{s.number, key}
	for {
		t.mu.Lock()
		e := t.entries[at]
		if e == nil {
			if err := t.admit(key); err != nil {
				t.mu.Unlock()
				return nil, err
			}
			e = &entry{ready: make(chan struct{})}
			t.entries[at] = e
			t.work.Add(1)
			// Ends when the purse is open and, where it is tended, with the term.
			go func() {
				defer t.work.Done()
				t.run(e, s, at)
			}()
		}
		t.mu.Unlock()
		select {
		case <-e.ready:
			return e, e.err
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrNotReady, ctx.Err())
		}
	}
}

// admit says whether a purse may be opened; the caller holds mu.
func (t *term) admit(key Key) error {
	switch {
	case t.over:
		return ErrNotReady
	case !t.named(key) && !t.indexed[key]:
		return purse.ErrForeignMint
	case len(t.entries) >= maxPurses:
		return fmt.Errorf("%w: %d are open", ErrFull, maxPurses)
	}
	return nil
}

func (t *term) named(key Key) bool {
	return slices.ContainsFunc(t.host.Mints, func(m string) bool { return token.SameMint(m, key.Mint) })
}

// run opens a purse and tends it.
func (t *term) run(e *entry, s *seat, at entryKey) {
	ctx, cancel := context.WithTimeout(t.done, stepTimeout)
	e.purse, e.err = t.openPurse(ctx, s, at.Key)
	cancel()
	e.named = t.named(at.Key)
	if e.err != nil {
		t.mu.Lock()
		delete(t.entries, at) // the next one who needs it tries again
		t.mu.Unlock()
		close(e.ready)
		return
	}
	close(e.ready)
	if e.named {
		t.tend(e, at)
	} else if b := e.purse.Balance(); b.Available+b.Reserved+b.Unswapped > 0 {
		t.house.logger().Warn("there is ecash of a mint that the configuration does not name any more; nothing is done with it",
			zap.String("mint", at.Mint), zap.String("unit", at.Unit), zap.Uint64("balance", b.Available))
	}
}

func (t *term) openPurse(ctx context.Context, s *seat, key Key) (*purse.Purse, error) {
	client, err := t.client(key.Mint)
	if err != nil {
		return nil, err
	}
	words, err := wordsOf(t.seed, key.Name)
	if err != nil {
		return nil, err
	}
	seed, err := ecash.NewSeed(words)
	if err != nil {
		return nil, err
	}
	if err := t.index(ctx, key); err != nil {
		return nil, err
	}
	return purse.Open(ctx, purse.Options{
		Mint: client, Unit: key.Unit, Store: t.store(s), Seed: seed, Keys: lockKeys(t.seed, s.number),
		Name: key.Name, Instance: instanceOf(s.number), Lock: t.house.lock, Others: func() []*purse.Purse { return t.all(key.Unit) },
		Patience: t.host.Patience, RequireDLEQ: t.host.RequireDLEQ, Network: t.host.Network,
	})
}

// index makes sure that the purse is found again.
func (t *term) index(ctx context.Context, key Key) error {
	t.mu.Lock()
	known := t.indexed[key]
	t.mu.Unlock()
	if known {
		return nil
	}
	b, err := json.Marshal(key)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	if err := t.store(t.own).PutDurable(ctx, indexKind, hex.EncodeToString(sum[:]), b); err != nil {
		return fmt.Errorf("%w: noting the purse: %w", purse.ErrStore, err)
	}
	t.mu.Lock()
	t.indexed[key] = true
	t.mu.Unlock()
	return nil
}

func (t *term) client(address string) (*mint.Client, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return nil, ErrNotReady
	}
	if c := t.clients[address]; c != nil {
		return c, nil
	}
	c, err := mint.New(mint.Config{URL: address, Timeout: t.host.Timeout})
	if err != nil {
		return nil, err
	}
	t.clients[address] = c
	return c, nil
}

// all lists the open purses of a unit: one key opens what is locked to any of a seat, and one bound is
// for what they take without asking their mints.
func (t *term) all(unit string) (out []*purse.Purse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, e := range t.entries {
		select {
		case <-e.ready:
			if at.Unit == unit && e.err == nil {
				out = append(out, e.purse)
			}
		default:
		}
	}
	return out
}

func (t *term) infos() []Info {
	t.mu.Lock()
	stores := map[int]purse.Store{t.own.number: t.store(t.own)}
	for _, s := range t.others {
		stores[s.number] = t.store(s)
	}
	var out []Info
	for at, e := range t.entries {
		select {
		case <-e.ready:
		default:
			continue
		}
		if e.err != nil {
			continue
		}
		e.mu.Lock()
		out = append(out, Info{
			Key: at.Key, Seat: at.seat, Own: at.seat == t.own.number, Named: e.named,
			Open: e.open, Problem: e.problem, Purse: e.purse,
			Store: stores[at.seat],
		})
		e.mu.Unlock()
	}
	t.mu.Unlock()
	for i := range out {
		out[i].Balance = out[i].Purse.Balance()
	}
	slices.SortFunc(out, func(a, b Info) int {
		if c := strings.Compare(a.Mint+"\x00"+a.Unit+"\x00"+a.Name, b.Mint+"\x00"+b.Unit+"\x00"+b.Name); c != 0 {
			return c
		}
		return a.Seat - b.Seat
	})
	return out
}
