package localpurse

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop sells for ecash (NUT-24), and answers a token that is brought again as it did before.
type shop struct {
	t       testing.TB
	url     string
	mint    *minttest.Mint
	till    *Mint
	request token.Request
	// line is given as X-L402-Token, and opens what it is presented to.
	line string
	// mood changes the answer to ecash: "refuse", "lose" (once), "unready" (once), "upstream".
	mood          string
	asked, served atomic.Int64
}

func openShop(t testing.TB, o minttest.Options, price uint64) *shop {
	t.Helper()
	mint := minttest.New(t, o)
	s := &shop{t: t, mint: mint, till: openMint(t, openFolder(t, filepath.Join(t.TempDir(), "till")), mint)}
	s.request = token.Request{Amount: price, Unit: "sat", Mints: []string{mint.URL}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL + "/a"
	return s
}

func openFolder(t testing.TB, path string) *Folder {
	t.Helper()
	f, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // some tests do it earlier
	return f
}

func openMint(t testing.TB, f *Folder, mint *minttest.Mint) *Mint {
	t.Helper()
	m, err := f.Mint(t.Context(), Spec{Mint: mint.URL, Network: wallets.Regtest})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.line != "" && r.Header.Get("Authorization") == s.line {
		s.served.Add(1)
		_, _ = io.WriteString(w, "by token")
		return
	}
	text := r.Header.Get("X-Cashu")
	if text == "" {
		s.asked.Add(1)
		creq, err := s.request.Encode()
		if err != nil {
			s.t.Error(err)
		}
		w.Header().Set("X-Cashu", creq)
		w.WriteHeader(http.StatusPaymentRequired)
		return
	}
	mood := s.mood
	if mood == "lose" || mood == "unready" {
		s.mood = ""
	}
	if mood == "refuse" {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	if mood == "unready" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	tok, err := token.Parse(text)
	if err != nil {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	p, err := s.till.Purse(r.Context())
	if err != nil {
		s.t.Error(err)
		return
	}
	receipt, err := p.Receive(r.Context(), tok, purse.Terms{Price: s.request.Amount})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if mood == "lose" {
		panic(http.ErrAbortHandler)
	}
	if receipt.Change != nil {
		change, err := receipt.Change.Encode()
		if err != nil {
			s.t.Error(err)
		}
		w.Header().Set("X-Cashu", change)
	}
	if s.line != "" {
		w.Header().Set("X-L402-Token", s.line)
	}
	s.served.Add(1)
	if mood == "upstream" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_, _ = io.WriteString(w, "by ecash")
}

// sell makes the shop give L402 tokens.
func (s *shop) sell() {
	var preimage lntypes.Preimage
	_, _ = rand.Read(preimage[:]) // never fails
	id, err := l402.NewTokenID(l402.KeyID{1}, time.Now(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	macaroon, err := l402.Mint(new(l402.MasterKey), l402.Identifier{PaymentHash: preimage.Hash(), TokenID: id}, l402.Terms{Service: "shop"}.Caveats())
	if err != nil {
		s.t.Fatal(err)
	}
	s.line = l402.FormatAuthorization(macaroon, preimage)
}

// customer is a client with a purse.
type customer struct {
	*client.Client
	mint  *Mint
	warns []string
}

func newCustomer(t testing.TB, s *shop, amounts ...uint64) *customer {
	t.Helper()
	c := &customer{mint: openMint(t, openFolder(t, filepath.Join(t.TempDir(), "purse")), s.mint)}
	if len(amounts) > 0 {
		text, err := s.mint.Token(t, amounts...).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.mint.Receive(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	transport := client.NewTransport(nil)
	c.Client = &client.Client{
		Wallet: &client.Wallet{Payer: c.mint, Network: wallets.Regtest}, Ecash: c.mint,
		MaxPrice: 1_000_000, MaxFee: 10_000, Timeout: 10 * time.Second, Transport: transport,
		Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Trace: client.Trace{Warn: func(m string) { c.warns = append(c.warns, m) }},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

func (c *customer) get(t testing.TB, address string) (*client.Result, string, error) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Do(t.Context(), &client.Request{URL: u})
	if r.Response == nil {
		return r, "", err
	}
	defer r.Response.Body.Close()
	b, readErr := io.ReadAll(r.Response.Body)
	return r, string(b), errors.Join(err, readErr)
}

func (c *customer) has(t testing.TB, want uint64) {
	t.Helper()
	b, err := c.mint.Balance(t.Context())
	if err != nil || b.Available != want || b.Reserved != 0 {
		t.Errorf("the purse has %+v, %v; want %d", b, err, want)
	}
	limbo, err := c.mint.folder.ListDurable(t.Context(), limboKind)
	if err != nil || len(limbo) != 0 {
		t.Errorf("%d tokens are on their way, %v", len(limbo), err)
	}
}

func TestPayWithEcash(t *testing.T) {
	for name, test := range map[string]struct {
		fee   uint64
		coins []uint64
		left  uint64
		mood  string
	}{
		"exactly":               {coins: []uint64{8, 2, 16}, left: 16},
		"with a split":          {coins: []uint64{64}, left: 54},
		"an answer is lost":     {coins: []uint64{64}, left: 54, mood: "lose"},
		"the shop is not ready": {coins: []uint64{64}, left: 54, mood: "unready"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t, minttest.Options{FeePPK: test.fee}, 10)
			s.mood = test.mood
			c := newCustomer(t, s, test.coins...)
			r, body, err := c.get(t, s.url)
			if err != nil || body != "by ecash" || r.Purchase == nil || r.Purchase.Decoded.Amount != 10_000 {
				t.Fatalf("got %q, %+v, %v, warned %q", body, r.Purchase, err, c.warns)
			}
			c.has(t, test.left)
			if s.served.Load() != 1 || s.mint.Outstanding() != test.left+10 {
				t.Errorf("served %d times; the mint owes %d", s.served.Load(), s.mint.Outstanding())
			}
		})
	}
}

// TestFees pays so that the price is left after the mint's fee, and takes the change in.
func TestFees(t *testing.T) {
	s := openShop(t, minttest.Options{FeePPK: 1000}, 10)
	c := newCustomer(t, s, 64, 64)
	if _, body, err := c.get(t, s.url); err != nil || body != "by ecash" {
		t.Fatalf("got %q, %v, warned %q", body, err, c.warns)
	}
	till, err := s.till.Balance(t.Context())
	if err != nil || till.Available != 10 {
		t.Errorf("the till has %+v, %v", till, err)
	}
	c.MaxFee = 0
	if _, _, err := c.get(t, s.url); err == nil {
		t.Error("a fee above the limit was paid")
	}
}

// TestTokenIsKept pays once and then uses the token that came with the answer.
func TestTokenIsKept(t *testing.T) {
	s := openShop(t, minttest.Options{}, 10)
	s.sell()
	c := newCustomer(t, s, 32)
	c.Tokens = tokenfile.New(filepath.Join(t.TempDir(), "tokens.json"))
	r, body, err := c.get(t, s.url)
	if err != nil || body != "by ecash" || !r.Saved || r.Credential == "" {
		t.Fatalf("got %q, %+v, %v, warned %q", body, r, err, c.warns)
	}
	if r, body, err := c.get(t, s.url); err != nil || body != "by token" || !r.Reused || r.Purchase != nil {
		t.Fatalf("got %q, %+v, %v", body, r, err)
	}
	c.has(t, 22)
	// An upstream that fails has been paid all the same, and the token is there.
	s.sell()
	s.mood = "upstream"
	if r, _, err := c.get(t, s.url); err != nil || r.Response.StatusCode != http.StatusBadGateway || !r.Saved {
		t.Errorf("got %+v, %v", r, err)
	}
	c.has(t, 12)
}

// TestBadTokenIsNotKept takes no token whose preimage is another's.
func TestBadTokenIsNotKept(t *testing.T) {
	for name, spoil := range map[string]func(string) string{
		"another preimage": func(l string) string { return l[:len(l)-64] + strings.Repeat("ab", 32) },
		"no preimage":      func(l string) string { return l[:len(l)-64] },
		"no token":         func(string) string { return "L402 hello" },
	} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t, minttest.Options{}, 10)
			s.sell()
			s.line = spoil(s.line)
			c := newCustomer(t, s, 32)
			c.Tokens = tokenfile.New(filepath.Join(t.TempDir(), "tokens.json"))
			r, body, err := c.get(t, s.url)
			if err != nil || body != "by ecash" || r.Saved || len(c.warns) == 0 {
				t.Errorf("got %q, %+v, %v, warned %q", body, r, err, c.warns)
			}
			if all, err := c.Tokens.Load(); err != nil || len(all) != 0 {
				t.Errorf("the file has %d tokens, %v", len(all), err)
			}
		})
	}
}

// TestRefusals spends nothing where a server asks for what the purse should not give.
func TestRefusals(t *testing.T) {
	for name, change := range map[string]func(*shop, *customer){
		"refused":      func(s *shop, _ *customer) { s.mood = "refuse" },
		"too dear":     func(s *shop, _ *customer) { s.request.Amount = 2000 },
		"too little":   func(s *shop, _ *customer) { s.request.Amount = 500 },
		"another mint": func(s *shop, _ *customer) { s.request.Mints = []string{"https://other.example"} },
		"another unit": func(s *shop, _ *customer) { s.request.Unit = "usd" },
		"locked": func(s *shop, _ *customer) {
			s.request.Lock = &token.LockOption{Kind: token.KindP2PK, Data: strings.Repeat("02", 33)}
		},
		"no amount":  func(s *shop, _ *customer) { s.request.Amount = 0 },
		"huge":       func(s *shop, _ *customer) { s.request.Amount = 1<<64 - 1 },
		"mint away":  func(s *shop, _ *customer) { s.mint.Break(minttest.Fault{Kind: minttest.Unavailable}) },
		"no payment": func(_ *shop, c *customer) { c.Ecash = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t, minttest.Options{}, 10)
			c := newCustomer(t, s, 64, 32)
			change(s, c)
			if r, _, err := c.get(t, s.url); err == nil || r.Purchase != nil {
				t.Errorf("got %+v, %v", r, err)
			}
			s.mint.Repair()
			c.has(t, 96)
			if s.served.Load() != 0 {
				t.Error("it was served")
			}
		})
	}
}

