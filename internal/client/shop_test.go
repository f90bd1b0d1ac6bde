package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// price is what the shops ask for unless a test says otherwise.
const price = lnwire.MilliSatoshi(10_000)

// world is a lightning network of one node, its wallet, and shops.
type world struct {
	t    testing.TB
	node *wallettest.Node

	mu        sync.Mutex
	preimages map[lntypes.Hash]lntypes.Preimage
	paid      []lntypes.Hash
	// payErr, when set, decides about each payment before it is made.
	payErr func(n int) error
	// wrongPreimage makes the wallet lie.
	wrongPreimage bool
}

func newWorld(t testing.TB) *world {
	return &world{t: t, node: wallettest.NewNode(t, wallets.Regtest), preimages: map[lntypes.Hash]lntypes.Preimage{}}
}

// Pay implements wallets.Payer. An invoice can be paid again and gives the same preimage.
func (w *world) Pay(ctx context.Context, invoice string, _ lnwire.MilliSatoshi) (lntypes.Preimage, error) {
	if err := ctx.Err(); err != nil {
		return lntypes.Preimage{}, err
	}
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		return lntypes.Preimage{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paid = append(w.paid, d.PaymentHash)
	if w.payErr != nil {
		if err := w.payErr(len(w.paid)); err != nil {
			return lntypes.Preimage{}, err
		}
	}
	p := w.preimages[d.PaymentHash]
	if w.wrongPreimage {
		p[0] ^= 1
	}
	return p, nil
}

func (w *world) payments() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.paid)
}

func (w *world) invoice(terms wallettest.Terms) *wallettest.Issued {
	issued, err := w.node.Issue(terms)
	if err != nil {
		w.t.Error(err)
		return &wallettest.Issued{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.preimages[issued.Hash] = issued.Preimage
	return issued
}

// shop is a server that sells like the gate does, and verifies what it gets.
type shop struct {
	*world
	*httptest.Server
	key     l402.MasterKey
	keyID   l402.KeyID
	service func(*http.Request) string
	// invoiceTerms, alter and lines change the challenge.
	invoiceTerms wallettest.Terms
	alter        func(*l402.Challenge)
	lines        func(l402.Challenge) []string
	status       int
	// refuse, when set, refuses the n-th credential that would be good.
	refuse func(n int) bool
	// serve answers paid requests.
	serve http.HandlerFunc

	count       sync.Mutex
	challenges  int
	good        int
	requests    []*http.Request
	credentials []string
}

func (w *world) shop() *shop {
	s := &shop{
		world: w, key: l402.MasterKey{1}, keyID: l402.KeyID{2}, status: http.StatusPaymentRequired,
		service:      func(*http.Request) string { return "premium" },
		invoiceTerms: wallettest.Terms{Amount: price, Memo: "a page", Expiry: time.Hour},
		lines:        func(c l402.Challenge) []string { return []string{c.L402()} },
		serve: func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
		},
	}
	s.Server = httptest.NewServer(s)
	w.t.Cleanup(s.Close)
	return s
}

// MasterKey implements l402.Keys.
func (s *shop) MasterKey(id l402.KeyID) *l402.MasterKey {
	if id != s.keyID {
		return nil
	}
	key := s.key
	return &key
}

// ServeHTTP implements http.Handler.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.count.Lock()
	defer s.count.Unlock()
	s.requests = append(s.requests, r)
	service := s.service(r)
	if service == "" || s.verified(r, service) {
		s.serve(w, r)
		return
	}
	s.challenges++
	terms := l402.Terms{Service: service, ValidUntil: time.Now().Add(time.Hour)}
	issued := s.invoice(s.invoiceTerms)
	tokenID, err := l402.NewTokenID(s.keyID, time.Now(), nil)
	if err != nil {
		s.t.Error(err)
	}
	mac, err := l402.Mint(&s.key, l402.Identifier{PaymentHash: issued.Hash, TokenID: tokenID}, terms.Caveats())
	if err != nil {
		s.t.Error(err)
	}
	challenge := l402.Challenge{Macaroon: mac, Invoice: issued.Invoice}
	if s.alter != nil {
		s.alter(&challenge)
	}
	for _, line := range s.lines(challenge) {
		w.Header().Add("WWW-Authenticate", line)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, `{"detail":"pay first"}`)
}

func (s *shop) verified(r *http.Request, service string) bool {
	if a := r.Header.Get("Authorization"); a != "" {
		s.credentials = append(s.credentials, a)
	}
	var c l402.Credential
	reader := l402.NewReader(r.Header, l402.FormAll)
	if ok, err := reader.Next(&c); !ok || err != nil {
		return false
	}
	var g l402.Grant
	if err := l402.Verify(s, &c, &l402.Want{Service: service}, &g); err != nil {
		return false
	}
	s.good++
	return s.refuse == nil || !s.refuse(s.good)
}

func (s *shop) seen() (requests, challenges, credentials int) {
	s.count.Lock()
	defer s.count.Unlock()
	return len(s.requests), s.challenges, len(s.credentials)
}

// client makes a client whose pauses take no time.
func (w *world) client() *Client {
	transport := NewTransport(nil)
	transport.Proxy = nil
	w.t.Cleanup(transport.CloseIdleConnections)
	return &Client{
		Wallet:   &Wallet{Payer: w, Network: wallets.Regtest},
		MaxPrice: 100_000, Transport: transport, Timeout: 20 * time.Second, MaxRedirects: 5,
		Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func (w *world) tokens(path string) *tokenfile.File { return tokenfile.New(path) }

// get requests a URL and reads the body.
func get(t testing.TB, c *Client, target string) (*Result, string, error) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, c, &Request{URL: u})
}

func do(t testing.TB, c *Client, r *Request) (*Result, string, error) {
	t.Helper()
	result, err := c.Do(t.Context(), r)
	if result == nil {
		t.Fatal("Do gave no result")
	}
	if result.Response == nil {
		return result, "", err
	}
	defer result.Response.Body.Close()
	body, readErr := io.ReadAll(result.Response.Body)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return result, string(body), err
}

var (
	_ wallets.Payer = (*world)(nil)
	_ l402.Keys     = (*shop)(nil)
)
