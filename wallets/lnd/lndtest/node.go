// Package lndtest is a double of LND: a real gRPC server over TLS that behaves as LND does where
// the adapters can tell, with real macaroons and signed invoices, and that can do wrong on
// demand. It is for tests.
package lndtest

import (
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// Node is the double's state: its invoices, keys and faults. Servers come and go on it as LND
// restarts on one database. It is safe for concurrent use.
type Node struct {
	signer, payee *wallettest.Node

	mu        sync.Mutex
	rootKey   []byte
	state     rpc.WalletState
	fault     wallettest.Fault
	healed    chan struct{}
	invoices  []*invoice // in the order in which they were made
	settled   uint64     // the last settle index
	events    []*rpc.Invoice
	changed   chan struct{} // closed and renewed at each change
	payable   map[lntypes.Hash]lntypes.Preimage
	paid      map[lntypes.Hash]bool
	refusal   rpc.PaymentFailureReason
	sqlOrder  bool
	calls     map[string]int
	cutStream bool
	private   bool
	lastFee   int64
	servers   []*connections
	text      string
}

type invoice struct {
	rpc.Invoice
	hash lntypes.Hash
	hold bool
}

// New makes a node of the network with no invoices.
func New(t testing.TB, network wallets.Network) *Node {
	n := &Node{
		signer:  wallettest.NewNode(t, network),
		payee:   wallettest.NewNode(t, network),
		state:   rpc.WalletState_SERVER_ACTIVE,
		changed: make(chan struct{}),
		healed:  make(chan struct{}),
		payable: make(map[lntypes.Hash]lntypes.Preimage),
		paid:    make(map[lntypes.Hash]bool),
		calls:   make(map[string]int),
	}
	n.NewRootKey()
	return n
}

// SetState sets what GetState answers. Other calls are refused unless LND takes calls in it.
func (n *Node) SetState(s rpc.WalletState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = s
}

// SetSQLOrder has the past sent in the order in which invoices were made and not settled, as LND
// does on an SQL database.
func (n *Node) SetSQLOrder(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sqlOrder = on
}

// SetRefusal makes payments fail for the reason; FAILURE_REASON_NONE lets them succeed.
func (n *Node) SetRefusal(r rpc.PaymentFailureReason) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refusal = r
}

// SetRefusalText makes each call fail with the text; the empty text lets them succeed.
func (n *Node) SetRefusalText(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = text
}

// CutPayment makes the next payment succeed and its stream break before it says so.
func (n *Node) CutPayment() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cutStream = true
}

// Calls tells how often the method was called.
func (n *Node) Calls(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[method]
}

// LastPrivate tells whether the last invoice was asked for with hints to private channels.
func (n *Node) LastPrivate() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.private
}

// LastFeeLimit is the fee limit of the last payment in millisatoshi.
func (n *Node) LastFeeLimit() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lastFee
}

// Inflict sets what the node does wrong from now on.
func (n *Node) Inflict(f wallettest.Fault) {
	n.mu.Lock()
	n.fault = f
	close(n.healed)
	n.healed = make(chan struct{})
	n.mu.Unlock()
	if f.Kind == wallettest.Disconnect {
		n.cut("")
	}
}

// Payable makes an invoice of another node, which this one can pay.
func (n *Node) Payable(t testing.TB, amount lnwire.MilliSatoshi) string {
	t.Helper()
	issued, err := n.payee.Issue(wallettest.Terms{Amount: amount, Memo: "payable", Expiry: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.payable[issued.Hash] = issued.Preimage
	return issued.Invoice
}

// Pay has someone pay the invoice: it is settled, or accepted if it is a hold invoice.
func (n *Node) Pay(t testing.TB, paymentRequest string) {
	t.Helper()
	n.change(t, paymentRequest, func(inv *invoice) error {
		if inv.State != rpc.InvoiceState_OPEN {
			return errors.New("not open")
		}
		inv.AmtPaidMsat = n.amount(inv)
		if inv.hold {
			inv.State = rpc.InvoiceState_ACCEPTED
			return nil
		}
		n.settle(inv)
		return nil
	})
}

// Cancel withdraws the invoice.
func (n *Node) Cancel(t testing.TB, paymentRequest string) {
	t.Helper()
	n.change(t, paymentRequest, func(inv *invoice) error {
		inv.State = rpc.InvoiceState_CANCELED
		return nil
	})
}

// Expire lets the invoice's time pass: LND cancels it then.
func (n *Node) Expire(t testing.TB, paymentRequest string) {
	t.Helper()
	n.change(t, paymentRequest, func(inv *invoice) error {
		inv.CreationDate -= inv.Expiry + 1
		inv.State = rpc.InvoiceState_CANCELED
		return nil
	})
}

func (n *Node) change(t testing.TB, paymentRequest string, f func(*invoice) error) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.invoices, func(inv *invoice) bool { return inv.PaymentRequest == paymentRequest })
	if i < 0 {
		t.Fatal("the node has no such invoice")
	}
	if err := f(n.invoices[i]); err != nil {
		t.Fatal(err)
	}
}

func (n *Node) amount(inv *invoice) int64 {
	d, err := wallets.DecodeInvoice(inv.PaymentRequest)
	if err != nil {
		return 0
	}
	return int64(d.Amount)
}

// settle is called under the lock.
func (n *Node) settle(inv *invoice) {
	n.settled++
	inv.State = rpc.InvoiceState_SETTLED
	inv.SettleIndex = n.settled
	inv.SettleDate = time.Now().Unix()
	n.tell(inv)
}

// tell sends the invoice to all subscribers. It is called under the lock.
func (n *Node) tell(inv *invoice) {
	n.events = append(n.events, copyOf(inv))
	close(n.changed)
	n.changed = make(chan struct{})
}

func copyOf(inv *invoice) *rpc.Invoice {
	return &rpc.Invoice{
		RPreimage: inv.RPreimage, RHash: inv.RHash, CreationDate: inv.CreationDate,
		SettleDate: inv.SettleDate, PaymentRequest: inv.PaymentRequest, Expiry: inv.Expiry,
		SettleIndex: inv.SettleIndex, AmtPaidMsat: inv.AmtPaidMsat, State: inv.State,
	}
}

func (n *Node) find(hash []byte) *invoice {
	for _, inv := range n.invoices {
		if slices.Equal(inv.hash[:], hash) {
			return inv
		}
	}
	return nil
}

// NewRootKey makes all macaroons of before worthless.
func (n *Node) NewRootKey() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rootKey = make([]byte, 32)
	_, _ = rand.Read(n.rootKey) // never fails
}

// Hide makes the node forget an invoice; its settle index stays taken.
func (n *Node) Hide(t testing.TB, paymentRequest string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	before := len(n.invoices)
	n.invoices = slices.DeleteFunc(n.invoices, func(inv *invoice) bool { return inv.PaymentRequest == paymentRequest })
	if len(n.invoices) == before {
		t.Fatal("the node has no such invoice")
	}
}
