package lnd

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/lndtest"
	"github.com/caddy-l402/caddy-l402/wallets/lnd/rpc"
	"github.com/caddy-l402/caddy-l402/wallets/wallettest"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// subscription runs SubscribeSettlements for a test.
type subscription struct {
	t     *testing.T
	found chan wallets.Settlement
	done  chan error
	stop  context.CancelFunc
}

func subscribe(t *testing.T, w wallets.Subscriber, cursor string) *subscription {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &subscription{t: t, found: make(chan wallets.Settlement, 1000), done: make(chan error, 1), stop: cancel}
	// Ends with ctx, at the latest when the test does.
	go func() {
		s.done <- w.SubscribeSettlements(ctx, cursor, func(st wallets.Settlement) { s.found <- st })
	}()
	t.Cleanup(cancel)
	return s
}

// next gives the next settlement.
func (s *subscription) next() wallets.Settlement {
	s.t.Helper()
	select {
	case st := <-s.found:
		return st
	case err := <-s.done:
		s.t.Fatalf("the subscription ended: %v", err)
	case <-time.After(patience):
		s.t.Fatal("no settlement came")
	}
	return wallets.Settlement{}
}

// wants demands the settlements of the invoices, in order, with the cursors from first on.
func (s *subscription) wants(invoices []*wallets.Invoice, first int) wallets.Settlement {
	s.t.Helper()
	var last wallets.Settlement
	for i, inv := range invoices {
		last = s.next()
		if last.PaymentHash != inv.PaymentHash || last.Cursor != strconv.Itoa(first+i) {
			s.t.Fatalf("settlement %d is that of %s with cursor %s, want %s with %d",
				i+1, last.PaymentHash, last.Cursor, inv.PaymentHash, first+i)
		}
		if last.AmountPaid != inv.Amount {
			s.t.Errorf("settlement %d is over %d msat, want %d", i+1, uint64(last.AmountPaid), uint64(inv.Amount))
		}
	}
	return last
}

// quiet demands that nothing more comes for a while.
func (s *subscription) quiet() {
	s.t.Helper()
	select {
	case st := <-s.found:
		s.t.Errorf("a settlement came that should not: index %s", st.Cursor)
	case err := <-s.done:
		s.t.Errorf("the subscription ended: %v", err)
	case <-time.After(150 * time.Millisecond):
	}
}

func quick(r *rig) *rig {
	r.wallet.firstRetry, r.wallet.lastRetry = 10*time.Millisecond, 100*time.Millisecond
	r.wallet.gapWait = 100 * time.Millisecond
	return r
}

func (r *rig) invoices(t *testing.T, n int) []*wallets.Invoice {
	t.Helper()
	out := make([]*wallets.Invoice, n)
	for i := range out {
		inv, err := r.wallet.CreateInvoice(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		out[i] = inv
	}
	return out
}

func (r *rig) pay(t *testing.T, invoices ...*wallets.Invoice) {
	t.Helper()
	for _, inv := range invoices {
		r.node.Pay(t, inv.PaymentRequest)
	}
}

// streaming waits until the node has taken n calls of SubscribeInvoices in all.
func (r *rig) streaming(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(patience); r.node.Calls(rpc.MethodSubscribeInvoices) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the node was not subscribed to")
		}
	}
	// The call is counted before the node has put the subscriber on its list.
	time.Sleep(50 * time.Millisecond)
}

// TestSubscriptionSurvivesRestart stops the node, settles while nobody listens, and starts it
// again on the same port.
func TestSubscriptionSurvivesRestart(t *testing.T) {
	r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
	invoices := r.invoices(t, 6)
	s := subscribe(t, r.wallet, "")
	r.streaming(t, 1)
	r.pay(t, invoices[0], invoices[1])
	s.wants(invoices[:2], 1)

	r.server.Stop()
	r.pay(t, invoices[2], invoices[3])
	time.Sleep(300 * time.Millisecond)
	r.node.Serve(t, r.cert, r.server.Address)
	s.wants(invoices[2:4], 3)
	r.pay(t, invoices[4:]...)
	s.wants(invoices[4:], 5)
	s.quiet()
	s.stop()
	if err := <-s.done; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v, want context.Canceled", err)
	}
}

// TestSubscriptionLostBeforeTheFirst is the case that has no settle index to resume from, on a
// node with a past and on one without.
func TestSubscriptionLostBeforeTheFirst(t *testing.T) {
	for _, past := range []int{0, 3} {
		t.Run(strconv.Itoa(past)+" settled before", func(t *testing.T) {
			r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
			old := r.invoices(t, past)
			r.pay(t, old...)
			invoices := r.invoices(t, 250)
			s := subscribe(t, r.wallet, "")
			r.streaming(t, 1)
			s.quiet()
			r.server.Stop()
			// One of the oldest, so that more than a page has to be looked through.
			r.pay(t, invoices[20])
			r.node.Serve(t, r.cert, r.server.Address)
			// The clocks may differ by a minute, so the past comes with it here.
			s.wants(append(old, invoices[20]), 1)
			r.pay(t, invoices[21])
			s.wants(invoices[21:22], past+2)
			s.quiet()
		})
	}
}

