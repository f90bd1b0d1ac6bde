package eclair

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/internal/restpeer/peertest"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

const password = "eclair&api/password=0123"

// entry is a row of the node's received payments.
type entry struct {
	hash, preimage, serialized, memo string
	amount                           lnwire.MilliSatoshi
	created, expires, received       time.Time
}

// node is an Eclair 0.14, as its API reference describes it.
type node struct {
	*peertest.Double

	mu      sync.Mutex
	network string
	entries []*entry
	// channels are the private channels of the latest invoice.
	channels string
	payable  map[string]string
	paid     map[string]bool
	// maxFee and maxPct are the limits of the latest payment.
	maxFee, maxPct string
	pay            func(w http.ResponseWriter, hash string)
	sent           func(w http.ResponseWriter, hash string)
}

func newNode(t testing.TB) *node {
	n := &node{network: "regtest", payable: make(map[string]string), paid: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /getinfo", n.getInfo)
	mux.HandleFunc("POST /createinvoice", n.createInvoice)
	mux.HandleFunc("POST /getreceivedinfo", n.getReceivedInfo)
	mux.HandleFunc("POST /listreceivedpayments", n.listReceivedPayments)
	mux.HandleFunc("POST /payinvoice", n.payInvoice)
	mux.HandleFunc("POST /getsentinfo", n.getSentInfo)
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) { n.Websocket(w, r) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "The requested resource could not be found.")
	})
	n.Double = peertest.New(t, wallets.Regtest, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, ok := r.BasicAuth(); !ok || p != password {
			n.Refuse(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	n.Refuse = func(w http.ResponseWriter, r *http.Request) {
		_, p, _ := r.BasicAuth()
		fail(w, http.StatusUnauthorized, "The supplied authentication is invalid "+p)
	}
	n.Break = func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusInternalServerError, "API call failed: check logs for more details "+r.Header.Get("Authorization"))
	}
	return n
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"error": text})
}

func (n *node) getInfo(w http.ResponseWriter, _ *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	payee := n.Node.Payee()
	answer(w, http.StatusOK, map[string]any{
		"version": "0.14.1", "nodeId": fmt.Sprintf("%x", payee), "alias": "alice", "network": n.network,
	})
}

