package wallettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"go.uber.org/goleak"

	"github.com/caddy-l402/caddy-l402/wallets"
)

// usual is the amount of invoices in checks that are not about amounts, in millisatoshi.
const usual lnwire.MilliSatoshi = 10_000

// suite is one check at work on one Subject.
type suite struct {
	testing.TB
	h       Harness
	env     *Env
	subject *Subject

	mu      sync.Mutex
	secrets []string
	said    []string // the texts of all errors
}

// perform runs one check, and around it what holds for each: no secret comes out, names in the
// store are proper, Close works twice, and no goroutine outlives it.
func perform(t testing.TB, h Harness, c check) {
	t.Helper()
	for _, a := range c.needs {
		if reason, ok := h.Cannot[a]; ok {
			t.Logf("not checked: the subject cannot %s: %s", a, reason)
			return
		}
	}
	before := goleak.IgnoreCurrent()
	// Cleanups run last to first, so this one comes after those of the peer double.
	t.Cleanup(func() { checkLeaks(t, h, before) })
	env := NewEnv(t)
	subject := h.Open(t, env)
	if subject == nil || subject.Wallet == nil {
		t.Fatal("Harness.Open gave no wallet")
	}
	if err := subject.missing(h); err != nil {
		t.Fatal(err)
	}
	s := &suite{TB: t, h: h, env: env, subject: subject, secrets: subject.Secrets}
	t.Cleanup(s.finish)
	c.run(s)
}

func checkLeaks(t testing.TB, h Harness, before goleak.Option) {
	options := []goleak.Option{before}
	for _, f := range h.LeakExempt {
		options = append(options, goleak.IgnoreAnyFunction(f))
	}
	var err error
	for end := time.Now().Add(h.Prompt); ; {
		// Find itself tries for about a second.
		if err = goleak.Find(options...); err == nil {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	t.Errorf("goroutines outlive the wallet and its peer: %.4000s", err.Error())
}

func (s *suite) finish() {
	s.closeWallet()
	s.closeWallet()
	for _, name := range s.env.wrongNames() {
		s.Errorf("the wallet stores under the name %q; allowed are lower-case letters, digits, '-', '_' and '.'", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.env.Log()
	for _, secret := range s.secrets {
		for form, text := range spellings(secret) {
			if strings.Contains(log, text) {
				s.Errorf("the log holds a secret (%s)", form)
			}
			for _, said := range s.said {
				if strings.Contains(said, text) {
					s.Errorf("an error holds a secret (%s): %s",
						form, strings.ReplaceAll(said, text, "<secret>"))
					break
				}
			}
		}
	}
}

func (s *suite) closeWallet() {
	c, ok := s.subject.Wallet.(io.Closer)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.h.Patience)
	defer cancel()
	// The error of a second Close is the wallet's own matter; that it ends and does not panic
	// is what counts.
	_, err := call(s, ctx, "Close", func(context.Context) (struct{}, error) { return struct{}{}, c.Close() })
	if errors.Is(err, errStuck) || errors.Is(err, errPanic) {
		s.Error(err)
	}
}

// hide adds a secret that came up during the check, such as a preimage.
func (s *suite) hide(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, secret)
}

func (s *suite) note(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, err.Error())
}

var (
	errStuck = errors.New("the call did not return soon after its context ended")
	errPanic = errors.New("the call panicked")
)

// call runs one method of the wallet, so that a wallet that ignores its context or panics fails
// the check and does not stop the suite.
func call[T any](s *suite, ctx context.Context, name string, method func(context.Context) (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	// Ends with the method; perform's leak check finds it if that is never.
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("%s: %w: %v", name, errPanic, p)
			}
			done <- r
		}()
		r.v, r.err = method(ctx)
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		late := time.NewTimer(s.h.Prompt)
		defer late.Stop()
		select {
		case r = <-done:
		case <-late.C:
			r.err = fmt.Errorf("%s: %w (%s)", name, errStuck, s.h.Prompt)
		}
	}
	s.note(r.err)
	return r.v, r.err
}

