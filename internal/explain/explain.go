// Package explain tells a person what an L402 token, a challenge, a credential or a Lightning
// invoice says. It needs no key and asks nobody, so it verifies no signature but the invoice's own.
// Proofs of payment are secrets and are shown only on request.
package explain

import (
	"errors"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"

	"github.com/caddy-l402/caddy-l402/l402"
	"github.com/caddy-l402/caddy-l402/wallets"
)

// MaxInput is the greatest length of a text in bytes.
const MaxInput = 256 << 10

var (
	// ErrUnknown says that the text is nothing that this package knows.
	ErrUnknown = errors.New("neither a token, a challenge, a credential nor an invoice")
	// ErrTooLong says that the text is longer than MaxInput.
	ErrTooLong = errors.New("text too long")
)

// Explainer explains texts. The zero value is ready and safe for concurrent use.
type Explainer struct {
	// ShowSecrets shows preimages in full.
	ShowSecrets bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Explanation is what a text says.
type Explanation struct {
	// Kind is "token", "challenge", "credential" or "invoice".
	Kind string `json:"kind"`
	// Items are what the text holds; a header can hold several credentials or challenges.
	Items []Item `json:"items"`
}

// Item is one thing in the text.
type Item struct {
	// Form is the way in which a credential was presented.
	Form string `json:"form,omitempty"`
	// Token is there for tokens, challenges and credentials.
	Token *l402.Description `json:"token,omitempty"`
	// Expired says that the token's life is over.
	Expired bool `json:"expired,omitempty"`
	// Invoice is there for invoices and challenges.
	Invoice *Invoice `json:"invoice,omitempty"`
	// Preimage is there where one was found, beside the token or inside it.
	Preimage *Preimage `json:"preimage,omitempty"`
	// Problems says what is wrong with the whole.
	Problems []string `json:"problems,omitempty"`
}

// Preimage is a proof of payment.
type Preimage struct {
	// Value is in hex, shortened unless secrets were asked for.
	Value string `json:"value"`
	// Fits says that its SHA-256 is the token's payment hash.
	Fits bool `json:"fits"`
}

// Invoice is what an invoice says.
type Invoice struct {
	// Format is "BOLT 11" or "BOLT 12".
	Format string `json:"format"`
	// Network is the chain.
	Network wallets.Network `json:"network"`
	// AmountMsat is in millisatoshi, zero where it is left to the payer.
	AmountMsat uint64 `json:"amount_msat"`
	// PaymentHash is in hex.
	PaymentHash string `json:"payment_hash"`
	// Memo is the description. It comes from the payee and is not to be trusted.
	Memo string `json:"memo,omitempty"`
	// Created and Expires bound the time in which it can be paid.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	// Expired says that it can no longer be paid.
	Expired bool `json:"expired"`
	// Payee is the node that is paid, its public key in hex.
	Payee string `json:"payee"`
}

func (e *Explainer) now() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

func (e *Explainer) preimage(p lntypes.Preimage, hash string) *Preimage {
	out := &Preimage{Value: p.String(), Fits: p.Hash().String() == hash}
	if !e.ShowSecrets {
		out.Value = out.Value[:6] + "…"
	}
	return out
}
