package purses

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/ecash"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// lockedTo is a payer's ecash for this server alone.
func (s *server) lockedTo(m *minttest.Mint, amounts ...uint64) *token.Token {
	s.t.Helper()
	lock := &token.Condition{Kind: token.KindP2PK, Data: hexKey(s.LockKey())}
	return &token.Token{Mint: m.URL, Unit: "sat", Proofs: m.Issue(s.t, lock, amounts...)}
}

// The purses of two tenants have one key: what one has taken without the mint the other does not take,
// now or later, and they have one bound.
func TestAttackOfflineAtTwoTenants(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	s := start(t, t.TempDir(), hasty, m.URL)
	one, two := s.purseOf(Key{Mint: m.URL, Unit: "sat", Name: "one"}), s.purseOf(Key{Mint: m.URL, Unit: "sat", Name: "two"})
	for _, p := range []*purse.Purse{one, two} {
		if err := p.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	bounds := purse.Offline{MaxValue: 20}
	in := s.lockedTo(m, 8)
	m.Break(minttest.Fault{Kind: minttest.Unavailable})
	if _, err := one.ReceiveOffline(t.Context(), in, purse.Terms{}, bounds); err != nil {
		t.Fatal(err)
	}
	if r, err := two.ReceiveOffline(t.Context(), in, purse.Terms{}, bounds); !errors.Is(err, purse.ErrBound) {
		t.Errorf("the same ecash: %+v, %v", r, err)
	}
	if r, err := two.Receive(t.Context(), in, purse.Terms{}); !errors.Is(err, purse.ErrSpent) {
		t.Errorf("the same ecash, with the mint: %+v, %v", r, err)
	}
	if r, err := two.ReceiveOffline(t.Context(), s.lockedTo(m, 16), purse.Terms{}, bounds); !errors.Is(err, purse.ErrBound) {
		t.Errorf("beyond the bound: %+v, %v", r, err)
	}
	m.Repair()
	eventually(t, "swapped", func() bool { b := s.Balance("sat"); return b.Available == 8 && b.Unswapped == 0 })
	if r, err := two.ReceiveOffline(t.Context(), in, purse.Terms{}, bounds); !errors.Is(err, purse.ErrBound) {
		t.Errorf("the same ecash after the swap: %+v, %v", r, err)
	}
}

// While another process may have a seat, and so the same keys, the mint is asked.
func TestAttackOfflineAtTwoProcesses(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	s := start(t, t.TempDir(), hasty, m.URL)
	if s.MayTakeOffline() {
		t.Error("before there is a seat")
	}
	s.purseOf(Key{Mint: m.URL, Unit: "sat"})
	if !s.MayTakeOffline() {
		t.Error("alone, and the mint is asked")
	}
	term, err := s.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rec := seatRecord{Owner: "somebody on another machine", Beat: 3}
	if err := term.writeSeat(t.Context(), 5, rec); err != nil {
		t.Fatal(err)
	}
	eventually(t, "seen", func() bool { return !s.MayTakeOffline() })
	rec.Left = true
	if err := term.writeSeat(t.Context(), 5, rec); err != nil {
		t.Fatal(err)
	}
	eventually(t, "alone again", s.MayTakeOffline)
	s.end()
	if s.MayTakeOffline() {
		t.Error("after the end")
	}
}

// Small proofs become few, whether they are redeemed or not.
func TestManySmallProofsAreMerged(t *testing.T) {
	m := minttest.New(t, minttest.Options{})
	tidy := hasty
	tidy.many = 8
	s := start(t, t.TempDir(), tidy, m.URL)
	p := s.purseOf(Key{Mint: m.URL, Unit: "sat"})
	for range 20 {
		receive(t, p, m.Token(t, 1))
	}
	eventually(t, "merged", func() bool { b := p.Balance(); return b.Proofs <= 8 && b.Available == 20 })
}

func hexKey(k *ecash.PublicKey) string { return hex.EncodeToString(k.SerializeCompressed()) }
