package wallettest

import (
	"context"
	"errors"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// method is a call that a check makes in turn with others.
type method struct {
	name string
	do   func(context.Context) error
}

// methods are the calls of the wallet that wait for the peer. Each name stands in the error of a
// failed check.
func (s *suite) methods(hash lntypes.Hash) []method {
	list := []method{{"CreateInvoice", func(ctx context.Context) error {
		_, err := s.try(ctx, s.request())
		return err
	}}}
	if !s.h.cannot(Lookup) {
		list = append(list, method{"LookupInvoice", func(ctx context.Context) error {
			_, err := s.lookup(ctx, hash)
			return err
		}})
	}
	if p, ok := s.subject.Wallet.(wallets.Pinger); ok && !s.h.cannot(Ping) {
		list = append(list, method{"Ping", func(ctx context.Context) error {
			return s.ping(ctx, p)
		}})
	}
	return list
}

func (s *suite) ping(ctx context.Context, p wallets.Pinger) error {
	_, err := call(s, ctx, "Ping", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, p.Ping(ctx)
	})
	return err
}

func checkCanceledContext(s *suite) {
	inv := s.must(s.request())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, m := range s.methods(inv.PaymentHash) {
		if err := m.do(ctx); !errors.Is(err, context.Canceled) {
			s.sound(err)
			s.Errorf("%s with a canceled context: got %v, want context.Canceled", m.name, err)
		}
	}
	s.recovers("a canceled context")
}

// checkHang has the peer never answer: first a deadline, then a cancellation must end the call.
func checkHang(s *suite) {
	inv := s.must(s.request())
	if !s.inflict(Fault{Kind: Hang}) {
		return
	}
	for _, m := range s.methods(inv.PaymentHash) {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		err := m.do(ctx)
		cancel()
		s.sound(err)
		if !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("%s of a hanging peer: got %v, want context.DeadlineExceeded", m.name, err)
		}
		ctx, cancel = context.WithCancel(context.Background())
		timer := time.AfterFunc(100*time.Millisecond, cancel)
		err = m.do(ctx)
		timer.Stop()
		cancel()
		s.sound(err)
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s of a hanging peer, canceled: got %v, want context.Canceled", m.name, err)
		}
	}
	s.heal()
	s.recovers("the peer hung")
}

func checkSlow(s *suite) {
	inv := s.must(s.request())
	const delay = 300 * time.Millisecond
	if !s.inflict(Fault{Kind: Slow, Delay: delay}) {
		return
	}
	for _, m := range s.methods(inv.PaymentHash) {
		ctx, cancel := s.patient()
		err := m.do(ctx)
		cancel()
		if err != nil {
			s.sound(err)
			s.Errorf("%s of a peer that takes %s: %v", m.name, delay, err)
		}
	}
	s.heal()
}
