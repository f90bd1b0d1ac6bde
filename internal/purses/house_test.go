package purses

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/books"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func TestMain(m *testing.M) {
	// It ends up to five seconds after a lock was given back.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}

var hasty = timing{
	beat: 20 * time.Millisecond, ttl: 30 * time.Second, adopt: time.Millisecond,
	retry: 10 * time.Millisecond, idle: 10 * time.Millisecond, slowest: time.Second, settle: 10 * time.Second,
	many: 2 * token.MaxProofs,
}

// server is a process with a house on a storage.
type server struct {
	*House
	t     *testing.T
	books *books.Books
	book  *books.Host
	host  *Host
}

func start(t *testing.T, dir string, times timing, mints ...string) *server {
	t.Helper()
	storage := &certmagic.FileStorage{Path: dir}
	s := &server{t: t, books: books.For(storage)}
	s.book = &books.Host{Storage: storage, Logger: zap.NewNop()}
	if err := s.books.Attach(s.book); err != nil {
		t.Fatal(err)
	}
	s.House = newHouse(s.books, times)
	s.host = &Host{Storage: storage, Logger: zap.NewNop(), Mints: mints, Network: wallets.Regtest}
	s.Attach(s.host)
	t.Cleanup(s.end)
	return s
}

func (s *server) end() {
	if s.host != nil {
		s.Detach(s.host)
		if err := s.books.Detach(s.book); err != nil {
			s.t.Error(err)
		}
		s.host = nil
	}
}

func (s *server) purseOf(key Key) *purse.Purse {
	s.t.Helper()
	p, err := s.Purse(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func receive(t *testing.T, p *purse.Purse, tok *token.Token) {
	t.Helper()
	if _, err := p.Receive(t.Context(), tok, purse.Terms{}); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never " + what)
		}
	}
}

func TestEcashSurvivesRestartsAndReloads(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	dir := t.TempDir()
	key, tenant := Key{Mint: mint.URL, Unit: "sat"}, Key{Mint: mint.URL, Unit: "sat", Name: "anna"}
	s := start(t, dir, hasty, mint.URL)
	receive(t, s.purseOf(key), mint.Token(t, 4, 8))
	receive(t, s.purseOf(tenant), mint.Token(t, 2))
	words, err := s.Seed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reloaded := &Host{Storage: s.host.Storage, Logger: zap.NewNop(), Mints: s.host.Mints, Network: wallets.Regtest}
	before := s.purseOf(key)
	s.Attach(reloaded)
	s.Detach(s.host)
	s.host = reloaded
	if s.purseOf(key) != before {
		t.Error("a reload without a change opened the purse anew")
	}
	changed := *reloaded
	changed.Timeout = time.Second
	s.Attach(&changed)
	s.Detach(reloaded)
	s.host = &changed
	eventually(t, "opened anew", func() bool { p, err := s.Purse(t.Context(), key); return err == nil && p != before })
	s.end()
	if _, err := s.Purse(t.Context(), key); !errors.Is(err, ErrNotReady) || !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("got %v from an empty house", err)
	}

	s = start(t, dir, hasty, mint.URL)
	if _, err := s.Purse(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "found", func() bool { return len(s.All()) == 2 })
	all := s.All()
	if all[0].Key != key || all[0].Balance.Available != 12 || !all[0].Own || !all[0].Named || all[0].Seat != 0 ||
		all[1].Key != tenant || all[1].Balance.Available != 2 {
		t.Errorf("got %+v", all)
	}
	if b := s.Balance("sat"); b.Available != 14 || mint.Outstanding() != 14 {
		t.Errorf("balance %+v, the mint owes %d", b, mint.Outstanding())
	}
	if again, err := s.Seed(t.Context()); err != nil || again != words {
		t.Error("the seed has changed")
	}
}

