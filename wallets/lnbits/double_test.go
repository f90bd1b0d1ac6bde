package lnbits

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer/peertest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

const (
	invoiceKey = "0123invoice&key/4567"
	adminKey   = "89abadmin&key/cdef"
	// otherKey is that of another wallet of the same server.
	otherKey = "0000other&key/0000"
)

// row is a payment in the server's database.
type row struct {
	hash, preimage, bolt11, memo, status, key string
	// amount is negative for payments from the wallet.
	amount                   int64
	created, expiry, updated time.Time
}

// server is an LNbits 1.4, as its API documentation describes it. The two keys share a wallet.
type server struct {
	*peertest.Double

	mu   sync.Mutex
	rows []*row
	// title stands in for an empty memo.
	title string
	// knows says that the funding source tells preimages when an invoice is made.
	knows bool
	// shut refuses calls without a key, as a proxy in front may.
	shut bool
	// probe replaces the answer to those without a key.
	probe func(http.ResponseWriter)
	// old sorts as versions before 1.4 do, which have no order by updated_at.
	old bool
	// payable are the preimages of invoices that can be paid.
	payable map[string]string
	reserve int64
	pay     func(w http.ResponseWriter, hash string)
}

func newServer(t testing.TB) *server {
	s := &server{payable: make(map[string]string), reserve: 2000}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/wallet", s.keyed(s.wallet))
	mux.HandleFunc("POST /api/v1/payments", s.keyed(s.create))
	mux.HandleFunc("GET /api/v1/payments", s.keyed(s.list))
	mux.HandleFunc("GET /api/v1/payments/fee-reserve", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		answer(w, http.StatusOK, map[string]any{"fee_reserve": s.reserve})
	})
	mux.HandleFunc("GET /api/v1/payments/{hash}", s.lookup)
	mux.HandleFunc("GET /api/v1/ws/{key}", func(w http.ResponseWriter, r *http.Request) { s.Websocket(w, r) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { detail(w, http.StatusNotFound, "Not Found") })
	s.Double = peertest.New(t, wallets.Regtest, mux)
	s.Refuse = func(w http.ResponseWriter, r *http.Request) {
		// A look-up needs no key; with a wrong one it tells as much as without.
		if hash, ok := strings.CutPrefix(r.URL.Path, "/api/v1/payments/"); ok {
			r.Header.Set("X-Api-Key", "wrong")
			r.SetPathValue("hash", hash)
			s.lookup(w, r)
			return
		}
		detail(w, http.StatusNotFound, "Wallet not found. "+r.Header.Get("X-Api-Key"))
	}
	s.Break = func(w http.ResponseWriter, r *http.Request) {
		detail(w, http.StatusInternalServerError, "Unexpected error! "+r.Header.Get("X-Api-Key"))
	}
	return s
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func detail(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"detail": text})
}

func (s *server) keyed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Api-Key") {
		case "":
			detail(w, http.StatusUnauthorized, "No Api Key provided.")
		case invoiceKey, adminKey, otherKey:
			next(w, r)
		default:
			s.Refuse(w, r)
		}
	}
}

func (s *server) wallet(w http.ResponseWriter, r *http.Request) {
	out := map[string]any{"name": "a wallet", "balance": 0}
	if r.Header.Get("X-Api-Key") == adminKey {
		out["id"] = "0a1b"
	}
	answer(w, http.StatusOK, out)
}

