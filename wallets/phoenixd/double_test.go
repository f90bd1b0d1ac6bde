package phoenixd

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer/peertest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

const (
	fullPassword    = "full-access&password/0123"
	limitedPassword = "limited-access&password/4567"
)

// entry is a payment to the daemon.
type entry struct {
	hash       string
	preimage   string
	invoice    string
	externalID string
	sat, fee   int64
	created    time.Time
	expires    time.Time
	completed  time.Time
}

// daemon is a phoenixd 0.8, as its API reference describes it.
type daemon struct {
	*peertest.Double

	mu      sync.Mutex
	chain   string
	fee     int64
	entries map[string]*entry
	// payable are the preimages of foreign invoices.
	payable map[string]lntypes.Preimage
	paid    map[string]bool
	// pay replaces what payinvoice does.
	pay func(w http.ResponseWriter, hash string)
	// outgoing replaces what is known of a payment from the daemon.
	outgoing func(w http.ResponseWriter, hash string)
}

func newDaemon(t testing.TB) *daemon {
	p := &daemon{
		chain: "regtest", entries: make(map[string]*entry),
		payable: make(map[string]lntypes.Preimage), paid: make(map[string]bool),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /getinfo", p.access(limitedPassword, p.getInfo))
	mux.HandleFunc("POST /createinvoice", p.access(limitedPassword, p.createInvoice))
	mux.HandleFunc("GET /payments/incoming", p.access(limitedPassword, p.list))
	mux.HandleFunc("GET /payments/incoming/{hash}", p.access(limitedPassword, p.lookup))
	mux.HandleFunc("GET /payments/outgoingbyhash/{hash}", p.access(limitedPassword, p.lookupOutgoing))
	mux.HandleFunc("POST /payinvoice", p.access("", p.payInvoice))
	mux.HandleFunc("GET /websocket", p.access(limitedPassword, func(w http.ResponseWriter, r *http.Request) {
		p.Websocket(w, r)
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusNotFound, "Unknown endpoint (check api doc)")
	})
	p.Double = peertest.New(t, wallets.Regtest, mux)
	p.Refuse = func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		text(w, http.StatusUnauthorized,
			"Invalid authentication (use basic auth with the http password set in phoenix.conf) "+password)
	}
	p.Break = func(w http.ResponseWriter, r *http.Request) {
		text(w, http.StatusInternalServerError, "broken: "+r.Header.Get("Authorization"))
	}
	return p
}

func text(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

// access lets those pass who have the password with full access or the other one.
func (p *daemon) access(other string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, password, ok := r.BasicAuth()
		if !ok || password != fullPassword && (other == "" || password != other) {
			p.Refuse(w, r)
			return
		}
		next(w, r)
	}
}

func (p *daemon) getInfo(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	payee := p.Node.Payee()
	answer(w, map[string]any{
		"nodeId": fmt.Sprintf("%x", payee), "channels": []any{}, "chain": p.chain, "blockHeight": 1, "version": "0.8.0",
	})
}

func (p *daemon) createInvoice(w http.ResponseWriter, r *http.Request) {
	amount, err := strconv.ParseInt(r.PostFormValue("amountSat"), 10, 64)
	description := r.PostFormValue("description")
	expiry, expiryErr := strconv.ParseInt(r.PostFormValue("expirySeconds"), 10, 64)
	switch {
	case err != nil:
		text(w, http.StatusBadRequest, "Request parameter amountSat couldn't be parsed/converted to integer")
		return
	case expiryErr != nil:
		text(w, http.StatusBadRequest, "Request parameter expirySeconds couldn't be parsed/converted to integer")
		return
	case len(utf16.Encode([]rune(description))) > 128:
		text(w, http.StatusBadRequest, "Request parameter description is too long (max 128 characters)")
		return
	case !r.PostForm.Has("description"):
		text(w, http.StatusBadRequest, "Must provide either a description or descriptionHash")
		return
	}
	in, err := p.Node.Issue(wallettest.Terms{
		Amount: lnwire.MilliSatoshi(amount * 1000), Memo: description,
		Expiry: time.Duration(expiry) * time.Second, Fault: p.Fault(),
	})
	if err != nil {
		text(w, http.StatusInternalServerError, err.Error())
		return
	}
	e := &entry{
		hash: in.Hash.String(), preimage: in.Preimage.String(), invoice: in.Invoice, sat: amount,
		externalID: r.PostFormValue("externalId"), created: in.CreatedAt, expires: in.ExpiresAt,
	}
	p.mu.Lock()
	p.entries[e.hash] = e
	p.mu.Unlock()
	answer(w, map[string]any{"amountSat": amount, "paymentHash": e.hash, "serialized": e.invoice})
}

