package wallettest

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/wallets"
)

func checkPing(s *suite) {
	p, ok := s.subject.Wallet.(wallets.Pinger)
	if !ok {
		s.Log("the wallet is no Pinger")
		return
	}
	ctx, cancel := s.patient()
	defer cancel()
	if err := s.ping(ctx, p); err != nil {
		s.sound(err)
		s.Errorf("pinging a healthy peer: %v", err)
	}
}

func checkPermissions(s *suite) {
	d, ok := s.subject.Wallet.(wallets.Describer)
	if !ok {
		s.Log("the wallet is no Describer")
		return
	}
	ctx, cancel := s.patient()
	defer cancel()
	words, err := call(s, ctx, "Permissions", d.Permissions)
	if err != nil {
		s.sound(err)
		s.Errorf("asking a healthy peer for permissions: %v", err)
	}
	// finish looks for secrets in what was said.
	s.note(errors.New(strings.Join(words, "\n")))
}

// checkHold makes hold invoices: one is settled, one is canceled after payment, one before.
func checkHold(s *suite) {
	w, ok := s.subject.Wallet.(wallets.HoldInvoicer)
	if !ok {
		s.Log("the wallet is no HoldInvoicer")
		return
	}
	settle := func(p lntypes.Preimage) error { return s.settleHold(w, p) }
	cancel := func(p lntypes.Preimage) error { return s.cancelHold(w, p.Hash()) }
	for _, c := range []struct {
		name string
		pay  bool
		end  func(lntypes.Preimage) error
		want wallets.State
	}{
		{"settled", true, settle, wallets.StateSettled},
		{"given back", true, cancel, wallets.StateCanceled},
		{"withdrawn", false, cancel, wallets.StateCanceled},
	} {
		var preimage lntypes.Preimage
		_, _ = rand.Read(preimage[:]) // never fails
		s.hide(preimage.String())
		inv := s.createHold(w, preimage.Hash())
		s.await(inv.PaymentHash, wallets.StatePending)
		if c.pay {
			s.subject.Pay(s, inv.PaymentRequest)
			if st := s.await(inv.PaymentHash, wallets.StateAccepted); st.Preimage != nil {
				s.Errorf("%s: the status of an accepted invoice holds its preimage", c.name)
			}
		}
		if err := c.end(preimage); err != nil {
			s.sound(err)
			s.Fatalf("%s: %v", c.name, err)
		}
		s.await(inv.PaymentHash, c.want)
	}
	var unknown lntypes.Preimage
	_, _ = rand.Read(unknown[:]) // never fails
	s.hide(unknown.String())
	if err := settle(unknown); err == nil {
		s.Error("a hold invoice that was never made could be settled")
	}
}

func (s *suite) createHold(w wallets.HoldInvoicer, hash lntypes.Hash) *wallets.Invoice {
	s.Helper()
	ctx, cancel := s.patient()
	defer cancel()
	req := s.request()
	inv, err := call(s, ctx, "CreateHoldInvoice", func(ctx context.Context) (*wallets.Invoice, error) {
		return w.CreateHoldInvoice(ctx, hash, req)
	})
	if err != nil {
		s.sound(err)
		s.Fatalf("making a hold invoice: %v", err)
	}
	s.checked(req, inv)
	if inv.PaymentHash != hash {
		s.Fatalf("the hold invoice has the hash %s, want %s", inv.PaymentHash, hash)
	}
	return inv
}

func (s *suite) settleHold(w wallets.HoldInvoicer, p lntypes.Preimage) error {
	ctx, cancel := s.patient()
	defer cancel()
	_, err := call(s, ctx, "SettleHoldInvoice", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, w.SettleHoldInvoice(ctx, p)
	})
	return err
}

func (s *suite) cancelHold(w wallets.HoldInvoicer, hash lntypes.Hash) error {
	ctx, cancel := s.patient()
	defer cancel()
	_, err := call(s, ctx, "CancelHoldInvoice", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, w.CancelHoldInvoice(ctx, hash)
	})
	return err
}

// checkOutgoing pays.
func checkOutgoing(s *suite) {
	w, ok := s.subject.Wallet.(wallets.Payer)
	if !ok {
		s.Log("the wallet is no Payer")
		return
	}
	if s.subject.Payable == nil {
		s.Fatalf("Subject.Payable is nil: give it, or the reason in Harness.Cannot[%q]", Outgoing)
	}
	amount := s.request().Amount
	pay := func(ctx context.Context, invoice string) (lntypes.Preimage, error) {
		p, err := call(s, ctx, "Pay", func(ctx context.Context) (lntypes.Preimage, error) {
			return w.Pay(ctx, invoice, max(amount/10, lnwire.MilliSatoshi(5000)))
		})
		s.sound(err)
		return p, err
	}
	ctx, cancel := s.patient()
	defer cancel()
	invoice := s.subject.Payable(s, amount)
	d, err := wallets.DecodeInvoice(invoice)
	if err != nil {
		s.Fatalf("Subject.Payable gave no invoice: %v", err)
	}
	preimage, err := pay(ctx, invoice)
	if err != nil {
		s.Fatalf("paying: %v", err)
	}
	s.hide(preimage.String())
	if !preimage.Matches(d.PaymentHash) {
		s.Error("the preimage is not the invoice's")
	}
	for _, bad := range []string{"", "lnbc1", "no invoice", invoice[:len(invoice)-1]} {
		if _, err := pay(ctx, bad); err == nil {
			s.Errorf("%q could be paid", bad)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := pay(ended, s.subject.Payable(s, amount)); !errors.Is(err, context.Canceled) {
		s.Errorf("paying with a canceled context: got %v, want context.Canceled", err)
	}
}

// checkStress makes all calls at once, for the race detector to look at.
func checkStress(s *suite) {
	inv := s.must(s.request())
	ctx, cancel := context.WithTimeout(context.Background(), 3*s.h.Patience)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range 8 {
		for _, m := range s.methods(inv.PaymentHash) {
			// Ends with the calls; wg.Wait below.
			wg.Go(func() {
				for range 5 {
					if err := m.do(ctx); err != nil {
						mu.Lock()
						failed = err
						mu.Unlock()
						return
					}
				}
			})
		}
	}
	wg.Wait()
	if failed != nil {
		s.Errorf("calls at the same time: %v", failed)
	}
}

// checkClosed demands that a closed wallet answers, with an error.
func checkClosed(s *suite) {
	inv := s.must(s.request())
	s.closeWallet()
	for _, m := range s.methods(inv.PaymentHash) {
		ctx, cancel := s.patient()
		err := m.do(ctx)
		cancel()
		s.sound(err)
		if errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("%s of a closed wallet hangs until its deadline", m.name)
		}
	}
}
