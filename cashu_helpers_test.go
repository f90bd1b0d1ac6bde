package caddyl402

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-l402/caddy-l402/internal/purses"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/minttest"
	"github.com/caddy-l402/caddy-l402/wallets/cashu/token"
)

// cashuSite is a server that takes ecash of a mint.
type cashuSite struct {
	*server
	mint *minttest.Mint
}

// serveCashu starts a server; settings stand in the block cashu besides the mint.
func serveCashu(t testing.TB, opts minttest.Options, settings, site string) *cashuSite {
	t.Helper()
	m := minttest.New(t, opts)
	s := serve(t, "wallet play sandbox\n"+cashuBlock(m, settings), site+"\ntest_upstream")
	return &cashuSite{s, m}
}

func cashuBlock(m *minttest.Mint, settings string) string {
	return "cashu {\nmint " + m.URL + "\n" + settings + "\n}"
}

// token is a payer's, as it stands in a header.
func (s *cashuSite) token(amounts ...uint64) string {
	s.t.Helper()
	return encodeEcash(s.t, s.mint.Token(s.t, amounts...))
}

func encodeEcash(t testing.TB, tok *token.Token) string {
	t.Helper()
	text, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// change is what an answer gives back; nil where it gives nothing.
func (s *cashuSite) change(a answer) *token.Token {
	s.t.Helper()
	text := a.Header.Get("X-Cashu")
	if text == "" {
		return nil
	}
	tok, err := token.Parse(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return tok
}

// house waits for the purses to be open and gives them.
func (s *cashuSite) house() *purses.House {
	s.t.Helper()
	house := s.app().till.house
	if _, err := house.Purse(s.t.Context(), purses.Key{Mint: s.mint.URL, Unit: s.app().till.unit}); err != nil {
		s.t.Fatal(err)
	}
	return house
}

// conserved checks that the purses and the given tokens are all that the mint owes.
func (s *cashuSite) conserved(kept uint64, others ...*token.Token) {
	s.t.Helper()
	b := s.house().Balance(s.app().till.unit)
	sum := b.Available + b.Reserved
	for _, tok := range others {
		if tok == nil {
			continue
		}
		for _, p := range tok.Proofs {
			if !s.mint.Spent(s.t, p) {
				sum += p.Amount
			}
		}
	}
	if owes := s.mint.Outstanding(); b.Available != kept || sum != owes {
		s.t.Errorf("the balance is %+v, want %d; %d are accounted for, the mint owes %d", b, kept, sum, owes)
	}
}

// wantEcash checks a refusal of ecash.
func (s *cashuSite) wantEcash(status int, code, text string) answer {
	s.t.Helper()
	before := upstreamHits.Load()
	a := s.want(status, http.MethodGet, "/", "X-Cashu", text)
	if a.code() != code {
		s.t.Fatalf("got code %q, want %q", a.code(), code)
	}
	if upstreamHits.Load() != before {
		s.t.Fatal("a refused request went on")
	}
	if strings.Contains(a.body, "cashuB") && !strings.Contains(a.body, "`X-Cashu: cashuB…`") {
		s.t.Error("the answer tells ecash")
	}
	return a
}

// eventually waits for what happens in the background.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never " + what)
		}
	}
}