func TestSubscriptionCatchesUpWithTheNewest(t *testing.T) {
	for _, past := range []int{0, 3} {
		t.Run(strconv.Itoa(past)+" settled before", func(t *testing.T) {
			r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
			r.pay(t, r.invoices(t, past)...)
			invoices := r.invoices(t, 250)
			seq := &sequence{tell: func(wallets.Settlement) {}}
			var got []lntypes.Hash
			seq.tell = func(st wallets.Settlement) { got = append(got, st.PaymentHash) }
			r.pay(t, invoices[20], invoices[10], invoices[240])
			if err := r.wallet.catchUp(t.Context(), seq, time.Now().Add(clockSlack-time.Second)); err != nil {
				t.Fatal(err)
			}
			want := []lntypes.Hash{invoices[20].PaymentHash, invoices[10].PaymentHash, invoices[240].PaymentHash}
			if len(got) < 3 || !slices.Equal(got[len(got)-3:], want) {
				t.Errorf("got %d settlements, want those of the outage in order", len(got))
			}
			if seq.last != uint64(past)+3 {
				t.Errorf("the index is %d, want %d", seq.last, past+3)
			}
			if calls := r.node.Calls(rpc.MethodListInvoices); calls != 3 {
				t.Errorf("it took %d calls, want 3", calls)
			}
			seq.last, got = 0, nil
			if err := r.wallet.catchUp(t.Context(), seq, time.Now().Add(2*clockSlack)); err != nil || len(got) != 0 {
				t.Errorf("of before it told %d, error %v", len(got), err)
			}
		})
	}
}

// TestSubscriptionResumes starts from a cursor, with the past in either order that LND sends.
func TestSubscriptionResumes(t *testing.T) {
	for _, sql := range []bool{false, true} {
		t.Run("SQL order "+strconv.FormatBool(sql), func(t *testing.T) {
			r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
			r.node.SetSQLOrder(sql)
			invoices := r.invoices(t, 20)
			slices.Reverse(invoices) // settled in another order than made
			r.pay(t, invoices...)
			s := subscribe(t, r.wallet, "7")
			s.wants(invoices[7:], 8)
			more := r.invoices(t, 2)
			r.pay(t, more...)
			s.wants(more, 21)
			s.quiet()
		})
	}
}

// TestSubscriptionStepsOverGaps has an index missing for good, as those of payments are that LND
// shows otherwise.
func TestSubscriptionStepsOverGaps(t *testing.T) {
	r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
	invoices := r.invoices(t, 4)
	r.pay(t, invoices...)
	r.node.Hide(t, invoices[2].PaymentRequest)
	s := subscribe(t, r.wallet, "1")
	s.wants(invoices[1:2], 2)
	s.wants(invoices[3:], 4)
}

func TestSubscriptionFromNow(t *testing.T) {
	for _, cursor := range []string{"", "0"} {
		r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
		invoices := r.invoices(t, 3)
		r.pay(t, invoices[:2]...)
		s := subscribe(t, r.wallet, cursor)
		r.streaming(t, 1)
		s.quiet()
		r.pay(t, invoices[2])
		s.wants(invoices[2:], 3)
		s.stop()
		<-s.done
	}
}

func TestSubscriptionEnds(t *testing.T) {
	t.Run("bad cursor", func(t *testing.T) {
		r := newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil)
		for _, cursor := range []string{"x", "-1", "1.5", strings.Repeat("9", 30)} {
			err := r.wallet.SubscribeSettlements(t.Context(), cursor, func(wallets.Settlement) {})
			if err == nil || !strings.Contains(err.Error(), "not a settle index") {
				t.Errorf("cursor %q: got %v", cursor, err)
			}
		}
	})
	t.Run("no right", func(t *testing.T) {
		r := newRig(t, wallettest.NewEnv(t), []string{"invoices:write"}, nil)
		err := r.wallet.SubscribeSettlements(t.Context(), "", func(wallets.Settlement) {})
		if !errors.Is(err, wallets.ErrUnauthorized) {
			t.Errorf("got %v, want ErrUnauthorized", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
		s := subscribe(t, r.wallet, "")
		r.streaming(t, 1)
		if err := r.wallet.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-s.done:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want net.ErrClosed", err)
			}
		case <-time.After(patience):
			t.Error("the subscription goes on")
		}
	})
}

// TestSubscriptionEndsInTheMiddle ends the context while more settlements wait.
func TestSubscriptionEndsInTheMiddle(t *testing.T) {
	r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
	r.pay(t, r.invoices(t, 20)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	// Ends with ctx, which the first settlement ends.
	go func() {
		done <- r.wallet.SubscribeSettlements(ctx, "1", func(wallets.Settlement) {
			cancel()
			time.Sleep(10 * time.Millisecond)
		})
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}

// TestSubscriptionTakesRenewedMacaroon loses the stream and has another macaroon by then.
func TestSubscriptionTakesRenewedMacaroon(t *testing.T) {
	r := quick(newRig(t, wallettest.NewEnv(t), lndtest.InvoiceRights, nil))
	invoices := r.invoices(t, 2)
	s := subscribe(t, r.wallet, "")
	r.streaming(t, 1)
	r.pay(t, invoices[0])
	s.wants(invoices[:1], 1)
	r.node.NewRootKey()
	write(t, r.macaroonPath(), r.node.Bake(t, lndtest.InvoiceRights))
	r.server.HangUp()
	r.streaming(t, 2)
	r.pay(t, invoices[1])
	s.wants(invoices[1:], 2)
}