func (n *node) createInvoice(w http.ResponseWriter, r *http.Request) {
	amount, err := strconv.ParseInt(r.PostFormValue("amountMsat"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, "The form field 'amountMsat' was malformed")
		return
	}
	expiry, err := strconv.ParseInt(r.PostFormValue("expireIn"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, "The form field 'expireIn' was malformed")
		return
	}
	if !r.PostForm.Has("description") {
		fail(w, http.StatusInternalServerError, "API call failed: check logs for more details")
		return
	}
	in, err := n.Node.Issue(wallettest.Terms{
		Amount: lnwire.MilliSatoshi(amount), Memo: r.PostFormValue("description"),
		Expiry: time.Duration(expiry) * time.Second, Fault: n.Fault(),
	})
	if err != nil {
		fail(w, http.StatusInternalServerError, "API call failed: check logs for more details")
		return
	}
	e := &entry{
		hash: in.Hash.String(), preimage: in.Preimage.String(), serialized: in.Invoice,
		memo: r.PostFormValue("description"), created: n.Now(), expires: in.ExpiresAt,
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.channels = r.PostFormValue("privateChannelIds")
	n.entries = append(n.entries, e)
	answer(w, http.StatusOK, e.invoice())
}

func (e *entry) invoice() map[string]any {
	return map[string]any{
		"prefix": "lnbcrt", "timestamp": e.created.Unix(), "serialized": e.serialized,
		"description": e.memo, "paymentHash": e.hash, "routingInfo": []any{},
	}
}

func stampOf(t time.Time) map[string]any {
	return map[string]any{"iso": t.UTC().Format("2006-01-02T15:04:05.000Z"), "unix": t.Unix()}
}

func (e *entry) tell() map[string]any {
	status := map[string]any{"type": "pending"}
	switch {
	case !e.received.IsZero():
		status = map[string]any{"type": "received", "amount": e.amount, "receivedAt": stampOf(e.received)}
	case time.Now().After(e.expires):
		status = map[string]any{"type": "expired"}
	}
	return map[string]any{
		"invoice": e.invoice(), "paymentPreimage": e.preimage, "paymentType": "Standard",
		"createdAt": stampOf(e.created), "status": status,
	}
}

// find needs the lock.
func (n *node) find(hash string) *entry {
	for _, e := range n.entries {
		if e.hash == hash {
			return e
		}
	}
	return nil
}

func (n *node) getReceivedInfo(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.find(r.PostFormValue("paymentHash")); e != nil {
		answer(w, http.StatusOK, e.tell())
		return
	}
	fail(w, http.StatusNotFound, "Not found")
}

// listReceivedPayments lists by the time of making, the first first.
func (n *node) listReceivedPayments(w http.ResponseWriter, r *http.Request) {
	number := func(name string, otherwise int64) int64 {
		if v, err := strconv.ParseInt(r.PostFormValue(name), 10, 64); err == nil {
			return v
		}
		return otherwise
	}
	from, to := number("from", time.Now().Unix()-86400), number("to", time.Now().Unix())
	skip, count := int(number("skip", 0)), int(number("count", 1<<20))
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []*entry
	for _, e := range n.entries {
		if ms := e.created.UnixMilli(); !e.received.IsZero() && ms > from*1000 && ms < to*1000 {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int { return a.created.Compare(b.created) })
	found = found[min(skip, len(found)):]
	found = found[:min(count, len(found))]
	out := []any{}
	for _, e := range found {
		out = append(out, e.tell())
	}
	answer(w, http.StatusOK, out)
}

func (n *node) payInvoice(w http.ResponseWriter, r *http.Request) {
	d, err := wallets.DecodeInvoice(r.PostFormValue("invoice"))
	if err != nil || r.PostFormValue("blocking") != "true" {
		fail(w, http.StatusBadRequest, "The form field 'invoice' was malformed")
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.maxFee, n.maxPct = r.PostFormValue("maxFeeFlatSat"), r.PostFormValue("maxFeePct")
	hash := d.PaymentHash.String()
	if n.pay != nil {
		n.pay(w, hash)
		return
	}
	if n.payable[hash] == "" {
		answer(w, http.StatusOK, map[string]any{"type": "payment-failed", "paymentHash": hash, "failures": []any{}})
		return
	}
	n.paid[hash] = true
	answer(w, http.StatusOK, map[string]any{
		"type": "payment-sent", "paymentHash": hash, "paymentPreimage": n.payable[hash], "fees": 3,
	})
}

func (n *node) getSentInfo(w http.ResponseWriter, r *http.Request) {
	hash := r.PostFormValue("paymentHash")
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.sent != nil:
		n.sent(w, hash)
	case n.paid[hash]:
		answer(w, http.StatusOK, []any{attempt(hash, "failed", ""), attempt(hash, "sent", n.payable[hash])})
	default:
		answer(w, http.StatusOK, []any{})
	}
}

func attempt(hash, state, preimage string) map[string]any {
	return map[string]any{"paymentHash": hash, "status": map[string]any{"type": state, "paymentPreimage": preimage}}
}

// receive is the hook for a payment of an invoice.
func (n *node) receive(t testing.TB, invoice string) {
	t.Helper()
	hash := peertest.Hash(t, invoice)
	at := n.Now()
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	e := n.find(hash.String())
	if e == nil {
		n.mu.Unlock()
		t.Fatal("Eclair does not know the invoice")
	}
	e.amount, e.received = d.Amount, at
	n.mu.Unlock()
	event, err := json.Marshal(map[string]any{
		"type": "payment-received", "paymentHash": hash.String(),
		"parts": []any{map[string]any{"channelId": "00", "amount": d.Amount, "receivedAt": stampOf(at)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Send(event)
}

func (n *node) expire(t testing.TB, invoice string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.find(peertest.Hash(t, invoice).String()).expires = time.Now().Add(-time.Second)
}

func (n *node) foreign(t testing.TB, amount lnwire.MilliSatoshi) string {
	var preimage lntypes.Preimage
	_, _ = rand.Read(preimage[:]) // never fails
	in, err := n.Node.Issue(wallettest.Terms{Amount: amount, Preimage: &preimage})
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.payable[in.Hash.String()] = preimage.String()
	return in.Invoice
}

// open makes a wallet at the node.
func (n *node) open(t testing.TB, env wallets.Env, channels ...string) *Wallet {
	t.Helper()
	g := &Node{Address: n.URL, Password: password, NetworkName: "regtest", PrivateChannels: channels}
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
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return (&node{Double: &peertest.Double{URL: s.URL}}).open(t, wallettest.NewEnv(t))
}