func TestProcessesHaveSeatsOfTheirOwn(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	dir := t.TempDir()
	key := Key{Mint: mint.URL, Unit: "sat"}
	patient := hasty
	patient.adopt = time.Hour
	a, b := start(t, dir, patient, mint.URL), start(t, dir, patient, mint.URL)
	receive(t, a.purseOf(key), mint.Token(t, 1))
	receive(t, b.purseOf(key), mint.Token(t, 2))
	if x, y := a.All()[0], b.All()[0]; x.Seat == y.Seat || x.Balance.Available != 1 || y.Balance.Available != 2 {
		t.Fatalf("got %+v and %+v", x, y)
	}
	if x, y := a.LockKey(), b.LockKey(); x == nil || y == nil || x.IsEqual(y) {
		t.Error("two processes take the same ecash without asking the mint")
	}
}

// Who did not hear the answer of one process gets the same from another one that lives beside it.
func TestReceiptsOfOtherProcesses(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	dir := t.TempDir()
	key := Key{Mint: mint.URL, Unit: "sat"}
	patient := hasty
	patient.adopt = time.Hour
	a, b := start(t, dir, patient, mint.URL), start(t, dir, patient, mint.URL)
	shown := mint.Token(t, 4, 8)
	first, err := a.purseOf(key).Receive(t.Context(), shown, purse.Terms{Price: 10, Note: "what was bought"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.purseOf(key).Receive(t.Context(), shown, purse.Terms{Price: 10}); !errors.Is(err, purse.ErrSpent) {
		t.Fatalf("the other process says %v", err)
	}
	again, err := b.ReceivedElsewhere(t.Context(), key, shown)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID != first.ID || again.Note != first.Note || again.Amount != 10 || !again.Replayed || !again.Time.Equal(first.Time) {
		t.Errorf("got %+v after %+v", again, first)
	}
	x, errX := first.Change.Encode()
	y, errY := again.Change.Encode()
	if errX != nil || errY != nil || x != y {
		t.Errorf("other change: %v, %v", errX, errY)
	}
	if sum := b.Balance("sat"); sum.Available != 0 || mint.Outstanding() != 12 {
		t.Errorf("the other process has %+v, the mint owes %d", sum, mint.Outstanding())
	}
	// Neither a part of it nor the purse of somebody else counts.
	part := *shown
	part.Proofs = part.Proofs[:1]
	tenant := key
	tenant.Name = "anna"
	for name, ask := range map[string]func() (*purse.Receipt, error){
		"part":    func() (*purse.Receipt, error) { return b.ReceivedElsewhere(t.Context(), key, &part) },
		"unknown": func() (*purse.Receipt, error) { return b.ReceivedElsewhere(t.Context(), key, mint.Token(t, 2)) },
		"tenant":  func() (*purse.Receipt, error) { return b.ReceivedElsewhere(t.Context(), tenant, shown) },
		"own":     func() (*purse.Receipt, error) { return a.ReceivedElsewhere(t.Context(), key, shown) },
	} {
		if r, err := ask(); r != nil || !errors.Is(err, purse.ErrNotFound) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	// While the other one has not ended, the payer is to come again.
	mint.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.Hang})
	open := mint.Token(t, 8)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.purseOf(key).Receive(ctx, open, purse.Terms{}); err == nil {
		t.Fatal("received by a mint that hangs")
	}
	if _, err := b.ReceivedElsewhere(t.Context(), key, open); err != nil && !errors.Is(err, purse.ErrUnsettled) {
		t.Errorf("in flight: %v", err)
	}
}

// The other one looks after the ecash of the one that has left, and knows what it has taken.
func TestSeatsAreTakenOver(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	dir := t.TempDir()
	key := Key{Mint: mint.URL, Unit: "sat"}
	a, b := start(t, dir, hasty, mint.URL), start(t, dir, hasty, mint.URL)
	shown := mint.Token(t, 4)
	receive(t, a.purseOf(key), shown)
	receive(t, b.purseOf(key), mint.Token(t, 2))
	a.end()
	eventually(t, "adopted", func() bool { return len(b.All()) == 2 })
	if sum := b.Balance("sat"); sum.Available != 6 {
		t.Errorf("balance %+v", sum)
	}
	p, err := b.Receiver(t.Context(), key, shown)
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Receive(t.Context(), shown, purse.Terms{})
	if err != nil || !r.Replayed {
		t.Errorf("got %+v, %v", r, err)
	}
}

// Who could not show that it lives writes nothing any more, and sits down elsewhere.
func TestWhoLosesTheSeatStopsWriting(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	key := Key{Mint: mint.URL, Unit: "sat"}
	slow := hasty
	slow.adopt = time.Hour
	a := start(t, t.TempDir(), slow, mint.URL)
	p := a.purseOf(key)
	receive(t, p, mint.Token(t, 8))
	term, err := a.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	thief := newTerm(a.House, *a.host)
	thief.owner = "somebody else"
	owners.Store(thief.owner, true)
	defer owners.Delete(thief.owner)
	if s, err := thief.take(t.Context(), 0, seatRecord{Beat: 1 << 40}); s == nil || err != nil {
		t.Fatal(err)
	}
	eventually(t, "left", func() bool { now, err := a.current(t.Context()); return err == nil && now != term })
	stolen := mint.Token(t, 2)
	term.own.gone.Store(true) // as the clock would have it
	if _, err := p.Receive(t.Context(), stolen, purse.Terms{}); !errors.Is(err, purse.ErrStore) && !errors.Is(err, wallets.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if mint.Spent(t, stolen.Proofs[0]) {
		t.Error("ecash was taken by one who could not write it down")
	}
	if now := a.purseOf(key); now == p {
		t.Error("the purse of the lost seat goes on to be used")
	}
	if info := a.All()[0]; info.Seat != 1 {
		t.Errorf("got %+v", info)
	}
}

func TestOnlyNamedMints(t *testing.T) {
	mint, other := minttest.New(t, minttest.Options{}), minttest.New(t, minttest.Options{})
	dir := t.TempDir()
	s := start(t, dir, hasty, mint.URL)
	if _, err := s.Purse(t.Context(), Key{Mint: other.URL, Unit: "sat"}); !errors.Is(err, purse.ErrForeignMint) {
		t.Errorf("got %v", err)
	}
	receive(t, s.purseOf(Key{Mint: mint.URL, Unit: "sat"}), mint.Token(t, 8))
	s.end()
	calls := mint.Calls("/v1/keysets")
	s = start(t, dir, hasty, other.URL)
	s.purseOf(Key{Mint: other.URL, Unit: "sat"})
	eventually(t, "found", func() bool { return len(s.All()) == 2 })
	for _, info := range s.All() {
		if info.Named != (info.Mint == other.URL) || !info.Named && info.Balance.Available != 8 {
			t.Errorf("got %+v", info)
		}
	}
	eventually(t, "asked", func() bool { return other.Calls("/v1/keysets") > 0 })
	if mint.Calls("/v1/keysets") != calls {
		t.Error("a mint was asked that is not named")
	}
}

// A mint that is down at the start, and goes down in between, is no error of the house.
func TestWhatAMintLeftOpenIsResumed(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	mint.Break(minttest.Fault{Kind: minttest.Unavailable})
	s := start(t, t.TempDir(), hasty, mint.URL)
	key := Key{Mint: mint.URL, Unit: "sat"}
	p := s.purseOf(key)
	mint.Repair()
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	mint.Break(minttest.Fault{Path: "/v1/swap", Kind: minttest.LoseAnswer, Times: 1})
	mint.Break(minttest.Fault{Path: "/v1/restore", Kind: minttest.Unavailable, Times: 1})
	if _, err := p.Receive(t.Context(), mint.Token(t, 8), purse.Terms{}); !errors.Is(err, purse.ErrUnsettled) {
		t.Fatalf("got %v", err)
	}
	eventually(t, "resumed", func() bool { return s.Balance("sat").Available == 8 })
	eventually(t, "told", func() bool { i := s.All()[0]; return i.Open == 0 && i.Problem == nil })
}

func TestPurseDoesNotWaitForEver(t *testing.T) {
	h := newHouse(books.For(&certmagic.FileStorage{Path: t.TempDir()}), hasty) // its ledger never opens
	host := &Host{Storage: &certmagic.FileStorage{Path: t.TempDir()}, Logger: zap.NewNop(), Mints: []string{"https://mint.example"}}
	h.Attach(host)
	defer h.Detach(host)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Purse(ctx, Key{Mint: "https://mint.example", Unit: "sat"}); !errors.Is(err, ErrNotReady) {
		t.Errorf("got %v", err)
	}
	if h.All() != nil {
		t.Error("there are purses")
	}
}