// TestKilledOnTheWay loses the process after the ecash was sent: the next one takes back what nobody
// took, and forgets what was taken.
func TestKilledOnTheWay(t *testing.T) {
	s := openShop(t, minttest.Options{}, 10)
	c := newCustomer(t, s, 64)
	cash, err := c.mint.Quote(t.Context(), &s.request)
	if err != nil {
		t.Fatal(err)
	}
	var texts [2]string
	for i := range texts {
		if _, texts[i], err = c.mint.Send(t.Context(), cash); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.till.Receive(t.Context(), texts[1]); err != nil {
		t.Fatal(err)
	}
	c.mint = openMint(t, c.mint.folder, s.mint)
	c.has(t, 54)
}

func TestFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	f := openFolder(t, path)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(short, path); !errors.Is(err, ErrFolder) {
		t.Errorf("a folder in use was opened: %v", err)
	}
	for _, bad := range [][2]string{{"", "x"}, {"../x", "x"}, {"Kind", "x"}, {"kind", ""}, {"kind", strings.Repeat("x", 81)}} {
		if err := f.PutDurable(t.Context(), bad[0], bad[1], nil); err == nil {
			t.Errorf("%q was stored", bad)
		}
	}
	id := "../../odd name"
	if err := f.PutDurable(t.Context(), "kind", id, []byte("v")); err != nil {
		t.Fatal(err)
	}
	list, err := f.ListDurable(t.Context(), "kind")
	if err != nil || len(list) != 1 || list[0].ID != id || string(list[0].Value) != "v" {
		t.Errorf("got %v, %v", list, err)
	}
	words, err := f.Seed(t.Context())
	if err != nil || len(strings.Fields(words)) < 12 {
		t.Errorf("seed of %d words, %v", len(strings.Fields(words)), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again := openFolder(t, path)
	if same, err := again.Seed(t.Context()); err != nil || same != words {
		t.Errorf("another seed after opening again, %v", err)
	}
	if err := errors.Join(again.DeleteDurable(t.Context(), "kind", id), again.DeleteDurable(t.Context(), "kind", id)); err != nil {
		t.Error(err)
	}
}
