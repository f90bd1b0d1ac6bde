package buyer

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-l402/caddy-l402/internal/client/tokenfile"
)

const (
	// maxOrigins and maxTokens bound the tokens in memory; those that fall out are in the storage.
	maxOrigins = 256
	maxTokens  = 256
	// maxRefused bounds the tokens that are remembered as no longer good.
	maxRefused = 4096
)

// shelf holds tokens in memory, by origin, and remembers those that were refused. It is safe for
// concurrent use.
type shelf struct {
	mu      sync.Mutex
	tokens  *lru.Cache[string, []tokenfile.Token] // newest last; slices are replaced, not changed
	refused *lru.Cache[string, struct{}]          // by payment hash
}

func newShelf() *shelf {
	tokens, err := lru.New[string, []tokenfile.Token](maxOrigins)
	if err != nil {
		panic(err) // for sizes below one only
	}
	refused, err := lru.New[string, struct{}](maxRefused)
	if err != nil {
		panic(err)
	}
	return &shelf{tokens: tokens, refused: refused}
}

// add puts a paid token in the place of those that sold the same.
func (s *shelf) add(t tokenfile.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, _ := s.tokens.Get(t.Origin)
	kept := slices.DeleteFunc(slices.Clone(old), func(o tokenfile.Token) bool { return o.Opens == t.Opens })
	if len(kept) >= maxTokens {
		kept = kept[1:]
	}
	s.tokens.Add(t.Origin, append(kept, t))
}

// refuse forgets a token for good.
func (s *shelf) refuse(t *tokenfile.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused.Add(t.PaymentHash, struct{}{})
	old, _ := s.tokens.Get(t.Origin)
	s.tokens.Add(t.Origin, slices.DeleteFunc(slices.Clone(old), func(o tokenfile.Token) bool { return o.PaymentHash == t.PaymentHash }))
}

// good tells whether a token can be tried.
func (s *shelf) good(t *tokenfile.Token, now time.Time) bool {
	return t.Preimage != "" && !t.Expired(now) && !s.refused.Contains(t.PaymentHash)
}

// of gives the tokens of an origin that can be tried.
func (s *shelf) of(origin string, now time.Time) []tokenfile.Token {
	s.mu.Lock()
	all, _ := s.tokens.Get(origin)
	s.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(all), func(t tokenfile.Token) bool { return !s.good(&t, now) })
}

// likeliest gives the token to begin with, or nil.
func (s *shelf) likeliest(origin, path string, now time.Time) *tokenfile.Token {
	return tokenfile.Likeliest(s.of(origin, now), path)
}

// named gives a token for one of the products, or nil.
func (s *shelf) named(origin string, products []string, now time.Time) *tokenfile.Token {
	all := s.of(origin, now)
	if i := slices.IndexFunc(all, func(t tokenfile.Token) bool { return slices.Contains(products, t.Opens) }); i >= 0 {
		return &all[i]
	}
	return nil
}