// sound fails the check at once where the call broke the rules for all calls.
func (s *suite) sound(err error) {
	s.Helper()
	if errors.Is(err, errStuck) || errors.Is(err, errPanic) {
		s.Fatal(err)
	}
}

// patient is the context of calls that should work.
func (s *suite) patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.h.Patience)
}

func (s *suite) request() wallets.InvoiceRequest {
	return wallets.InvoiceRequest{
		Amount: min(max(usual, s.h.MinAmount), s.h.MaxAmount),
		Memo:   "conformance",
		Expiry: 10 * time.Minute,
	}
}

// try makes an invoice and checks it as the gate does.
func (s *suite) try(ctx context.Context, req wallets.InvoiceRequest) (*wallets.Invoice, error) {
	inv, err := call(s, ctx, "CreateInvoice", func(ctx context.Context) (*wallets.Invoice, error) {
		return s.subject.Wallet.CreateInvoice(ctx, req)
	})
	if err != nil {
		return nil, err
	}
	if err := wallets.CheckInvoice(s.h.Network, req, inv, time.Now(), nil); err != nil {
		return nil, err
	}
	return inv, nil
}

// checked demands that the invoice is in order.
func (s *suite) checked(req wallets.InvoiceRequest, inv *wallets.Invoice) {
	s.Helper()
	if err := wallets.CheckInvoice(s.h.Network, req, inv, time.Now(), nil); err != nil {
		s.Fatal(err)
	}
}

// must makes an invoice that is in order.
func (s *suite) must(req wallets.InvoiceRequest) *wallets.Invoice {
	s.Helper()
	ctx, cancel := s.patient()
	defer cancel()
	inv, err := s.try(ctx, req)
	if err != nil {
		s.Fatalf("making an invoice over %d msat: %v", uint64(req.Amount), err)
	}
	return inv
}

func (s *suite) lookup(ctx context.Context, hash lntypes.Hash) (*wallets.Status, error) {
	st, err := call(s, ctx, "LookupInvoice", func(ctx context.Context) (*wallets.Status, error) {
		return s.subject.Wallet.LookupInvoice(ctx, hash)
	})
	if err == nil && st == nil {
		err = errors.New("LookupInvoice gave neither a status nor an error")
	}
	return st, err
}

// await looks an invoice up until it is in the state.
func (s *suite) await(hash lntypes.Hash, want wallets.State) *wallets.Status {
	s.Helper()
	ctx, cancel := s.patient()
	defer cancel()
	for {
		st, err := s.lookup(ctx, hash)
		if err == nil && st.State == want {
			return st
		}
		s.sound(err)
		if ctx.Err() != nil {
			s.Fatalf("invoice is not %s within %s: last answer %s, error %v", want, s.h.Patience, stateOf(st), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func stateOf(st *wallets.Status) string {
	if st == nil {
		return "none"
	}
	return st.State.String()
}

// inflict sets a fault, or tells that the double cannot.
func (s *suite) inflict(f Fault) bool {
	s.Helper()
	if reason, ok := s.h.Cannot[f.Kind]; ok {
		s.Logf("not checked: the double cannot play %s: %s", f.Kind, reason)
		return false
	}
	s.subject.Fault(s, f)
	return true
}

func (s *suite) heal() { s.subject.Fault(s, Fault{Kind: None}) }

// recovers demands that the wallet works again after a fault, without being opened anew.
func (s *suite) recovers(after string) {
	s.Helper()
	ctx, cancel := s.patient()
	defer cancel()
	for {
		_, err := s.try(ctx, s.request())
		if err == nil {
			return
		}
		s.sound(err)
		if ctx.Err() != nil {
			s.Fatalf("the wallet does not work again within %s after %s: %v", s.h.Patience, after, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
