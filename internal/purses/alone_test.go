package purses

import (
	"errors"
	"testing"

	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/purse"
)

func TestAlone(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	s := start(t, t.TempDir(), hasty, mint.URL)
	s.purseOf(Key{Mint: mint.URL, Unit: "sat"})
	if alone, err := s.Alone(t.Context()); err != nil || !alone {
		t.Errorf("got %t, %v", alone, err)
	}
	// Somebody on another machine.
	term, err := s.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rec := seatRecord{Owner: "somebody else", Beat: 3}
	if err := term.writeSeat(t.Context(), 5, rec); err != nil {
		t.Fatal(err)
	}
	if alone, err := s.Alone(t.Context()); err != nil || alone {
		t.Errorf("with another: %t, %v", alone, err)
	}
	rec.Left = true
	if err := term.writeSeat(t.Context(), 5, rec); err != nil {
		t.Fatal(err)
	}
	if alone, err := s.Alone(t.Context()); err != nil || !alone {
		t.Errorf("after he left: %t, %v", alone, err)
	}
	s.end()
	if _, err := s.Alone(t.Context()); !errors.Is(err, ErrNotReady) {
		t.Errorf("got %v", err)
	}
}

func TestStoreOfAPurse(t *testing.T) {
	mint := minttest.New(t, minttest.Options{})
	s := start(t, t.TempDir(), hasty, mint.URL)
	s.purseOf(Key{Mint: mint.URL, Unit: "sat"})
	store := s.All()[0].Store
	if err := store.PutDurable(t.Context(), "cashutest", "a", []byte("b")); err != nil {
		t.Fatal(err)
	}
	if b, err := store.GetDurable(t.Context(), "cashutest", "a"); err != nil || string(b) != "b" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := store.GetDurable(t.Context(), "cashutest", "none"); !errors.Is(err, purse.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	s.end()
	if err := store.PutDurable(t.Context(), "cashutest", "a", []byte("c")); err == nil {
		t.Error("it takes values after the seat was left")
	}
}
