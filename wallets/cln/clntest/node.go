// Package clntest is a double of a Core Lightning node for tests, written from its command
// reference: the commands that package cln uses with their parameters and error codes, over the
// unix socket and over clnrest. It can do wrong whatever wallettest.Fault knows.
package clntest

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// Error is an error of JSON-RPC.
type Error struct {
	// Code is Core Lightning's number; zero is written as null.
	Code int
	// Message is the text.
	Message string
}

// Call is one command that the node was given.
type Call struct {
	// Method is the command.
	Method string
	// Params are its parameters by name.
	Params map[string]json.RawMessage
}

// Node is a node in memory. It is safe for concurrent use.
type Node struct {
	network wallets.Network
	local   *wallettest.Node
	// remote makes the invoices that this node can pay.
	remote *wallettest.Node
	// issuer signs BOLT 12 invoices.
	issuer *btcec.PrivateKey

	mu        sync.Mutex
	changed   chan struct{} // closed and made anew at each settlement and each fault
	fault     wallettest.Fault
	invoices  []*record
	payIndex  uint64
	offers    map[string]*Offer
	lastOffer string // the BOLT 12 invoice that DuplicateHash repeats
	preimages map[lntypes.Hash]lntypes.Preimage
	pays      map[lntypes.Hash]string
	runes     map[string]*rule
	calls     []Call
	before    func(Call) *Error
	hidden    map[string]bool
	warning   string
	cut       map[int]func()
	cuts      int
}

// record is an invoice of the node.
type record struct {
	label, description   string
	bolt11, bolt12       string
	hash                 lntypes.Hash
	preimage             lntypes.Preimage
	amount               lnwire.MilliSatoshi
	status               string
	expires, paidAt      time.Time
	payIndex, createdIdx uint64
	received             lnwire.MilliSatoshi
}

// New makes a node of the network.
func New(t testing.TB, network wallets.Network) *Node {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	return &Node{
		network: network, issuer: key,
		local: wallettest.NewNode(t, network), remote: wallettest.NewNode(t, network),
		changed:   make(chan struct{}),
		offers:    make(map[string]*Offer),
		preimages: make(map[lntypes.Hash]lntypes.Preimage),
		pays:      make(map[lntypes.Hash]string),
		runes:     make(map[string]*rule),
		hidden:    make(map[string]bool),
		cut:       make(map[int]func()),
	}
}

// Inflict sets what the node does wrong from now on. Disconnect also cuts the connections that
// are open.
func (n *Node) Inflict(f wallettest.Fault) {
	n.mu.Lock()
	n.fault = f
	n.wake()
	var cuts []func()
	if f.Kind == wallettest.Disconnect {
		cuts = slices.Collect(maps.Values(n.cut))
	}
	n.mu.Unlock()
	for _, cut := range cuts {
		cut()
	}
}

// wake tells all that wait; n.mu is held.
func (n *Node) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// onCut has f called when connections are cut, until the function that it returns is called.
func (n *Node) onCut(f func()) func() {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := n.cuts
	n.cuts++
	n.cut[id] = f
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.cut, id)
	}
}

func (n *Node) currentFault() wallettest.Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fault
}

// Before has f asked before each command; an error that it returns is the command's. It runs
// without locks. Nil ends that.
func (n *Node) Before(f func(Call) *Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.before = f
}

// Hide takes a command away, as an older version of the node would not have it.
func (n *Node) Hide(method string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hidden[method] = true
}

// Warn has the command invoice warn, under the name of one of its fields such as
// "warning_capacity"; the empty name ends that.
func (n *Node) Warn(field string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.warning = field
}

// Calls are the commands given so far.
func (n *Node) Calls() []Call {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.calls)
}

// Forget deletes all invoices that are paid, as autoclean does. Pay indexes go on.
func (n *Node) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.invoices = slices.DeleteFunc(n.invoices, func(r *record) bool { return r.status == "paid" })
}

// Backdate lets all payments so far have been made that much earlier.
func (n *Node) Backdate(by time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.invoices {
		if r.status == "paid" {
			r.paidAt = r.paidAt.Add(-by)
		}
	}
}

// find gives the record of the hash or nil; n.mu is held.
func (n *Node) find(hash lntypes.Hash) *record {
	for _, r := range n.invoices {
		if r.hash == hash {
			return r
		}
	}
	return nil
}

func (n *Node) must(t testing.TB, invoice string) *record {
	t.Helper()
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		t.Fatal(err)
	}
	r := n.find(d.PaymentHash)
	if r == nil {
		t.Fatal("the node has no such invoice")
	}
	return r
}

// Pay settles the invoice.
func (n *Node) Pay(t testing.TB, invoice string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.must(t, invoice)
	n.payIndex++
	r.status, r.payIndex, r.received = "paid", n.payIndex, r.amount
	r.paidAt = time.Now()
	n.wake()
}

// Expire has the invoice expire.
func (n *Node) Expire(t testing.TB, invoice string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.must(t, invoice)
	r.status, r.expires = "expired", time.Now().Add(-time.Second)
}

// Payable gives an invoice of another node that this one can pay.
func (n *Node) Payable(t testing.TB, amount lnwire.MilliSatoshi) string {
	t.Helper()
	issued, err := n.remote.Issue(wallettest.Terms{Amount: amount, Memo: "to be paid"})
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.preimages[issued.Hash] = issued.Preimage
	return issued.Invoice
}

// SetPay sets what listpays says of an outgoing payment: "pending", "failed" or "complete".
func (n *Node) SetPay(t testing.TB, invoice, status string) {
	t.Helper()
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pays[d.PaymentHash] = status
}
