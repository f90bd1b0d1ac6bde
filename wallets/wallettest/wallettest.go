// Package wallettest says in tests what package wallets says in prose. Every wallet adapter runs
// the suite against a double of its peer, and where it can against the real peer:
//
//	func TestConformance(t *testing.T) {
//		wallettest.Run(t, wallettest.Harness{
//			Network: wallets.Regtest,
//			Open: func(t testing.TB, env *wallettest.Env) *wallettest.Subject {
//				peer := newPeer(t) // ends by t.Cleanup
//				w, err := (&Guest{Address: peer.addr, Key: secret}).Open(env)
//				if err != nil {
//					t.Fatal(err)
//				}
//				return &wallettest.Subject{
//					Wallet:  w,
//					Pay:     peer.pay,
//					Expire:  peer.expire,
//					Fault:   peer.fault,
//					Secrets: []string{secret},
//				}
//			},
//			Cannot: map[wallettest.Ability]string{
//				wallettest.Cancel: "the peer has no call that cancels an invoice",
//			},
//		})
//	}
//
// What a peer cannot do stands in Cannot with its reason; the suite logs it, and where the
// vocabulary has a word for it (ErrAmount, ErrLookupUnsupported) it demands that the wallet says
// so. A hook that is missing without a reason fails the test: nothing is skipped in silence.
//
// Node makes real invoices for doubles and can make them wrong in every way that Fault knows.
package wallettest

import (
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// Ability is something that a wallet, its peer or the peer's double may be able to do. The kinds
// of faults are abilities of the double.
type Ability string

// Abilities of wallet and peer. Those that Harness.Cannot does not name are demanded.
const (
	// Lookup is LookupInvoice; without it the wallet must return ErrLookupUnsupported.
	Lookup Ability = "lookup"
	// Preimage is telling the preimage of a settled invoice.
	Preimage Ability = "preimage"
	// Memo is setting the invoice's description.
	Memo Ability = "memo"
	// Millisatoshi is amounts that are not whole satoshis; without it the wallet must return
	// ErrAmount for them.
	Millisatoshi Ability = "millisatoshi"
	// Pay is the hook Subject.Pay.
	Pay Ability = "pay"
	// Expire is the hook Subject.Expire and telling StateExpired from StatePending.
	Expire Ability = "expire"
	// Cancel is the hook Subject.Cancel and telling StateCanceled.
	Cancel Ability = "cancel"
	// Subscribe is SubscribeSettlements of a wallet that has the method; without it the
	// method must return ErrSubscribeUnsupported.
	Subscribe Ability = "subscribe"
	// Resume is going on from a cursor after a pause in which invoices were settled.
	Resume Ability = "resume"
	// Order is telling settlements in the order in which they happened. A peer that must be
	// asked for one invoice after the other does not know it.
	Order Ability = "order"
	// Hold is the methods of HoldInvoicer of a wallet that has them.
	Hold Ability = "hold"
	// Outgoing is Pay of a wallet that has the method, and the hook Subject.Payable.
	Outgoing Ability = "outgoing"
	// Ping is the method of Pinger of a wallet that has it.
	Ping Ability = "ping"
)

// Kinds of Fault. A double that cannot play one says so in Harness.Cannot.
const (
	// None heals the peer.
	None Ability = "none"
	// Slow answers rightly after Fault.Delay.
	Slow Ability = "slow"
	// Hang takes the call and never answers.
	Hang Ability = "hang"
	// Garbage answers what is not in the peer's format.
	Garbage Ability = "garbage"
	// Huge answers in the peer's format, but without end. The double must not allocate what
	// it sends, since the suite looks at the memory used.
	Huge Ability = "huge"
	// WrongAmount answers with an invoice over another amount and, where the answer names the
	// amount, with the amount that was asked for.
	WrongAmount Ability = "wrong_amount"
	// WrongHash names a payment hash that is not the invoice's.
	WrongHash Ability = "wrong_hash"
	// WrongNetwork answers with an invoice for another network.
	WrongNetwork Ability = "wrong_network"
	// DuplicateHash answers with an invoice that it gave before.
	DuplicateHash Ability = "duplicate_hash"
	// Disconnect cuts the connection in the middle of each answer, and those that are open
	// when the fault begins.
	Disconnect Ability = "disconnect"
	// Unauthorized refuses the credential.
	Unauthorized Ability = "unauthorized"
	// ServerError answers as the peer does when it breaks down (status 500 and the like), with
	// the credential in the text where that can be.
	ServerError Ability = "server_error"
)

// Fault is what a peer double does wrong, to every call that makes or looks up an invoice or
// pings, until the next fault is set.
type Fault struct {
	// Kind is one of the kinds above.
	Kind Ability
	// Delay is how long Slow waits.
	Delay time.Duration
}

// Subject is a wallet under test with the strings to pull on its peer. A hook reports what goes
// wrong on the testing.TB that it is given, and is called from the test's goroutine.
type Subject struct {
	// Wallet is what is tested. If it is an io.Closer, the suite closes it, also more than
	// once.
	Wallet wallets.Wallet
	// Pay makes the peer take a payment of the invoice and returns when the peer knows it. A
	// hold invoice is then accepted and not yet settled.
	Pay func(t testing.TB, invoice string)
	// Expire makes the peer see the invoice as expired.
	Expire func(t testing.TB, invoice string)
	// Cancel makes the peer see the invoice as canceled.
	Cancel func(t testing.TB, invoice string)
	// Payable gives an invoice over the amount that the wallet under test can pay (Payer).
	Payable func(t testing.TB, amount lnwire.MilliSatoshi) string
	// Fault sets what the peer does wrong from now on.
	Fault func(t testing.TB, f Fault)
	// Secrets must occur in no error and no log line: the credential in each form in which the
	// wallet holds it, of at least 6 bytes.
	Secrets []string
}

// Harness is what an adapter gives to Run.
type Harness struct {
	// Network is what the wallet's invoices must be for.
	Network wallets.Network
	// Open makes a fresh wallet on a fresh peer double; t.Cleanup ends the double. env is the
	// Env to open the wallet with.
	Open func(t testing.TB, env *Env) *Subject
	// Cannot names the abilities that are not there, each with its reason.
	Cannot map[Ability]string

	// MinAmount and MaxAmount bound the amounts, in millisatoshi, that the peer takes. They
	// default to the least that Cannot allows (1 msat or 1 sat) and to 100,000 sat.
	MinAmount, MaxAmount lnwire.MilliSatoshi
	// Concurrency is how many invoices are made at once; default 100.
	Concurrency int
	// Prompt is what "soon" means where a method must return soon; default 2 seconds.
	Prompt time.Duration
	// Patience is how long the suite waits for what the peer must tell sooner or later;
	// default 10 seconds.
	Patience time.Duration
	// LeakExempt names functions whose goroutines may outlive the wallet, in the form
	// "net/http.(*persistConn).readLoop". Each needs a reason in a comment where it is given.
	LeakExempt []string
}

// Run runs the whole suite as subtests of t, one after the other, each on a fresh Subject. No
// other test of the process may run at the same time, since goroutines are counted.
func Run(t *testing.T, h Harness) {
	t.Helper()
	h, err := h.complete()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { perform(t, h, c) })
	}
}

// check is one test of the suite. It is given as data so that the suite's own tests can run it
// against broken wallets and see it fail.
type check struct {
	name string
	// needs are the abilities without which the check makes no sense.
	needs []Ability
	run   func(*suite)
}