// tell is an entry as the API tells it. Empty fields are left out, as phoenixd does.
func (e *entry) tell() map[string]any {
	out := map[string]any{
		"type": "incoming_payment", "subType": "lightning", "paymentHash": e.hash, "preimage": e.preimage,
		"externalId": e.externalID, "description": "x", "invoice": e.invoice, "isPaid": !e.completed.IsZero(),
		"isExpired": time.Now().After(e.expires), "requestedSat": e.sat, "receivedSat": 0, "fees": 0,
		"expiresAt": e.expires.UnixMilli(), "createdAt": e.created.UnixMilli(),
	}
	if !e.completed.IsZero() {
		out["receivedSat"], out["fees"], out["completedAt"] = e.sat-e.fee, e.fee*1000, e.completed.UnixMilli()
	}
	return out
}

func (p *daemon) lookup(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[r.PathValue("hash")]
	if e == nil {
		text(w, http.StatusNotFound, "Not found")
		return
	}
	answer(w, e.tell())
}

// list lists received payments, the latest first.
func (p *daemon) list(w http.ResponseWriter, r *http.Request) {
	number := func(name string, otherwise int64) int64 {
		if n, err := strconv.ParseInt(r.FormValue(name), 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	from, to := number("from", 0), number("to", time.Now().UnixMilli())
	limit, offset := int(number("limit", 20)), int(number("offset", 0))
	p.mu.Lock()
	defer p.mu.Unlock()
	found := []*entry{}
	for _, e := range p.entries {
		at := e.completed.UnixMilli()
		if !e.completed.IsZero() && at >= from && at <= to &&
			(r.FormValue("externalId") == "" || r.FormValue("externalId") == e.externalID) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int { return b.completed.Compare(a.completed) })
	found = found[min(offset, len(found)):]
	found = found[:min(limit, len(found))]
	out := []any{}
	for _, e := range found {
		out = append(out, e.tell())
	}
	answer(w, out)
}

func (p *daemon) payInvoice(w http.ResponseWriter, r *http.Request) {
	invoice := r.PostFormValue("invoice")
	if invoice == "" {
		text(w, http.StatusBadRequest, "Request parameter invoice is missing")
		return
	}
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		text(w, http.StatusBadRequest, "Request parameter invoice couldn't be parsed/converted to bolt11invoice")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	hash := d.PaymentHash.String()
	if p.pay != nil {
		p.pay(w, hash)
		return
	}
	preimage, ok := p.payable[hash]
	if !ok {
		answer(w, map[string]any{"type": "payment_failed", "paymentHash": hash, "reason": "no route"})
		return
	}
	p.paid[hash] = true
	answer(w, map[string]any{
		"type": "payment_sent", "recipientAmountSat": d.Amount / 1000, "routingFeeSat": 4,
		"paymentId": "0", "paymentHash": hash, "paymentPreimage": preimage.String(),
	})
}

func (p *daemon) lookupOutgoing(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hash := r.PathValue("hash")
	switch {
	case p.outgoing != nil:
		p.outgoing(w, hash)
	case p.paid[hash]:
		answer(w, map[string]any{
			"type": "outgoing_payment", "paymentHash": hash, "preimage": p.payable[hash].String(),
			"isPaid": true, "completedAt": 1, "createdAt": 1,
		})
	default:
		text(w, http.StatusNotFound, "Not found")
	}
}

// receive is the hook for a payment of an invoice.
func (p *daemon) receive(t testing.TB, invoice string) {
	hash := peertest.Hash(t, invoice).String()
	at := p.Now()
	p.mu.Lock()
	e := p.entries[hash]
	if e == nil {
		p.mu.Unlock()
		t.Fatal("phoenixd does not know the invoice")
	}
	e.completed, e.fee = at, p.fee
	p.mu.Unlock()
	event, err := json.Marshal(map[string]any{
		"type": "payment_received", "timestamp": at.UnixMilli(), "amountSat": e.sat - e.fee,
		"paymentHash": hash, "externalId": e.externalID,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Send(event)
}

func (p *daemon) expire(t testing.TB, invoice string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries[peertest.Hash(t, invoice).String()].expires = time.Now().Add(-time.Second)
}

func (p *daemon) foreign(t testing.TB, amount lnwire.MilliSatoshi) string {
	var preimage lntypes.Preimage
	_, _ = rand.Read(preimage[:]) // never fails
	in, err := p.Node.Issue(wallettest.Terms{Amount: amount, Preimage: &preimage})
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.payable[in.Hash.String()] = preimage
	return in.Invoice
}

// open makes a wallet at the daemon.
func (p *daemon) open(t testing.TB, env wallets.Env, password string) *Wallet {
	t.Helper()
	g := &Daemon{Address: p.URL, Password: password, NetworkName: "regtest"}
	if err := g.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	w, err := g.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.(*Wallet).Close() })
	return w.(*Wallet)
}

// scripted makes a wallet at a server that answers everything in one way.
func scripted(t testing.TB, status int, body string) *Wallet {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text(w, status, body)
	}))
	t.Cleanup(server.Close)
	p := &daemon{Double: &peertest.Double{URL: server.URL}}
	return p.open(t, wallettest.NewEnv(t), limitedPassword)
}
