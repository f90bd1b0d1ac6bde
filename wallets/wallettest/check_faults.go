package wallettest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// hugeLimit is how much a wallet may allocate while it refuses an endless answer, in bytes, the
// double included.
const hugeLimit = 64 << 20

// checkFault gives the check that demands an error of each call while the fault lasts, and a
// working wallet after it.
func checkFault(kind Ability, want error) func(*suite) {
	return func(s *suite) {
		inv := s.must(s.request())
		if !s.inflict(Fault{Kind: kind}) {
			return
		}
		for _, m := range s.methods(inv.PaymentHash) {
			// Twice, since the second call may meet the first one's leftovers.
			for range 2 {
				ctx, cancel := s.patient()
				err := m.do(ctx)
				cancel()
				s.sound(err)
				switch {
				case err == nil:
					s.Errorf("%s succeeded while the peer played %s", m.name, kind)
				case errors.Is(err, wallets.ErrNotFound):
					s.Errorf("%s took %s for the answer that there is no such invoice: %v", m.name, kind, err)
				case want != nil && !errors.Is(err, want):
					s.Errorf("%s while the peer played %s: got %v, want an error that wraps %q", m.name, kind, err, want)
				}
			}
		}
		s.heal()
		s.recovers(fmt.Sprintf("the peer played %s", kind))
	}
}

// checkHuge demands that an endless answer ends by its size, not by the deadline.
func checkHuge(s *suite) {
	inv := s.must(s.request())
	if !s.inflict(Fault{Kind: Huge}) {
		return
	}
	for _, m := range s.methods(inv.PaymentHash) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		// A wallet without a limit reads a gigabyte a second, so it is not given long.
		ctx, cancel := context.WithTimeout(context.Background(), min(s.h.Patience, 3*time.Second))
		err := m.do(ctx)
		cancel()
		runtime.ReadMemStats(&after)
		s.sound(err)
		switch used := after.TotalAlloc - before.TotalAlloc; {
		case err == nil:
			s.Errorf("%s succeeded with an endless answer", m.name)
		case errors.Is(err, context.DeadlineExceeded):
			s.Errorf("%s read an endless answer until its deadline", m.name)
		case used > hugeLimit:
			s.Errorf("%s allocated %d MiB for an endless answer", m.name, used>>20)
		}
	}
	s.heal()
	s.recovers("an endless answer")
}

// checkLie gives the check for a peer that answers in form but with another invoice than was
// asked for: the adapter or CheckInvoice must refuse it.
func checkLie(kind Ability) func(*suite) {
	return func(s *suite) {
		s.must(s.request())
		if !s.inflict(Fault{Kind: kind}) {
			return
		}
		ctx, cancel := s.patient()
		defer cancel()
		_, err := s.try(ctx, s.request())
		s.sound(err)
		if err == nil {
			s.Errorf("an invoice with %s was taken", kind)
		} else if !errors.Is(err, wallets.ErrBadInvoice) && !errors.Is(err, wallets.ErrBadAnswer) {
			s.Errorf("%s: got %v, want an error that wraps ErrBadInvoice or ErrBadAnswer", kind, err)
		}
		s.heal()
		s.recovers(fmt.Sprintf("the peer played %s", kind))
	}
}

// checkDuplicate has the peer give one invoice again and again. A wallet may notice; if not, its
// invoices must at least tell their true hash, by which the gate notices.
func checkDuplicate(s *suite) {
	var gate wallets.Duplicates
	first := s.must(s.request())
	if !gate.Add(first.PaymentHash) {
		s.Fatal("Duplicates took the first hash for a known one")
	}
	if !s.inflict(Fault{Kind: DuplicateHash}) {
		return
	}
	for range 2 {
		ctx, cancel := s.patient()
		inv, err := s.try(ctx, s.request())
		cancel()
		s.sound(err)
		if err == nil && gate.Add(inv.PaymentHash) {
			s.Errorf("an invoice given twice came with the new payment hash %s", inv.PaymentHash)
		}
	}
	s.heal()
	s.recovers("duplicate invoices")
}

// checkDisconnect cuts connections. A call may fail or be tried again by the wallet; what it
// returns without an error must be right, and afterwards all works again.
func checkDisconnect(s *suite) {
	inv := s.must(s.request())
	if !s.inflict(Fault{Kind: Disconnect}) {
		return
	}
	for _, m := range s.methods(inv.PaymentHash) {
		ctx, cancel := context.WithTimeout(context.Background(), s.h.Prompt)
		err := m.do(ctx)
		cancel()
		s.sound(err)
		switch {
		case err == nil:
			s.Errorf("%s succeeded while each answer was cut", m.name)
		case errors.Is(err, wallets.ErrNotFound):
			s.Errorf("%s took a lost connection for the answer that there is no such invoice: %v", m.name, err)
		}
	}
	s.heal()
	s.recovers("connections were cut")
	if s.h.cannot(Lookup) {
		return
	}
	s.await(inv.PaymentHash, wallets.StatePending)
}
