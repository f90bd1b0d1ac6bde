// Package tokenfile keeps paid tokens in a file, for several processes at a time.
//
// The file is JSON, readable by its owner alone, and replaced as a whole: a reader sees it before or
// after a change and never in between. Writers take turns by a lock on a second file beside it.
package tokenfile

import (
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/caddy-l402/caddy-l402/l402/payment"
)

// Token is one entry: a token that was paid for, or one whose payment was begun.
type Token struct {
	// Origin is who sold it, and the only one who gets to see it: scheme, host and port.
	Origin string `json:"origin"`
	// Opens tells the products of an origin apart.
	Opens string `json:"opens"`
	// Path is where it was bought.
	Path string `json:"path"`
	// Macaroon is the token in binary form; nil for a credential of the Payment scheme.
	Macaroon []byte `json:"macaroon,omitempty"`
	// Payment is the challenge that a credential of the Payment scheme sends back.
	Payment *payment.Challenge `json:"payment,omitempty"`
	// Preimage is the proof of payment in hex, a secret. It is empty while the end of the
	// payment is not known.
	Preimage string `json:"preimage,omitempty"`
	// Invoice is what was paid.
	Invoice string `json:"invoice"`
	// PaymentHash is the invoice's, in hex. No two entries share one.
	PaymentHash string `json:"payment_hash"`
	// AmountMsat is the invoice's amount in millisatoshi.
	AmountMsat uint64 `json:"amount_msat"`
	// Obtained is when the payment was begun.
	Obtained time.Time `json:"obtained"`
	// ValidUntil is the end of the token's life, zero where it names none.
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

// Amount is what the token cost.
func (t *Token) Amount() lnwire.MilliSatoshi { return lnwire.MilliSatoshi(t.AmountMsat) }

// Expired tells whether the token's life is over.
func (t *Token) Expired(now time.Time) bool {
	return !t.ValidUntil.IsZero() && !now.Before(t.ValidUntil)
}

// Likeliest gives the token that most probably opens a path: the one that was bought nearest to it,
// of these the newest. It returns nil if there is none at all.
func Likeliest(tokens []Token, path string) *Token {
	var best *Token
	bestScore := -1
	for i := range tokens {
		t := &tokens[i]
		score := nearness(t.Path, path)
		if score > bestScore || score == bestScore && t.Obtained.After(best.Obtained) {
			best, bestScore = t, score
		}
	}
	if best == nil {
		return nil
	}
	found := *best
	return &found
}

// nearness counts the segments that two paths begin with in common; equal paths are nearest.
func nearness(a, b string) int {
	if a == b {
		return 1 << 20
	}
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	n := 0
	for n < len(as) && n < len(bs) && as[n] == bs[n] {
		n++
	}
	return n
}
