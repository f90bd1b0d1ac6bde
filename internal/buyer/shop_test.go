package buyer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/caddy-l402/caddy-l402/internal/budget"
	"github.com/caddy-l402/caddy-l402/internal/client"
	"github.com/caddy-l402/caddy-l402/internal/ledger"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.updateLockfileFreshness"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}

// price is what shops ask for.
const price = lnwire.MilliSatoshi(10_000)

// world is a Lightning network of one node, and the wallet that pays it.
type world struct {
	t    *testing.T
	node *wallettest.Node
	dir  string

	mu        sync.Mutex
	preimages map[lntypes.Hash]lntypes.Preimage
	paid      map[lntypes.Hash]int
	// payErr, when set, decides about each payment; money says whether it leaves all the same.
	payErr error
	// hold, when set, is waited for by each payment.
	hold chan struct{}
	// begun counts payments that began.
	begun int
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, node: wallettest.NewNode(t, wallets.Regtest), dir: t.TempDir(),
		preimages: map[lntypes.Hash]lntypes.Preimage{}, paid: map[lntypes.Hash]int{},
	}
}

// Pay implements wallets.Payer: an invoice can be paid again and gives the same preimage.
func (w *world) Pay(_ context.Context, invoice string, _ lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		return lntypes.Preimage{}, err
	}
	w.mu.Lock()
	hold := w.hold
	w.begun++
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.payErr != nil {
		return lntypes.Preimage{}, w.payErr
	}
	w.paid[d.PaymentHash]++
	return w.preimages[d.PaymentHash], nil
}

func (w *world) fails(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.payErr = err
}

// spent counts the invoices that money left for.
func (w *world) spent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.paid)
}

// shop is an upstream that sells, and verifies what it gets.
type shop struct {
	*httptest.Server
	w     *world
	key   l402.MasterKey
	terms wallettest.Terms
	sells func(*http.Request) l402.Terms // an empty service is free
	alter func(*l402.Challenge)
	// refuseAll makes good tokens be refused.
	refuseAll bool

	mu         sync.Mutex
	challenges int
	used       map[lntypes.Hash]uint64
	seen       []http.Header
}

func (w *world) shop() *shop {
	s := &shop{
		w: w, key: l402.MasterKey{1}, terms: wallettest.Terms{Amount: price, Expiry: time.Hour},
		sells: func(*http.Request) l402.Terms {
			return l402.Terms{Service: "data", ValidUntil: time.Now().Add(time.Hour)}
		},
		used: map[lntypes.Hash]uint64{},
	}
	s.Server = httptest.NewServer(s)
	w.t.Cleanup(s.Close)
	return s
}

// MasterKey implements l402.Keys.
func (s *shop) MasterKey(l402.KeyID) *l402.MasterKey { key := s.key; return &key }

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Header)
	terms := s.sells(r)
	if terms.Service == "" || s.verified(r, terms) {
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
		return
	}
	s.challenges++
	issued, err := s.w.node.Issue(s.terms)
	if err != nil {
		s.w.t.Error(err)
		return
	}
	s.w.mu.Lock()
	s.w.preimages[issued.Hash] = issued.Preimage
	s.w.mu.Unlock()
	tokenID, err := l402.NewTokenID(l402.KeyID{2}, time.Now(), nil)
	if err != nil {
		s.w.t.Error(err)
	}
	mac, err := l402.Mint(&s.key, l402.Identifier{PaymentHash: issued.Hash, TokenID: tokenID}, terms.Caveats())
	if err != nil {
		s.w.t.Error(err)
	}
	challenge := l402.Challenge{Macaroon: mac, Invoice: issued.Invoice}
	if s.alter != nil {
		s.alter(&challenge)
	}
	w.Header().Set("WWW-Authenticate", challenge.L402())
	w.WriteHeader(http.StatusPaymentRequired)
}

func (s *shop) verified(r *http.Request, terms l402.Terms) bool {
	var c l402.Credential
	reader := l402.NewReader(r.Header, l402.FormAll)
	if ok, err := reader.Next(&c); !ok || err != nil || s.refuseAll {
		return false
	}
	var g l402.Grant
	if l402.Verify(s, &c, &l402.Want{Service: terms.Service}, &g) != nil {
		return false
	}
	hash := g.PaymentHash
	if s.used[hash]++; terms.Uses > 0 && s.used[hash] > terms.Uses {
		return false
	}
	return true
}

func (s *shop) count() (requests, challenges int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen), s.challenges
}

// house opens the storage anew, as another process would.
func (w *world) house() *House {
	w.t.Helper()
	storage := &certmagic.FileStorage{Path: w.dir}
	l, err := ledger.Open(w.t.Context(), ledger.Options{Storage: storage, Logger: zap.NewNop()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return NewHouse(&Store{Ledger: func() *ledger.Ledger { return l }, Locks: storage})
}

// buyer makes a Buyer with a budget.
func (w *world) buyer(h *House, limits ...string) *Buyer {
	w.t.Helper()
	account := &Account{Store: h.store, Name: "main"}
	for _, text := range limits {
		rule, err := budget.ParseHostLimit(text)
		if err != nil {
			w.t.Fatal(err)
		}
		if rule.EachHost {
			rule.EachHost = false // for everything
		}
		account.Rules = append(account.Rules, rule)
	}
	return &Buyer{
		House: h, ID: "a", MaxBody: 1000, Logger: zap.NewNop(),
		Client: &client.Client{
			Wallet:   &client.Wallet{Payer: w, Network: wallets.Regtest},
			MaxPrice: 100_000, MaxFee: 1000, Timeout: 20 * time.Second, Budget: account,
		},
		Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

// transport sends requests without a pool, so that nothing is left behind.
var transport = &http.Transport{DisableKeepAlives: true}

// ask makes a request through a Buyer.
func ask(t *testing.T, b *Buyer, method, target, body string, headers ...string) (int, string, error) {
	t.Helper()
	return askWith(t.Context(), t, b, method, target, strings.NewReader(body), headers...)
}

func askWith(ctx context.Context, t *testing.T, b *Buyer, method, target string, body io.Reader, headers ...string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := b.RoundTrip(r, transport)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), nil
}

var (
	_ wallets.Payer = (*world)(nil)
	_ l402.Keys     = (*shop)(nil)
)
