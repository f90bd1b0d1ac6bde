package wallettest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

const peerKey = "s3cret&key/with=signs"

// peerInvoice is an invoice as the peer knows and tells it.
type peerInvoice struct {
	PaymentRequest string              `json:"payment_request"`
	Hash           lntypes.Hash        `json:"hash"`
	Amount         lnwire.MilliSatoshi `json:"amount"`
	State          string              `json:"state"`
	Preimage       lntypes.Preimage    `json:"preimage"`
	SettledAt      int64               `json:"settled_at"`
	Index          int                 `json:"index"`
	hold           bool
}

type peerRequest struct {
	Amount   lnwire.MilliSatoshi `json:"amount,omitempty"`
	Memo     string              `json:"memo,omitempty"`
	Expiry   int64               `json:"expiry,omitempty"`
	Hash     *lntypes.Hash       `json:"hash,omitempty"`
	Preimage *lntypes.Preimage   `json:"preimage,omitempty"`
	Invoice  string              `json:"invoice,omitempty"`
}

// peer is a wallet service over HTTP that can misbehave.
type peer struct {
	node   *Node
	server *httptest.Server
	ended  chan struct{}

	mu       sync.Mutex
	fault    Fault
	invoices map[lntypes.Hash]*peerInvoice
	settled  []*peerInvoice
	changed  chan struct{}
}

func newPeer(t testing.TB) *peer {
	p := &peer{
		node: NewNode(t, wallets.Regtest), ended: make(chan struct{}),
		invoices: make(map[lntypes.Hash]*peerInvoice), changed: make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /create", p.create)
	mux.HandleFunc("POST /lookup", p.lookup)
	mux.HandleFunc("POST /finish", p.finish)
	mux.HandleFunc("POST /pay", p.pay)
	mux.HandleFunc("POST /ping", func(w http.ResponseWriter, _ *http.Request) { answer(w, struct{}{}) })
	mux.HandleFunc("POST /settled/{after}", p.settlements)
	p.server = httptest.NewServer(p.misbehave(mux))
	t.Cleanup(func() {
		close(p.ended)
		p.server.Close()
	})
	return p
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

// misbehave plays the fault, if there is one, in front of the peer.
func (p *peer) misbehave(next http.Handler) http.Handler {
	junk := make([]byte, 32<<10)
	for i := range junk {
		junk[i] = 'a'
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		fault := p.fault
		p.mu.Unlock()
		switch fault.Kind {
		case Hang:
			select {
			case <-r.Context().Done():
			case <-p.ended:
			}
			return
		case Slow:
			time.Sleep(fault.Delay)
		case Garbage:
			_, _ = w.Write([]byte("<html>no JSON"))
			return
		case Huge:
			_, _ = w.Write([]byte(`{"payment_request":"`))
			for {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		case Disconnect:
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"payment_request":"lnbc`))
			panic(http.ErrAbortHandler)
		case ServerError:
			http.Error(w, "internal error with key "+r.Header.Get("Key"), http.StatusInternalServerError)
			return
		}
		if fault.Kind == Unauthorized || r.Header.Get("Key") != peerKey {
			http.Error(w, "no such key: "+r.Header.Get("Key"), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *peer) create(w http.ResponseWriter, r *http.Request) {
	var req peerRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	in, err := p.node.Issue(Terms{
		Amount: req.Amount, Memo: req.Memo, Hash: req.Hash,
		Expiry: time.Duration(req.Expiry) * time.Second, Fault: p.fault,
	})
	if err != nil {
		http.Error(w, "bad terms", http.StatusBadRequest)
		return
	}
	inv := &peerInvoice{
		PaymentRequest: in.Invoice, Hash: in.Hash, Amount: in.Amount, State: "pending",
		Preimage: in.Preimage, hold: req.Hash != nil,
	}
	p.invoices[inv.Hash] = inv
	answer(w, inv)
}

func (p *peer) lookup(w http.ResponseWriter, r *http.Request) {
	var req peerRequest
	_ = json.NewDecoder(r.Body).Decode(&req)
	p.mu.Lock()
	defer p.mu.Unlock()
	if req.Hash == nil || p.invoices[*req.Hash] == nil {
		http.Error(w, "unknown hash", http.StatusNotFound)
		return
	}
	answer(w, p.invoices[*req.Hash])
}

// finish settles or cancels a hold invoice.
func (p *peer) finish(w http.ResponseWriter, r *http.Request) {
	var req peerRequest
	_ = json.NewDecoder(r.Body).Decode(&req)
	p.mu.Lock()
	defer p.mu.Unlock()
	if req.Preimage != nil {
		inv := p.invoices[req.Preimage.Hash()]
		if inv == nil || inv.State != "accepted" {
			http.Error(w, "unknown hash", http.StatusNotFound)
			return
		}
		inv.Preimage = *req.Preimage
		p.settle(inv)
	} else if inv := p.invoices[*req.Hash]; inv != nil {
		inv.State = "canceled"
	}
	answer(w, struct{}{})
}

func (p *peer) pay(w http.ResponseWriter, r *http.Request) {
	var req peerRequest
	_ = json.NewDecoder(r.Body).Decode(&req)
	d, err := wallets.DecodeInvoice(req.Invoice)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.invoices[d.PaymentHash] == nil {
		http.Error(w, "no route", http.StatusConflict)
		return
	}
	answer(w, p.invoices[d.PaymentHash])
}

// settlements waits until something was settled after the index.
func (p *peer) settlements(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.PathValue("after"))
	for {
		p.mu.Lock()
		if after < 0 {
			after = len(p.settled)
		}
		if err != nil || after > len(p.settled) {
			p.mu.Unlock()
			http.Error(w, "bad index", http.StatusBadRequest)
			return
		}
		more, changed := p.settled[after:], p.changed
		p.mu.Unlock()
		if len(more) > 0 {
			answer(w, more)
			return
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
			answer(w, []*peerInvoice{{Index: after}})
			return
		case <-r.Context().Done():
			return
		case <-p.ended:
			return
		}
	}
}

func (p *peer) settle(inv *peerInvoice) {
	inv.State, inv.SettledAt = "settled", time.Now().Unix()
	done := *inv
	done.Index = len(p.settled) + 1
	p.settled = append(p.settled, &done)
	close(p.changed)
	p.changed = make(chan struct{})
}

// find is for the hooks, which know the invoice by its text.
func (p *peer) find(t testing.TB, invoice string) *peerInvoice {
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil || p.invoices[d.PaymentHash] == nil {
		t.Fatalf("the peer does not know the invoice: %v", err)
	}
	return p.invoices[d.PaymentHash]
}

func (p *peer) take(t testing.TB, invoice string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if inv := p.find(t, invoice); inv.hold {
		inv.State = "accepted"
	} else {
		p.settle(inv)
	}
}

func (p *peer) set(state string) func(testing.TB, string) {
	return func(t testing.TB, invoice string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.find(t, invoice).State = state
	}
}

func (p *peer) payable(t testing.TB, amount lnwire.MilliSatoshi) string {
	in, err := p.node.Issue(Terms{Amount: amount})
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.invoices[in.Hash] = &peerInvoice{Hash: in.Hash, Preimage: in.Preimage, State: "settled"}
	return in.Invoice
}

func (p *peer) inflict(_ testing.TB, f Fault) {
	p.mu.Lock()
	p.fault = f
	p.mu.Unlock()
	if f.Kind == Disconnect {
		p.server.CloseClientConnections()
	}
}
