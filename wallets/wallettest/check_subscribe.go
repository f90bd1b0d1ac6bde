package wallettest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// listener is a running subscription.
type listener struct {
	s      *suite
	cancel context.CancelFunc
	done   chan error

	overlap atomic.Bool

	mu    sync.Mutex
	found []wallets.Settlement
}

// listen subscribes from the cursor on.
func (s *suite) listen(w wallets.Subscriber, cursor string) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{s: s, cancel: cancel, done: make(chan error, 1)}
	var inside atomic.Int32
	// Ends by stop, which also runs when the check fails.
	go func() {
		l.done <- w.SubscribeSettlements(ctx, cursor, func(st wallets.Settlement) {
			if inside.Add(1) > 1 {
				l.overlap.Store(true)
			}
			// Gives an overlapping call the time to be seen.
			time.Sleep(time.Millisecond)
			l.mu.Lock()
			l.found = append(l.found, st)
			l.mu.Unlock()
			inside.Add(-1)
		})
	}()
	s.Cleanup(cancel)
	return l
}

// stop ends the subscription and demands that it ends as it should.
func (l *listener) stop() {
	l.s.Helper()
	l.cancel()
	select {
	case err := <-l.done:
		l.s.note(err)
		if l.overlap.Load() {
			l.s.Error("SubscribeSettlements calls found while an earlier call still runs")
		}
		if !errors.Is(err, context.Canceled) {
			l.s.Errorf("SubscribeSettlements ended with %v, want context.Canceled", err)
		}
	case <-time.After(l.s.h.Prompt):
		l.s.Fatalf("SubscribeSettlements does not end within %s after its context", l.s.h.Prompt)
	}
}

// settlements are what was found so far, each hash once.
func (l *listener) settlements() []wallets.Settlement {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[lntypes.Hash]bool)
	var out []wallets.Settlement
	for _, st := range l.found {
		if !seen[st.PaymentHash] {
			seen[st.PaymentHash] = true
			out = append(out, st)
		}
	}
	return out
}

// wait demands that the settlements of the invoices arrive, in their order where there is one.
func (l *listener) wait(what string, invoices []*wallets.Invoice) {
	l.s.Helper()
	for end := time.Now().Add(l.s.h.Patience); ; time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-l.done:
			l.s.Fatalf("%s: SubscribeSettlements ended by itself: %v", what, err)
		default:
		}
		var order []lntypes.Hash
		for _, st := range l.settlements() {
			for _, inv := range invoices {
				if st.PaymentHash == inv.PaymentHash {
					order = append(order, inv.PaymentHash)
					l.checkSettlement(what, st, inv)
				}
			}
		}
		if len(order) == len(invoices) {
			for i, inv := range invoices {
				if order[i] != inv.PaymentHash && !l.s.h.cannot(Order) {
					l.s.Errorf("%s: settlement %d is that of another invoice; they must come in order", what, i+1)
				}
			}
			return
		}
		if time.Now().After(end) {
			l.s.Fatalf("%s: %d of %d settlements arrived within %s", what, len(order), len(invoices), l.s.h.Patience)
		}
	}
}

func (l *listener) checkSettlement(what string, st wallets.Settlement, inv *wallets.Invoice) {
	l.s.Helper()
	if st.AmountPaid < inv.Amount {
		l.s.Errorf("%s: settlement over %d msat, less than the invoice's %d msat", what, uint64(st.AmountPaid), uint64(inv.Amount))
	}
	if st.Cursor == "" && !l.s.h.cannot(Resume) {
		l.s.Errorf("%s: settlement without a cursor", what)
	}
}

func (s *suite) paid(n int) []*wallets.Invoice {
	s.Helper()
	invoices := make([]*wallets.Invoice, n)
	for i := range invoices {
		invoices[i] = s.must(s.request())
	}
	for _, inv := range invoices {
		s.subject.Pay(s, inv.PaymentRequest)
	}
	return invoices
}

// live pays until the subscription tells of it. From then on it must lose nothing; before, the
// empty cursor means no promise.
func (l *listener) live() {
	l.s.Helper()
	for end := time.Now().Add(l.s.h.Patience); time.Now().Before(end); {
		l.s.paid(1)
		// Whichever settlement comes, and be it an earlier one, the subscription stands.
		for range 10 {
			if len(l.settlements()) > 0 {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	select {
	case err := <-l.done:
		l.s.Fatalf("SubscribeSettlements ended by itself: %v", err)
	default:
	}
	l.s.Fatalf("SubscribeSettlements tells of no settlement within %s", l.s.h.Patience)
}

// checkSubscribe follows settlements through a lost connection and a pause.
func checkSubscribe(s *suite) {
	w, ok := s.subject.Wallet.(wallets.Subscriber)
	if !ok {
		s.Log("the wallet is no Subscriber")
		return
	}
	if s.h.cannot(Subscribe) {
		s.subscribeUnsupported(w)
		return
	}
	if s.h.cannot(Pay) {
		s.Logf("not checked: the subject cannot be paid: %s", s.h.Cannot[Pay])
		return
	}
	if s.h.cannot(Order) {
		s.Logf("not checked: the order of settlements: %s", s.h.Cannot[Order])
	}
	l := s.listen(w, "")
	l.live()
	l.wait("at rest", s.paid(5))

	// Made before the fault, since the calls of the check itself would fail during it.
	cut := []*wallets.Invoice{s.must(s.request()), s.must(s.request())}
	if s.inflict(Fault{Kind: Disconnect}) {
		for _, inv := range cut {
			s.subject.Pay(s, inv.PaymentRequest)
		}
		time.Sleep(50 * time.Millisecond)
		s.heal()
		l.wait("after a lost connection", append(cut, s.paid(1)...))
	}
	all := l.settlements()
	l.stop()
	if s.h.cannot(Resume) {
		s.Logf("not checked: the subject cannot resume: %s", s.h.Cannot[Resume])
		return
	}
	missed := s.paid(3)
	l = s.listen(w, all[len(all)-1].Cursor)
	l.wait("after a pause", missed)
	l.wait("after a pause, new ones", s.paid(1))
	l.stop()
}

func (s *suite) subscribeUnsupported(w wallets.Subscriber) {
	s.Helper()
	s.Logf("the subject cannot subscribe: %s", s.h.Cannot[Subscribe])
	ctx, cancel := s.patient()
	defer cancel()
	_, err := call(s, ctx, "SubscribeSettlements", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, w.SubscribeSettlements(ctx, "", func(wallets.Settlement) {})
	})
	if !errors.Is(err, wallets.ErrSubscribeUnsupported) {
		s.Errorf("SubscribeSettlements: got %v, want ErrSubscribeUnsupported", err)
	}
}

// checkSubscribeAlone demands that a subscription ends with its context though nothing happens,
// also while the peer hangs.
func checkSubscribeAlone(s *suite) {
	w, ok := s.subject.Wallet.(wallets.Subscriber)
	if !ok {
		s.Log("the wallet is no Subscriber")
		return
	}
	l := s.listen(w, "")
	time.Sleep(50 * time.Millisecond)
	l.stop()
	if !s.inflict(Fault{Kind: Hang}) {
		return
	}
	l = s.listen(w, "")
	time.Sleep(50 * time.Millisecond)
	l.stop()
	s.heal()
}