func (s *server) create(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Out    *bool    `json:"out"`
		Amount *float64 `json:"amount"`
		Unit   string   `json:"unit"`
		Memo   string   `json:"memo"`
		Expiry int64    `json:"expiry"`
		Bolt11 string   `json:"bolt11"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"detail": []any{map[string]any{"msg": err.Error()}}})
		return
	}
	switch {
	case in.Out == nil || *in.Out:
		s.payInvoice(w, r, in.Bolt11)
		return
	case utf8.RuneCountInString(in.Memo) > 640:
		answer(w, http.StatusBadRequest, map[string]any{"detail": []any{map[string]any{
			"loc": []string{"body", "memo"}, "msg": "ensure this value has at most 640 characters",
		}}})
		return
	case in.Amount == nil || *in.Amount <= 0:
		answer(w, statusPayment, map[string]any{"detail": "Amountless invoices not supported.", "status": stateFailed})
		return
	case *in.Amount > 10_000_000:
		answer(w, statusPayment, map[string]any{
			"detail": fmt.Sprintf("Invoice amount %v sats is too high. Max allowed: 10000000 sats.", *in.Amount),
			"status": stateFailed,
		})
		return
	}
	s.mu.Lock()
	if in.Memo == "" {
		in.Memo = s.title
	}
	s.mu.Unlock()
	issued, err := s.Node.Issue(wallettest.Terms{
		Amount: lnwire.MilliSatoshi(int64(*in.Amount)) * 1000, Memo: in.Memo,
		Expiry: time.Duration(in.Expiry) * time.Second, Fault: s.Fault(),
	})
	if err != nil {
		answer(w, statusPayment, map[string]any{"detail": err.Error(), "status": statePending})
		return
	}
	now := s.Now()
	p := &row{
		hash: issued.Hash.String(), bolt11: issued.Invoice, memo: in.Memo, status: statePending, key: invoiceKey,
		amount: int64(issued.Amount), created: now, updated: now, expiry: issued.ExpiresAt,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payable[p.hash] = issued.Preimage.String()
	if s.knows {
		p.preimage = s.payable[p.hash]
	}
	s.rows = append(s.rows, p)
	answer(w, http.StatusCreated, p.tell())
}

// tell is a payment as the API tells it.
func (p *row) tell() map[string]any {
	out := map[string]any{
		"checking_id": p.hash, "payment_hash": p.hash, "wallet_id": "0a1b", "amount": p.amount, "fee": 0,
		"bolt11": p.bolt11, "payment_request": p.bolt11, "fiat_provider": nil, "status": p.status, "memo": p.memo,
		"expiry": p.expiry.UTC().Format("2006-01-02T15:04:05+00:00"), "preimage": nil,
		"time":       p.created.UTC().Format("2006-01-02T15:04:05.999999+00:00"),
		"created_at": p.created.UTC().Format("2006-01-02T15:04:05.999999+00:00"),
		"updated_at": p.updated.UTC().Format("2006-01-02T15:04:05.999999+00:00"),
		"labels":     []string{}, "extra": map[string]any{},
	}
	if p.preimage != "" {
		out["preimage"] = p.preimage
	}
	return out
}

// lookup is for everyone; the wallet's own keys get details.
func (s *server) lookup(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("X-Api-Key")
	s.mu.Lock()
	defer s.mu.Unlock()
	if key == "" && s.probe != nil {
		s.probe(w)
		return
	}
	if key == "" && s.shut {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	own := key == invoiceKey || key == adminKey
	var found *row
	for _, p := range s.rows {
		// The one that went out, where there are two.
		if p.hash == r.PathValue("hash") && !(key == otherKey) && (found == nil || p.amount < found.amount) {
			found = p
		}
	}
	if found == nil {
		detail(w, http.StatusNotFound, "Payment does not exist.")
		return
	}
	told := found.tell()
	out := map[string]any{"paid": found.status == stateSuccess}
	switch found.status {
	case stateFailed:
		out["status"] = stateFailed
	case statePending:
		out["preimage"] = told["preimage"]
		if own {
			out["status"] = statePending
		}
	default:
		out["preimage"] = told["preimage"]
	}
	if own {
		out["details"] = told
	}
	answer(w, http.StatusOK, out)
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		limit = 10
	}
	offset, _ := strconv.Atoi(q.Get("offset")) // absent is zero
	order := q.Get("sortby")
	s.mu.Lock()
	defer s.mu.Unlock()
	if order == "updated_at" && s.old {
		detail(w, http.StatusBadRequest, "Invalid sort field")
		return
	}
	var found []*row
	for _, p := range s.rows {
		if (q.Get("status") == "" || p.status == q.Get("status")) && (p.amount > 0 || !q.Has("amount[gt]")) &&
			(q.Get("payment_hash") == "" || p.hash == q.Get("payment_hash")) && p.status != stateFailed {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b *row) int {
		if order == "updated_at" {
			return b.updated.Compare(a.updated)
		}
		return b.created.Compare(a.created)
	})
	found = found[min(offset, len(found)):]
	found = found[:min(limit, len(found))]
	out := []any{}
	for _, p := range found {
		out = append(out, p.tell())
	}
	answer(w, http.StatusOK, out)
}

func (s *server) payInvoice(w http.ResponseWriter, r *http.Request, bolt11 string) {
	if r.Header.Get("X-Api-Key") != adminKey {
		detail(w, http.StatusForbidden, "Invoice (or Admin) key required.")
		return
	}
	fail := func(text, status string) {
		answer(w, statusPayment, map[string]any{"detail": text, "status": status})
	}
	d, err := wallets.DecodeInvoice(bolt11)
	if err != nil {
		fail("Bolt11 decoding failed.", stateFailed)
		return
	}
	hash := d.PaymentHash.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pay != nil {
		s.pay(w, hash)
		return
	}
	preimage, ok := s.payable[hash]
	if !ok {
		fail("Payment failed: no route", stateFailed)
		return
	}
	now := time.Now()
	p := &row{
		hash: hash, preimage: preimage, bolt11: bolt11, status: stateSuccess, key: adminKey,
		amount: -int64(d.Amount), created: now, updated: now, expiry: d.ExpiresAt,
	}
	s.rows = append(s.rows, p)
	answer(w, http.StatusCreated, p.tell())
}

// settle is the hook for a payment of an invoice.
func (s *server) settle(t testing.TB, invoice string) {
	hash := peertest.Hash(t, invoice).String()
	s.settleWith(t, invoice, func() string { return s.payable[hash] })
}

// settleWith settles an invoice with another preimage than its own, or none.
func (s *server) settleWith(t testing.TB, invoice string, preimage func() string) {
	t.Helper()
	at := s.Now()
	s.mu.Lock()
	p := s.find(t, invoice)
	p.status, p.updated, p.preimage = stateSuccess, at, preimage()
	event, err := json.Marshal(map[string]any{"wallet_balance": 1, "payment": p.tell()})
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	s.Send(event)
}

// find needs the lock.
func (s *server) find(t testing.TB, invoice string) *row {
	t.Helper()
	hash := peertest.Hash(t, invoice).String()
	for _, p := range s.rows {
		if p.hash == hash && p.amount > 0 {
			return p
		}
	}
	t.Fatal("LNbits does not know the invoice")
	return nil
}

// change changes how the server behaves.
func (s *server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) set(change func(*row)) func(testing.TB, string) {
	return func(t testing.TB, invoice string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		change(s.find(t, invoice))
	}
}

func (s *server) foreign(t testing.TB, amount lnwire.MilliSatoshi) string {
	var preimage lntypes.Preimage
	_, _ = rand.Read(preimage[:]) // never fails
	in, err := s.Node.Issue(wallettest.Terms{Amount: amount, Preimage: &preimage})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payable[in.Hash.String()] = preimage.String()
	return in.Invoice
}

// open makes a wallet at the server.
func (s *server) open(t testing.TB, env wallets.Env, key string, private bool) *Wallet {
	t.Helper()
	a := &Account{Address: s.URL, Key: key, NetworkName: "regtest", PrivateAPI: private}
	if err := a.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w, err := a.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.(*Wallet).Close() })
	return w.(*Wallet)
}

// scripted makes a wallet at a server that answers everything in one way.
func scripted(t testing.TB, status int, body string) *Wallet {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return (&server{Double: &peertest.Double{URL: s.URL}}).open(t, wallettest.NewEnv(t), invoiceKey, true)
}
