package wallettest

import (
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// checkLookup follows an invoice from pending to settled.
func checkLookup(s *suite) {
	if s.h.cannot(Lookup) {
		s.lookupUnsupported()
		return
	}
	inv := s.must(s.request())
	st := s.await(inv.PaymentHash, wallets.StatePending)
	switch {
	case st.Preimage != nil:
		s.Error("the status of a pending invoice holds its preimage, which is the proof of payment")
	case st.AmountPaid != 0:
		s.Errorf("the status of a pending invoice says that %d msat were paid", uint64(st.AmountPaid))
	case !st.SettledAt.IsZero():
		s.Error("the status of a pending invoice says when it was settled")
	}
	s.samePaymentRequest(st, inv)

	if s.h.cannot(Pay) {
		s.Logf("not checked: the subject cannot be paid: %s", s.h.Cannot[Pay])
		return
	}
	other := s.must(s.request())
	start := time.Now()
	s.subject.Pay(s, inv.PaymentRequest)
	st = s.await(inv.PaymentHash, wallets.StateSettled)
	s.samePaymentRequest(st, inv)
	s.checkSettled(st, inv, start)
	if st := s.await(other.PaymentHash, wallets.StatePending); st.Preimage != nil {
		s.Error("paying one invoice gave away another one's preimage")
	}
}

func (s *suite) checkSettled(st *wallets.Status, inv *wallets.Invoice, start time.Time) {
	s.Helper()
	if st.AmountPaid < inv.Amount {
		s.Errorf("settled with %d msat, less than the invoice's %d msat", uint64(st.AmountPaid), uint64(inv.Amount))
	}
	if !st.SettledAt.IsZero() {
		// Peers tell whole seconds, and their clocks may differ.
		if st.SettledAt.Before(start.Add(-time.Minute)) || st.SettledAt.After(time.Now().Add(time.Minute)) {
			s.Errorf("settled at %s, which is not now", st.SettledAt)
		}
	}
	switch {
	case st.Preimage != nil:
		s.hide(st.Preimage.String())
		if !st.Preimage.Matches(inv.PaymentHash) {
			s.Error("the preimage is not the invoice's")
		}
	case !s.h.cannot(Preimage):
		s.Error("the status of a settled invoice holds no preimage: tell it, or the reason in Harness.Cannot")
	}
}

func (s *suite) samePaymentRequest(st *wallets.Status, inv *wallets.Invoice) {
	s.Helper()
	if st.PaymentRequest != "" && !strings.EqualFold(st.PaymentRequest, inv.PaymentRequest) {
		s.Error("the status holds another payment request than the invoice")
	}
}

func (s *suite) lookupUnsupported() {
	s.Helper()
	s.Logf("the subject cannot look up: %s", s.h.Cannot[Lookup])
	inv := s.must(s.request())
	ctx, cancel := s.patient()
	defer cancel()
	if _, err := s.lookup(ctx, inv.PaymentHash); !errors.Is(err, wallets.ErrLookupUnsupported) {
		s.Errorf("LookupInvoice: got %v, want ErrLookupUnsupported", err)
	}
}

func checkUnknownHash(s *suite) {
	s.must(s.request())
	var hash lntypes.Hash
	_, _ = rand.Read(hash[:]) // never fails
	for _, hash := range []lntypes.Hash{hash, {}} {
		ctx, cancel := s.patient()
		st, err := s.lookup(ctx, hash)
		cancel()
		s.sound(err)
		if !errors.Is(err, wallets.ErrNotFound) {
			s.Errorf("looking up the unknown hash %s: got status %s, error %v; want ErrNotFound", hash, stateOf(st), err)
		}
	}
}

func checkExpired(s *suite) {
	inv := s.must(s.request())
	s.subject.Expire(s, inv.PaymentRequest)
	if st := s.await(inv.PaymentHash, wallets.StateExpired); st.Preimage != nil {
		s.Error("the status of an expired invoice holds its preimage")
	}
}

func checkCanceled(s *suite) {
	inv := s.must(s.request())
	s.subject.Cancel(s, inv.PaymentRequest)
	if st := s.await(inv.PaymentHash, wallets.StateCanceled); st.Preimage != nil {
		s.Error("the status of a canceled invoice holds its preimage")
	}
}
